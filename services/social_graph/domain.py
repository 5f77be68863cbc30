"""Friendships, requests, blocks and suggestions: what they are, and what can never be."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from chassis.errors import InvalidField, LimitReached, NotFound

MAX_SUGGESTIONS = 50
MAX_SAMPLES = 3
MAX_WEDGES = 250_000
"""How many friends of friends are looked at for one member at most, counted once per path."""
DEFAULT_PAGE_SIZE = 40
MAX_PAGE_SIZE = 1000
MAX_TOKEN_LENGTH = 100
MAX_MUTE_SECONDS = 10 * 365 * 24 * 3600
MAX_MUTUAL_FRIENDS = 40
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
LAST_MICROSECOND = (datetime(9999, 1, 1, tzinfo=UTC) - EPOCH) // MICROSECOND


@dataclass(frozen=True, order=True)
class Pair:
    """Two different members, the lower id first; made by `Pair.of`."""

    low: int
    high: int

    @classmethod
    def of(cls, account_id: int, other_id: int) -> "Pair":
        """Return the pair of two members in either order."""
        return cls(min(account_id, other_id), max(account_id, other_id))

    def payload(self) -> dict[str, int]:
        """Return what the events about their friendship carry."""
        return {"account_id": self.low, "friend_id": self.high}


@dataclass(frozen=True)
class Relationship:
    """How a viewer stands to one account."""

    account_id: int
    is_friend: bool
    is_requested: bool
    is_requested_by: bool
    is_blocking: bool
    is_blocked_by: bool
    is_friend_of_friend: bool
    is_muting: bool
    is_muting_notifications: bool
    muting_expires_at: datetime | None
    """None where there is no mute, or one without an end."""

    @property
    def is_blocked_either_way(self) -> bool:
        """Neither may reach the other."""
        return self.is_blocking or self.is_blocked_by


@dataclass(frozen=True)
class Friend:
    """One friendship seen from one of its ends."""

    account_id: int
    created_at: datetime


@dataclass(frozen=True)
class FriendRequest:
    """Waits for its target's answer."""

    requester_id: int
    target_id: int
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class BlockedAccount:
    """Whom an account blocks."""

    account_id: int
    created_at: datetime


@dataclass(frozen=True)
class MutedAccount:
    """Whom an account mutes."""

    account_id: int
    created_at: datetime
    hides_notifications: bool
    expires_at: datetime | None
    """None for ever."""


class Source(IntEnum):
    """Where a suggestion is from; the values of kodama.social_graph.v1.SuggestionSource."""

    FRIENDS_OF_FRIENDS = 1
    NEARBY = 2
    """Near each other on longer ways."""
    COMMUNITY = 3
    """Many know them among the people around the member."""
    POPULAR = 4


@dataclass(frozen=True)
class Suggestion:
    """Somebody a member might know, and why."""

    account_id: int
    source: Source
    score: float = 0.0
    """What the mutual friends weigh that the member may see."""
    mutual_friends_count: int = 0
    """Of those that the member may see."""
    mutual_friend_ids: tuple[int, ...] = ()
    """At most three of them, those that weigh most first."""
    hides_mutual_friends: bool = False
    """They hide their friends, so that nothing is told of mutual ones."""


@dataclass(frozen=True)
class DismissedSuggestion:
    """Whom a member does not want to see suggested."""

    account_id: int
    created_at: datetime
    expires_at: datetime | None
    """None for good."""


class Obstacle(IntEnum):
    """Why somebody is not suggested now; the values of kodama.social_graph.v1.Obstacle."""

    FRIEND = 1
    REQUESTED = 2
    REQUESTED_BY = 3
    BLOCKING = 4
    MUTING = 5
    DISMISSED = 6
    NOT_DISCOVERABLE = 7
    NOT_AMONG_THE_BEST = 8


