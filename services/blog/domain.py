"""What blog entries, drafts and comments are, and who may see them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from chassis import characters, ids
from chassis.errors import InvalidField
from chassis.keys import check_key

MAX_TITLE_CODE_POINTS = 200
MAX_TEXT_CODE_POINTS = 50_000
MAX_TEXT_BYTES = 200_000
MAX_CODE_POINT_BYTES = 4
BEGINNING_CODE_POINTS = 2000
"""So much of a text is enough to say how it begins."""
MAX_DRAFTS = 100
"""Of a member."""
MAX_COMMENT_CODE_POINTS = 2000
MAX_COMMENTS = 10_000
"""On an entry."""
MAX_ANSWER_BYTES = 3 * 1024 * 1024
"""Titles and texts in one answer; below the 4 MiB that a gRPC message may have, and above what any fifteen entries need."""


class Visibility(IntEnum):
    """Who may see an entry besides its author; the values of kodama.blog.v1.Visibility."""

    PUBLIC = 1
    FRIENDS_OF_FRIENDS = 2
    FRIENDS = 3
    SELF = 4


@dataclass(frozen=True)
class EntryHeader:
    """What decides who may see an entry, and how many bytes its title and text have."""

    id: int
    account_id: int
    visibility: int
    comments_count: int
    size: int


@dataclass(frozen=True)
class BlogEntry:
    """An entry as its author wrote it."""

    id: int
    account_id: int
    title: str
    text: str
    visibility: int
    version: int
    edited_at: datetime | None
    """When title or text were changed last."""
    comments_count: int

    @property
    def created_at_ms(self) -> int:
        """Unix time in milliseconds; part of the id."""
        return ids.created_at_ms(self.id)

    @property
    def edited_at_ms(self) -> int:
        """Unix time in milliseconds; 0 where it never was."""
        return int(self.edited_at.timestamp() * 1000) if self.edited_at else 0


@dataclass(frozen=True)
class Words:
    """What an entry or a draft says."""

    title: str
    text: str


@dataclass(frozen=True)
class Change:
    """What changes of an entry or a draft; None stays."""

    title: str | None = None
    text: str | None = None
    visibility: Visibility | None = None


@dataclass(frozen=True)
class Draft:
    """What is not published yet."""

    id: int
    account_id: int
    title: str
    text: str
    visibility: int
    version: int
    updated_at: datetime

    @property
    def created_at_ms(self) -> int:
        """Unix time in milliseconds; part of the id."""
        return ids.created_at_ms(self.id)

    @property
    def updated_at_ms(self) -> int:
        """Unix time in milliseconds."""
        return int(self.updated_at.timestamp() * 1000)


@dataclass(frozen=True)
class Comment:
    """What somebody says below an entry."""

    id: int
    blog_entry_id: int
    author_id: int
    """Who wrote the entry."""
    account_id: int
    """Who wrote the comment."""
    text: str

    @property
    def created_at_ms(self) -> int:
        """Unix time in milliseconds; part of the id."""
        return ids.created_at_ms(self.id)


@dataclass(frozen=True)
class Relation:
    """How a viewer stands to an author."""

    is_friend: bool = False
    is_friend_of_friend: bool = False
    """Only known where it was asked for."""
    is_blocked_either_way: bool = False
    is_muting: bool = False
    """The viewer does not want to see the author's posts on the home timeline."""


Relations = Mapping[int, Relation]


@dataclass(frozen=True)
class NewBlogEntry:
    """An entry that may be published: checked and clean."""

    account_id: int
    title: str
    text: str
    visibility: Visibility
    request_id: str

    @property
    def fingerprint(self) -> bytes:
        """Tells whether two requests with one idempotency key ask for the same."""
        return hashlib.sha256(f"{self.visibility.value}\0{self.title}\0{self.text}".encode()).digest()


def check_new_entry(account_id: int, title: str, text: str, visibility: int, request_id: str) -> NewBlogEntry:
    """Return what may be published. Raises InvalidField, which names the field, where it may not."""
    if account_id <= 0:
        raise InvalidField("account_id", "A blog entry needs an author.")
    check_key(request_id)
    chosen = check_visibility(visibility) or Visibility.FRIENDS
    return NewBlogEntry(account_id, check_title(title), check_text(text), chosen, request_id)


def check_visibility(visibility: int) -> Visibility | None:
    """Return who may see an entry; None for 0, which says nothing. Raises InvalidField."""
    if visibility not in (0, *Visibility):
        raise InvalidField(
            "visibility", "A blog entry is public, for friends of friends, for friends, or for its author alone."
        )
    return Visibility(visibility) if visibility else None


