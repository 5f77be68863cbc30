"""What a status is, and who may see one."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from chassis import characters, ids
from chassis.errors import InvalidField
from chassis.keys import check_key

MAX_CHARACTERS = 150
MAX_CODE_POINTS = 1000
MAX_BYTES = 4000


class Visibility(IntEnum):
    """Who may see a status besides its author; the values of kodama.status.v1.Visibility."""

    PUBLIC = 1
    UNLISTED = 2
    FRIENDS = 3


@dataclass(frozen=True)
class Status:
    """A status as its author wrote it."""

    id: int
    account_id: int
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
    is_blocked_either_way: bool = False


@dataclass(frozen=True)
class NewStatus:
    """A status that may be posted: checked and clean."""

    account_id: int
    text: str
    visibility: Visibility
    request_id: str

    @property
    def fingerprint(self) -> bytes:
        """Tells whether two requests with one idempotency key ask for the same."""
        return hashlib.sha256(f"{self.visibility.value}\0{self.text}".encode()).digest()


def check_new_status(account_id: int, text: str, visibility: int, request_id: str) -> NewStatus:
    """Return what may be posted. Raises InvalidField, which names the field, where it may not."""
    if account_id <= 0:
        raise InvalidField("account_id", "A status needs an author.")
    check_key(request_id)
    if visibility not in (0, *Visibility):
        raise InvalidField("visibility", "A status is public, unlisted, or for friends.")
    return NewStatus(account_id, check_text(text), Visibility(visibility or Visibility.PUBLIC), request_id)


def check_text(text: str) -> str:
    """Return the text as it is stored. Raises InvalidField where it is blank, too long or unacceptable."""
    if len(text) > MAX_CODE_POINTS:
        raise InvalidField("text", f"A status has at most {MAX_CHARACTERS} characters; this one has far more.")
    try:
        cleaned = characters.clean(text)
    except characters.UnacceptableText as error:
        raise InvalidField("text", f"The status {error}.") from error
    if characters.is_blank(cleaned):
        raise InvalidField("text", "A status cannot be blank.")
    length = characters.count(cleaned)
    if length > MAX_CHARACTERS:
        raise InvalidField("text", f"A status has at most {MAX_CHARACTERS} characters; this one has {length}.")
    if len(cleaned) > MAX_CODE_POINTS or len(cleaned.encode()) > MAX_BYTES:
        raise InvalidField("text", f"A status has at most {MAX_CODE_POINTS} code points and {MAX_BYTES} bytes.")
    return cleaned


def may_see(viewer_id: int, account_id: int, visibility: int, relation: Relation | None) -> bool:
    """Tell whether a viewer (0: not signed in) may see an author's status.

    A signed-in viewer whose relation is not known is refused: they might be blocked.
    """
    if viewer_id == account_id:
        return True
    if viewer_id == 0:
        return visibility in (Visibility.PUBLIC, Visibility.UNLISTED)
    if relation is None or relation.is_blocked_either_way:
        return False
    return relation.is_friend or visibility in (Visibility.PUBLIC, Visibility.UNLISTED)


def may_stand_on_home(viewer_id: int, account_id: int, relation: Relation | None) -> bool:
    """Tell whether an author's status belongs on a viewer's home timeline: their own, or a friend's."""
    if viewer_id == account_id:
        return True
    return relation is not None and relation.is_friend and not relation.is_blocked_either_way


Relations = Mapping[int, Relation]