def check_pair(account_id: int, other_id: int, field: str) -> Pair:
    """Return the pair that a request is about. Raises InvalidField for ids that cannot be, and where both are the same member.

    `field` names the request's field that `other_id` came in.
    """
    check_id(account_id, "account_id")
    check_id(other_id, field)
    if account_id == other_id:
        raise InvalidField(field, "This is the member's own id; it takes two different members.")
    return Pair.of(account_id, other_id)


def check_id(account_id: int, field: str) -> int:
    """Return an account id. Raises InvalidField where it is not positive."""
    if account_id <= 0:
        raise InvalidField(field, f"{field} must be the id of a member.")
    return account_id


def check_duration(duration_seconds: int) -> int:
    """Return how long a mute lasts, 0 for ever. Raises InvalidField where it is negative or longer than ten years."""
    if not 0 <= duration_seconds <= MAX_MUTE_SECONDS:
        raise InvalidField(
            "duration_seconds", f"A mute lasts from 1 to {MAX_MUTE_SECONDS} seconds; 0 means that it does not end."
        )
    return duration_seconds


def check_friendships(friendships: Iterable[tuple[int, int]]) -> list[Pair]:
    """Return the distinct pairs to import, in order. Raises InvalidField for bad ids and members befriending themselves."""
    pairs = set()
    for place, (account_id, friend_id) in enumerate(friendships, start=1):
        if account_id <= 0 or friend_id <= 0:
            raise InvalidField("friendships", f"Friendship {place} does not name two members.")
        if account_id == friend_id:
            raise InvalidField("friendships", f"Friendship {place} is of member {account_id} with themselves.")
        pairs.add(Pair.of(account_id, friend_id))
    return sorted(pairs)


def no_such_member() -> NotFound:
    """Return the one answer for members who do not exist and for those who are hidden: nobody can tell which it is."""
    return NotFound("There is no such member.", resource="account")


def too_many_friends(account_id: int, limit: int) -> LimitReached:
    """Return the answer where a member would have more friends than allowed."""
    return LimitReached(
        f"Member {account_id} would have more than {limit} friends, the most that is allowed.",
        accountId=str(account_id),
        limit=str(limit),
        what="friends",
    )


def page_size_of(page_size: int) -> int:
    """Return how many results a page has at most. Raises InvalidField where it was negative."""
    if page_size < 0:
        raise InvalidField("page_size", "page_size cannot be negative.")
    return min(page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def limit_of(limit: int, maximum: int = MAX_SUGGESTIONS) -> int:
    """Return how many suggestions, or mutual friends, to list at most. Raises InvalidField where it was negative."""
    if limit < 0:
        raise InvalidField("limit", "limit cannot be negative.")
    return min(limit or DEFAULT_PAGE_SIZE, maximum)


def write_page_token(*key: int) -> str:
    """Return the token for the page after the row with this key."""
    return base64.urlsafe_b64encode(".".join(map(str, key)).encode()).decode().rstrip("=")


def read_page_token(token: str, parts: int) -> tuple[int, ...] | None:
    """Return the key in a token, None in an empty one. Raises InvalidField for what is no token of such a list."""
    if not token:
        return None
    fault = InvalidField("page_token", "This page_token is not from a page of this list.")
    if len(token) > MAX_TOKEN_LENGTH:
        raise fault
    try:
        text = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise fault from error
    numbers = text.split(".")
    if len(numbers) != parts or not all(n.isdecimal() and len(n) <= 19 and int(n) < 2**63 for n in numbers):
        raise fault
    return tuple(map(int, numbers))


def write_latest_token(created_at: datetime, other_id: int) -> str:
    """Return the token for the page after this row, in a list in the order of (created_at, the other's id), descending."""
    return write_page_token((created_at - EPOCH) // MICROSECOND, other_id)


def read_latest_token(token: str) -> tuple[datetime, int] | None:
    """Return the (created_at, other's id) in a token, None in an empty one. Raises InvalidField as `read_page_token`."""
    key = read_page_token(token, parts=2)
    return (EPOCH + min(key[0], LAST_MICROSECOND) * MICROSECOND, key[1]) if key else None
