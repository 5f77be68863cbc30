"""What a status is, and who may see one."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import msgspec

from chassis import characters, ids, mentions
from chassis.errors import InvalidField
from chassis.keys import check_key

MAX_CHARACTERS = 150
MAX_CODE_POINTS = 1000
MAX_BYTES = 4000
MAX_MENTIONS = 20
MAX_EDITS = 50
MAX_MEDIA = 4


class Visibility(IntEnum):
    """Who may see a status besides its author and whom it mentions; the values of kodama.status.v1.Visibility.

    Each lets in fewer than the one before.
    """

    PUBLIC = 1
    UNLISTED = 2
    FRIENDS = 3
    DIRECT = 4


OPEN = (Visibility.PUBLIC, Visibility.UNLISTED)
"""What everybody who is not blocked may see, and what is counted among a status's replies."""


class Status(msgspec.Struct, frozen=True, gc=False):
    """A status as its author wrote it, and as one viewer stands to it.

    A struct, as what is posted is: making one takes a tenth of the time of a dataclass.
    """

    id: int
    account_id: int
    text: str
    visibility: int
    version: int = 1
    edited_at_ms: int = 0
    in_reply_to_id: int = 0
    in_reply_to_account_id: int = 0
    mentioned_ids: Sequence[int] = ()
    mentioned_handles: Sequence[str] = ()
    replies_count: int = 0
    favourites_count: int = 0
    is_favourited: bool = False
    media_ids: Sequence[int] = ()

    @property
    def created_at_ms(self) -> int:
        """Unix time in milliseconds; part of the id."""
        return ids.created_at_ms(self.id)


class HomeCard(NamedTuple):
    """What decides whether a status stands on a home timeline, and what its viewer sees of it beside its content.

    A tuple, because twenty are made for each page.
    """

    id: int
    account_id: int
    visibility: int
    version: int
    replies_count: int
    favourites_count: int
    is_favourited: bool
    media_ids: Sequence[int]


@dataclass(frozen=True)
class Revision:
    """What a status said for some time, from `created_at_ms` on."""

    text: str
    mentioned_ids: Sequence[int]
    mentioned_handles: Sequence[str]
    created_at_ms: int


@dataclass(frozen=True)
class Favourite:
    """That somebody favours a status."""

    id: int
    status_id: int
    account_id: int


@dataclass(frozen=True)
class Relation:
    """How a viewer stands to an author."""

    is_friend: bool = False
    is_blocked_either_way: bool = False
    is_muting: bool = False
    """The viewer does not want to see the author's posts on the home timeline."""


Relations = Mapping[int, Relation]


class NewStatus(msgspec.Struct, frozen=True, gc=False):
    """A status that may be posted: checked and clean, and then addressed to those whom it concerns."""

    account_id: int
    text: str
    visibility: Visibility
    request_id: str
    in_reply_to_id: int = 0
    in_reply_to_account_id: int = 0
    mentioned: Mapping[str, int] = {}
    """Handles of the members that it mentions → their ids, in the order of the text."""
    media_ids: Sequence[int] = ()

    @property
    def fingerprint(self) -> bytes:
        """Tells whether two requests with one idempotency key ask for the same."""
        reply = f"\0{self.in_reply_to_id}" if self.in_reply_to_id else ""
        media = f"\0media {list(self.media_ids)}" if self.media_ids else ""
        return hashlib.sha256(f"{self.visibility.value}\0{self.text}{reply}{media}".encode()).digest()

    @property
    def notified(self) -> list[int]:
        """Return the members who hear of it: whom it mentions or replies to, never its author."""
        return sorted({*self.mentioned.values(), self.in_reply_to_account_id} - {0, self.account_id})

    def as_posted(self, status_id: int) -> Status:
        """Return the status that it has become."""
        return Status(
            id=status_id,
            account_id=self.account_id,
            text=self.text,
            visibility=self.visibility.value,
            in_reply_to_id=self.in_reply_to_id,
            in_reply_to_account_id=self.in_reply_to_account_id,
            mentioned_ids=list(self.mentioned.values()),
            mentioned_handles=list(self.mentioned),
            media_ids=self.media_ids,
        )


class StatusCount(NamedTuple):
    """How many statuses an account has, and the id of its last, 0 for none; direct ones are not counted."""

    account_id: int
    statuses: int
    last_id: int


class Posted(NamedTuple):
    """A status that has been posted, and how many its author has with it."""

    status: Status
    counted: StatusCount


def posted_as(new: NewStatus, status_id: int, before: StatusCount) -> Posted:
    """Return what has been posted under an id by an author who had so many before."""
    is_counted = new.visibility is not Visibility.DIRECT
    counted = StatusCount(new.account_id, before.statuses + 1, status_id) if is_counted else before
    return Posted(new.as_posted(status_id), counted)


def check_new_status(
    account_id: int,
    text: str,
    visibility: int,
    request_id: str,
    in_reply_to_id: int = 0,
    media_ids: Sequence[int] = (),
) -> NewStatus:
    """Return what may be posted. Raises InvalidField, which names the field, where it may not."""
    if account_id <= 0:
        raise InvalidField("account_id", "A status needs an author.")
    check_key(request_id)
    if in_reply_to_id < 0:
        raise InvalidField("in_reply_to_id", "An id cannot be negative.")
    return NewStatus(
        account_id,
        check_text(text, may_be_blank=bool(media_ids)),
        check_visibility(visibility) or Visibility.PUBLIC,
        request_id,
        in_reply_to_id=in_reply_to_id,
        media_ids=check_media(media_ids),
    )


