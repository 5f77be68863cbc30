"""What a blog entry is, and who may see one."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from chassis import characters, ids
from chassis.errors import InvalidField
from chassis.keys import check_key

MAX_TITLE_CODE_POINTS = 200
MAX_TEXT_CODE_POINTS = 50_000
MAX_TEXT_BYTES = 200_000
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
    if visibility not in (0, *Visibility):
        raise InvalidField(
            "visibility", "A blog entry is public, for friends of friends, for friends, or for its author alone."
        )
    return NewBlogEntry(
        account_id, check_title(title), check_text(text), Visibility(visibility or Visibility.FRIENDS), request_id
    )


def check_title(title: str) -> str:
    """Return the title as it is stored. Raises InvalidField where it is blank, too long or has several lines."""
    cleaned = _clean("title", "The title", title, MAX_TITLE_CODE_POINTS)
    if "\n" in cleaned:
        raise InvalidField("title", "A title has one line.")
    return cleaned


def check_text(text: str) -> str:
    """Return the text as it is stored. Raises InvalidField where it is blank, too long or unacceptable."""
    cleaned = _clean("text", "The text", text, MAX_TEXT_CODE_POINTS)
    if len(cleaned.encode()) > MAX_TEXT_BYTES:
        raise InvalidField("text", f"A blog entry has at most {MAX_TEXT_BYTES} bytes.")
    return cleaned


def _clean(field: str, what: str, text: str, maximum: int) -> str:
    # Decomposed text gets shorter by cleaning, to a quarter at most; beyond that it is not worth the work.
    if len(text) <= 4 * maximum:
        try:
            cleaned = characters.clean(text)
        except characters.UnacceptableText as error:
            raise InvalidField(field, f"{what} {error}.") from error
        if characters.is_blank(cleaned):
            raise InvalidField(field, f"{what} of a blog entry cannot be blank.")
        if len(cleaned) <= maximum:
            return cleaned
    raise InvalidField(field, f"{what} of a blog entry has at most {maximum} code points.")


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


def may_stand_on_home(viewer_id: int, account_id: int, visibility: int, relation: Relation | None) -> bool:
    """Tell whether an author's entry belongs on a viewer's home timeline: their own, or one that a friend whom they
    do not mute shows to friends.
    """
    if viewer_id == account_id:
        return True
    if relation is None or relation.is_muting:
        return False
    return relation.is_friend and may_see(viewer_id, account_id, visibility, relation)


def split_answer(headers: Sequence[EntryHeader]) -> tuple[list[int], list[int]]:
    """Return the ids of the newest entries that fit in one answer, and the ids of those that do not."""
    fitting: list[int] = []
    omitted: list[int] = []
    total = 0
    for header in sorted(headers, key=lambda each: each.id, reverse=True):
        total += header.size
        (fitting if total <= MAX_ANSWER_BYTES else omitted).append(header.id)
    return fitting, omitted