def check_change(title: str | None, text: str | None, visibility: int, *, may_be_empty: bool = False) -> Change:
    """Return what changes of an entry; of a draft, title and text may be empty. Raises InvalidField, which names the field."""
    return Change(
        None if title is None else check_title(title, may_be_empty=may_be_empty),
        None if text is None else check_text(text, may_be_empty=may_be_empty),
        check_visibility(visibility),
    )


def changed(now: BlogEntry | Draft, change: Change) -> tuple[Words, Visibility]:
    """Return what an entry or a draft says after a change, and who may see it."""
    words = Words(now.title if change.title is None else change.title, now.text if change.text is None else change.text)
    return words, change.visibility or Visibility(now.visibility)


def check_draft(words: Words) -> Words:
    """Return what can be kept as a draft. Raises InvalidField where it is nothing at all."""
    if not words.title and not words.text:
        raise InvalidField("text", "A draft has a title, a text, or both.")
    return words


def check_comment(text: str) -> str:
    """Return a comment as it is stored. Raises InvalidField where it is blank, too long or unacceptable."""
    return _clean("text", "A comment", text, MAX_COMMENT_CODE_POINTS)


def check_title(title: str, *, may_be_empty: bool = False) -> str:
    """Return the title as it is stored. Raises InvalidField where it is blank, too long or has several lines."""
    cleaned = _clean("title", "The title of a blog entry", title, MAX_TITLE_CODE_POINTS, may_be_empty=may_be_empty)
    if "\n" in cleaned:
        raise InvalidField("title", "A title has one line.")
    return cleaned


def check_text(text: str, *, may_be_empty: bool = False) -> str:
    """Return the text as it is stored. Raises InvalidField where it is blank, too long or unacceptable."""
    cleaned = _clean("text", "The text of a blog entry", text, MAX_TEXT_CODE_POINTS, may_be_empty=may_be_empty)
    if len(cleaned.encode()) > MAX_TEXT_BYTES:
        raise InvalidField("text", f"A blog entry has at most {MAX_TEXT_BYTES} bytes.")
    return cleaned


def _clean(field: str, what: str, text: str, maximum: int, *, may_be_empty: bool = False) -> str:
    # Decomposed text gets shorter by cleaning, to a quarter at most; beyond that it is not worth the work.
    if len(text) <= 4 * maximum:
        try:
            cleaned = characters.clean(text)
        except characters.UnacceptableText as error:
            raise InvalidField(field, f"{what} {error}.") from error
        if characters.is_blank(cleaned):
            if may_be_empty:
                return ""
            raise InvalidField(field, f"{what} cannot be blank.")
        if len(cleaned) <= maximum:
            return cleaned
    raise InvalidField(field, f"{what} has at most {maximum} code points.")


def may_see(viewer_id: int, account_id: int, visibility: int, relation: Relation | None) -> bool:
    """Tell whether a viewer (0: not signed in) may see an author's entry.

    A signed-in viewer whose relation is not known is refused: they might be blocked.
    """
    if viewer_id == account_id:
        return True
    if viewer_id == 0:
        return visibility == Visibility.PUBLIC
    if relation is None or relation.is_blocked_either_way:
        return False
    if relation.is_friend:
        return visibility in (Visibility.PUBLIC, Visibility.FRIENDS_OF_FRIENDS, Visibility.FRIENDS)
    if relation.is_friend_of_friend:
        return visibility in (Visibility.PUBLIC, Visibility.FRIENDS_OF_FRIENDS)
    return visibility == Visibility.PUBLIC


def is_heard(listener_id: int, speaker_id: int, relation: Relation | None) -> bool:
    """Tell whether somebody (0: not signed in) hears what another says where both may be: no block stands between them.

    A listener whose relation is not known hears nothing.
    """
    if listener_id in (0, speaker_id):
        return True
    return relation is not None and not relation.is_blocked_either_way


def may_stand_on_home(viewer_id: int, account_id: int, visibility: int, relation: Relation | None) -> bool:
    """Tell whether an author's entry belongs on a viewer's home timeline: their own, or one that a friend whom they
    do not mute shows to friends.
    """
    if viewer_id == account_id:
        return True
    if relation is None or relation.is_muting:
        return False
    return relation.is_friend and may_see(viewer_id, account_id, visibility, relation)


def split_answer(
    headers: Sequence[EntryHeader], *, text_limit: int = MAX_TEXT_CODE_POINTS
) -> tuple[list[int], list[int]]:
    """Return the ids of the newest entries that fit in one answer with so many code points of their texts, and the ids of those that
    do not.
    """
    fitting: list[int] = []
    omitted: list[int] = []
    total = 0
    for header in sorted(headers, key=lambda each: each.id, reverse=True):
        total += min(header.size, MAX_CODE_POINT_BYTES * (MAX_TITLE_CODE_POINTS + text_limit))
        (fitting if total <= MAX_ANSWER_BYTES else omitted).append(header.id)
    return fitting, omitted