def check_media(media_ids: Sequence[int]) -> Sequence[int]:
    """Return the pictures that a status is to show. Raises InvalidField for too many, twice the same, and what is no id."""
    if not media_ids:
        return ()
    if len(media_ids) > MAX_MEDIA:
        raise InvalidField("media_ids", f"A status shows at most {MAX_MEDIA} pictures.")
    if len(set(media_ids)) < len(media_ids) or any(media_id <= 0 for media_id in media_ids):
        raise InvalidField("media_ids", "Each picture of a status is named once, by its id.")
    return list(media_ids)


def check_visibility(visibility: int) -> Visibility | None:
    """Return a visibility; None where none is said. Raises InvalidField for what is none."""
    if not visibility:
        return None
    try:
        return Visibility(visibility)
    except ValueError as error:
        raise InvalidField("visibility", "A status is public, unlisted, for friends, or direct.") from error


def check_text(text: str, *, may_be_blank: bool = False) -> str:
    """Return the text as it is stored. Raises InvalidField where it is blank, too long or unacceptable.

    Where it may be blank, nothing is stored for it.
    """
    if len(text) > MAX_CODE_POINTS:
        raise InvalidField("text", f"A status has at most {MAX_CHARACTERS} characters; this one has far more.")
    try:
        cleaned = characters.clean(text)
    except characters.UnacceptableText as error:
        raise InvalidField("text", f"The status {error}.") from error
    if characters.is_blank(cleaned):
        if may_be_blank:
            return ""
        raise InvalidField("text", "A status cannot be blank.")
    # Only an address can count more than it is long.
    length = characters.count(cleaned) if len(cleaned) > MAX_CHARACTERS or "://" in cleaned else len(cleaned)
    if length > MAX_CHARACTERS:
        raise InvalidField("text", f"A status has at most {MAX_CHARACTERS} characters; this one has {length}.")
    if len(cleaned) > MAX_CODE_POINTS or len(cleaned.encode()) > MAX_BYTES:
        raise InvalidField("text", f"A status has at most {MAX_CODE_POINTS} code points and {MAX_BYTES} bytes.")
    return cleaned


def check_mentions(text: str, domain: str) -> list[str]:
    """Return the handles that a text mentions on the network at `domain`. Raises InvalidField for too many."""
    handles = mentions.find_handles(text, domain)
    if len(handles) > MAX_MENTIONS:
        raise InvalidField("text", f"A status mentions at most {MAX_MENTIONS} members; this one names {len(handles)}.")
    return handles


def may_see(viewer_id: int, status: Status, relation: Relation | None) -> bool:
    """Tell whether a viewer (0: not signed in) may see a status.

    A signed-in viewer whose relation to the author is not known is refused: they might be blocked. Whom a status mentions may see it,
    however few others may: so every narrower visibility lets in fewer.
    """
    if viewer_id == status.account_id:
        return True
    if viewer_id == 0:
        return status.visibility in OPEN
    if relation is None or relation.is_blocked_either_way:
        return False
    if status.visibility in OPEN or viewer_id in status.mentioned_ids:
        return True
    return status.visibility == Visibility.FRIENDS and relation.is_friend


def seen_visibilities(viewer_id: int, account_id: int, relation: Relation | None) -> list[int] | None:
    """Return the visibilities with which a viewer may see all of an account's statuses; None where they may see none at all.

    With any other visibility they may see those that mention them.
    """
    if viewer_id == account_id:
        return [visibility.value for visibility in Visibility]
    if viewer_id and (relation is None or relation.is_blocked_either_way):
        return None
    is_friend = relation is not None and relation.is_friend
    return [visibility.value for visibility in (*OPEN, *([Visibility.FRIENDS] if is_friend else []))]


def may_stand_on_home(viewer_id: int, account_id: int, visibility: int, relation: Relation | None) -> bool:
    """Tell whether an account's status belongs on a viewer's home timeline: their own, or one that is not direct of a friend whom they
    do not mute.
    """
    if viewer_id == account_id:
        return True
    if visibility == Visibility.DIRECT:
        return False
    return relation is not None and relation.is_friend and not relation.is_blocked_either_way and not relation.is_muting


@dataclass(frozen=True)
class ThreadBounds:
    """How much of a thread is shown at most."""

    ancestors: int
    descendants: int
    depth: int


MEMBERS_THREAD = ThreadBounds(ancestors=100, descendants=500, depth=50)
ANONYMOUS_THREAD = ThreadBounds(ancestors=40, descendants=60, depth=20)


def visible_ancestors(chain: Sequence[int], visible: Mapping[int, Status]) -> list[Status]:
    """Return what stands above a status, from the top: of the ids from its parent upwards those before the first gap."""
    shown: list[Status] = []
    for status_id in chain:
        if status_id not in visible:
            break
        shown.append(visible[status_id])
    return shown[::-1]


def visible_descendants(status_id: int, reply_ids: Sequence[int], visible: Mapping[int, Status]) -> list[Status]:
    """Return the replies below a status, each followed by its own, siblings by time; nothing below what cannot be seen."""
    children: dict[int, list[Status]] = {}
    for reply_id in sorted(set(reply_ids), reverse=True):
        if reply_id in visible:
            children.setdefault(visible[reply_id].in_reply_to_id, []).append(visible[reply_id])
    ordered: list[Status] = []
    waiting = list(children.get(status_id, ()))
    while waiting:
        reply = waiting.pop()
        ordered.append(reply)
        waiting.extend(children.get(reply.id, ()))
    return ordered
