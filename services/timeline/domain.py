"""What home timelines and notifications are made of; pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

from chassis.ids import MAX_ID
from chassis.paging import Page

NEVER_PUSHED = MAX_ID
"""A `pushed_from` above every id: nothing has been pushed, everything is pulled."""


class Card(NamedTuple):
    """What a status's owner says of it to a viewer beside its content. A tuple, because twenty are made for each page."""

    version: int
    replies_count: int
    favourites_count: int
    is_favourited: bool
    media_ids: tuple[int, ...] = ()


class Entry(NamedTuple):
    """One entry of a home timeline."""

    entry_id: int
    author_id: int
    card: Card | None = None
    """Of a status that may be shown; from its owner, in the same breath."""


@dataclass(frozen=True)
class HomePage:
    """A page of a home timeline, and from where a reader goes on."""

    entries: list[Entry]
    """Newest first."""
    older: int
    """There can be more below this id; 0 where the timeline or the window ends."""
    newer: int
    """What is newer is above this id; 0 where the page tells nothing of it."""


@dataclass(frozen=True)
class Home:
    """From which id on a member's home timeline is pushed, and whether its reading has to be noted."""

    pushed_from: int
    """Not below the retention's floor."""
    is_stale: bool
    """The last noted read is more than an hour ago."""
    is_dormant: bool
    """The last noted read is so long ago that fan-outs may have passed this member over: what was pushed may have gaps."""
    pulled_authors: tuple[int, ...] = ()
    """Authors whose posts may not have been pushed to anybody, because they have too many friends."""


@dataclass(frozen=True)
class OpenWork:
    """What the ledgers say is not delivered yet, as of a moment before anything else was read."""

    entries: Mapping[int, int] = field(default_factory=dict)
    """Entry id → author id of posts whose fan-out is open."""
    backfills: Mapping[int, frozenset[int]] = field(default_factory=dict)
    """Account id → friends whose older posts are not all there yet."""
    rebased: frozenset[int] = frozenset()
    """Accounts whose friendships came by import: nothing that was pushed to them can be relied on."""
    oldest_at_ms: int = 0
    """When the oldest post was made whose fan-out is open, Unix time in milliseconds; 0 with none."""
    is_cut: bool = False
    """The list was too long to be taken whole: nothing that was pushed to anybody can be relied on."""

    @cached_property
    def by_author(self) -> Mapping[int, Sequence[Entry]]:
        """The posts whose fan-out is open by their authors: thousands can be open, and each reader looks for friends only."""
        found: dict[int, list[Entry]] = {}
        for entry_id, author_id in self.entries.items():
            found.setdefault(author_id, []).append(Entry(entry_id, author_id))
        return found

    def of_authors(self, author_ids: Collection[int], page: Page) -> list[Entry]:
        """Return the posts of these authors whose fan-out is open and that could be on a page."""
        by_author = self.by_author
        return [
            entry
            for author_id in author_ids
            for entry in by_author.get(author_id, ())
            if page.above < entry.entry_id < page.below
        ]

    def pushed_from(self, account_id: int, home: Home | None) -> int:
        """Return from which id on a member's pushed entries and this list are everything there is."""
        if home is None or home.is_dormant or self.is_cut or account_id in self.rebased:
            return NEVER_PUSHED
        return home.pushed_from


def lowest_complete(entries: Sequence[Entry], limit: int) -> int:
    """Return the id below which to look on after a pull of all kinds, each of at most `limit`.

    Where a kind filled its page, only the newest `limit` of all kinds together are known to have no gaps.
    """
    ends = [entry.entry_id for entry in entries]
    return min(ends) if len(ends) < limit else sorted(ends, reverse=True)[limit - 1]


class NotificationType(IntEnum):
    """What somebody has done that a member is told of; the numbers are those of the contract."""

    FRIEND_REQUEST = 1
    FRIENDSHIP = 2
    MENTION = 3
    FAVOURITE = 4
    COMMENT = 5


@dataclass(frozen=True)
class Cause:
    """What an event says has happened: a hint, until the owners' committed state agrees."""

    account_id: int
    """Who may have to be told."""
    from_id: int
    """Who did it."""
    status_id: int = 0
    """The status that it is about; 0 with friendships and comments."""
    is_accepted: bool = False
    """A friend request was accepted, not sent."""
    at_ms: int = 0
    """When a friend request was sent or accepted, Unix time in milliseconds; a later one is told of again."""
    comment_id: int = 0
    """The comment that it is about; 0 without one."""


@dataclass(frozen=True)
class NewNotification:
    """What a member will be told."""

    account_id: int
    type: NotificationType
    from_id: int
    subject_id: int = 0
    caused_at: int = 0


@dataclass(frozen=True)
class Notification:
    """What a member is told."""

    id: int
    type: int
    from_id: int
    subject_id: int
    """The comment or status that it is about; 0 with friendships."""

    @property
    def comment_id(self) -> int:
        """The comment that it is about; 0 without one."""
        return self.subject_id if self.type == NotificationType.COMMENT else 0

    @property
    def status_id(self) -> int:
        """The status that it is about; 0 without one."""
        return self.subject_id - self.comment_id


@dataclass(frozen=True)
class Comment:
    """Who said something below whose blog entry."""

    author_id: int
    """Who wrote the entry."""
    account_id: int


MARKED_HOME, MARKED_NOTIFICATIONS = 1, 2
"""The lists that have markers; the numbers are those of the contract."""


@dataclass(frozen=True)
class Marker:
    """How far a member has read a list."""

    timeline: int
    last_read_id: int
    version: int
    updated_at: datetime


@dataclass(frozen=True)
class Relation:
    """How a reader stands to somebody."""

    is_friend: bool
    is_requested_by: bool
    is_silenced: bool
    """Blocked either way, or muted with what they do: the reader is told nothing of them."""


def to_notification(
    cause: Cause, relation: Relation | None, status_author: int | None, comment: Comment | None, *, is_favoured: bool
) -> NewNotification | None:
    """Return what a member is to be told of something that may have happened; None where committed state does not bear it out.

    `status_author` is who wrote the status, where it is about one and the member may see it; `is_favoured`: who did it favours it now;
    `comment` is the comment, where it is about one and the member may see it. An unknown relation is a silenced one.
    """
    if cause.account_id == cause.from_id or relation is None or relation.is_silenced:
        return None
    if cause.comment_id:
        is_said = comment == Comment(cause.account_id, cause.from_id)
        told = NewNotification(cause.account_id, NotificationType.COMMENT, cause.from_id, cause.comment_id)
        return told if is_said else None
    if not cause.status_id:
        type_ = NotificationType.FRIENDSHIP if cause.is_accepted else NotificationType.FRIEND_REQUEST
        is_true = relation.is_friend if cause.is_accepted else relation.is_requested_by
        return NewNotification(cause.account_id, type_, cause.from_id, 0, cause.at_ms) if is_true else None
    types = {cause.account_id: NotificationType.FAVOURITE, cause.from_id: NotificationType.MENTION}
    if status_author not in types or (status_author == cause.account_id and not is_favoured):
        return None
    return NewNotification(cause.account_id, types[status_author], cause.from_id, cause.status_id)


def may_be_told(notification: Notification, relation: Relation | None, visible: Collection[int]) -> bool:
    """Tell whether a reader may still see a notification; `visible` are the statuses and comments that they may see."""
    if relation is None or relation.is_silenced:
        return False
    if notification.type == NotificationType.FRIEND_REQUEST:
        return relation.is_requested_by
    if notification.type == NotificationType.FRIENDSHIP:
        return relation.is_friend
    return notification.subject_id in visible
