"""Rate limits: how often somebody may call, counted by member, by token and by address.

Routes name the limits that hold for them beside the general ones, so that no spelling of a path gets around one. Counts are
kept by this process: with several gateways each lets so much through. The notation, the windows and the strategy are
those of the library `limits`, whose stores outside of the process could hold the counts of several.
"""

import time
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from ipaddress import ip_network

from limits import RateLimitItem, parse
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter
from starlette.requests import HTTPConnection

from chassis.settings import Settings
from services.gateway.addresses import client_address
from services.gateway.auth import Caller
from services.gateway.errors import TooManyRequests

MAX_COUNTERS = 20_000
"""How many callers each limit remembers at once; of more, those whose window began first are forgotten."""


class CountedBy(Enum):
    """Whose calls are counted together."""

    MEMBER = "member"
    """A member's, with any token; nothing where there is no member."""
    TOKEN = "token"  # noqa: S105 - what is counted by, no secret
    """A token's; nothing where there is none."""
    ADDRESS = "address"
    """An address's."""
    ANONYMOUS = "anonymous"
    """An address's, of requests without a token that is known."""


@dataclass(frozen=True)
class RateLimit:
    """A limit that routes can name."""

    setting: str
    """The field of the settings that says how much, such as `300/5 minutes`."""
    counted_by: CountedBy
    sentence: str
    """What is told to who has used it up."""


_SLOWER = "Too many requests; please slow down."
PER_MEMBER = RateLimit("limit_per_member", CountedBy.MEMBER, _SLOWER)
PER_TOKEN = RateLimit("limit_per_token", CountedBy.TOKEN, _SLOWER)
PER_ADDRESS = RateLimit("limit_per_address", CountedBy.ANONYMOUS, _SLOWER)
PAGING = RateLimit("limit_paging", CountedBy.MEMBER, "Too many pages; please scroll more slowly.")
WRITES = RateLimit("limit_writes", CountedBy.MEMBER, "Too many changes; please wait a little.")
DELETES = RateLimit("limit_deletes", CountedBy.MEMBER, "Too many deletions; please wait a little.")
MEDIA = RateLimit("limit_media", CountedBy.MEMBER, "Too many pictures; please wait a little.")
FRIEND_REQUESTS = RateLimit("limit_friend_requests", CountedBy.MEMBER, "That was enough friend requests for a day.")
SEARCHES = RateLimit("limit_searches", CountedBy.MEMBER, "Too many searches; please wait a little.")
SIGN_UPS = RateLimit("limit_sign_ups", CountedBy.ADDRESS, "Too many sign-ups from this address; please wait a little.")
SIGN_INS = RateLimit("limit_sign_ins", CountedBy.ADDRESS, "Too many attempts from this address; please wait a little.")
CONFIRMATIONS = RateLimit(
    "limit_confirmations", CountedBy.MEMBER, "The mail was sent often enough; please look for it, and wait a little."
)
APPS = RateLimit("limit_apps", CountedBy.ADDRESS, "Too many new apps from this address; please wait a little.")

GENERAL = (PER_MEMBER, PER_TOKEN, PER_ADDRESS)
ALL = (*GENERAL, PAGING, WRITES, DELETES, MEDIA, FRIEND_REQUESTS, SEARCHES, SIGN_UPS, CONFIRMATIONS, SIGN_INS, APPS)


@dataclass
class _Counter:
    count: int
    ends_at: float


class Counters(Storage):
    """A store for `limits` in this process: bounded, and without the thread that the library's own starts to expire counts."""

    STORAGE_SCHEME = None

    def __init__(self, size: int = MAX_COUNTERS) -> None:
        super().__init__()
        self._size = size
        self._counters: OrderedDict[str, _Counter] = OrderedDict()

    @property
    def base_exceptions(self) -> type[Exception]:
        """Nothing that can happen here is a failure of a store."""
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count, beginning a window of so many seconds where none is open, and return the count."""
        counter, now = self._counters.get(key), time.time()
        if counter is None or counter.ends_at <= now:
            self._counters.pop(key, None)  # windows stand in the order in which they began
            self._counters[key] = counter = _Counter(0, now + expiry)
            while len(self._counters) > self._size:
                self._counters.popitem(last=False)
        counter.count += amount
        return counter.count

    def get(self, key: str) -> int:
        """Return the count of the open window; 0 without one."""
        counter = self._counters.get(key)
        return 0 if counter is None or counter.ends_at <= time.time() else counter.count

    def get_expiry(self, key: str) -> float:
        """Return when the window ends, in seconds since 1970; now without one."""
        counter = self._counters.get(key)
        return counter.ends_at if counter is not None else time.time()

    def check(self) -> bool:
        """Tell that the store answers."""
        return True

    def reset(self) -> int:
        """Forget every count; return how many there were."""
        forgotten = len(self._counters)
        self._counters.clear()
        return forgotten

    def clear(self, key: str) -> None:
        """Forget one count."""
        self._counters.pop(key, None)


class Standing:
    """How much the caller of one request has left, of the limit that is closest to its end."""

    def __init__(self) -> None:
        self._limit = 0
        self._remaining = -1
        self._reset = 0.0

    def note(self, limit: int, remaining: int, reset: float) -> None:
        """Take a limit into account."""
        if self._remaining < 0 or remaining < self._remaining:
            self._limit, self._remaining, self._reset = limit, remaining, reset

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that say so; none where nothing was counted."""
        if self._remaining < 0:
            return []
        return [
            (b"x-ratelimit-limit", b"%d" % self._limit),
            (b"x-ratelimit-remaining", b"%d" % self._remaining),
            (b"x-ratelimit-reset", _iso_time(int(self._reset) + 1)),
        ]


@lru_cache(maxsize=4096)
def _iso_time(seconds: int) -> bytes:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z").encode()


class Limiter:
    """Counts the requests of this process."""

    def __init__(self, settings: Settings) -> None:
        self._trusted = [ip_network(network) for network in settings.trusted_proxies.split(",") if network.strip()]
        rates: Mapping[RateLimit, str] = {limit: str(getattr(settings, limit.setting)) for limit in ALL}
        self._items: dict[RateLimit, tuple[RateLimitItem, FixedWindowRateLimiter]] = {
            # A store of its own for each limit: strangers without end cannot push members' counts out.
            limit: (parse(rate), FixedWindowRateLimiter(Counters()))
            for limit, rate in rates.items()
            if rate and settings.rate_limits
        }

    def count(self, request: HTTPConnection, caller: Caller, limits: Collection[RateLimit], standing: Standing) -> None:
        """Count one request for each limit. Raises TooManyRequests where one is used up."""
        for limit in limits:
            known = self._items.get(limit)
            who = self._who(limit.counted_by, request, caller) if known else ""
            if not known or not who:
                continue
            item, strategy = known
            is_within = strategy.hit(item, who)
            reset, remaining = strategy.get_window_stats(item, who)
            standing.note(item.amount, remaining, reset)
            if not is_within:
                raise TooManyRequests(limit.sentence, seconds=str(max(1, round(reset - time.time()))))

    def _who(self, counted_by: CountedBy, request: HTTPConnection, caller: Caller) -> str:
        """Return whose count it is; empty for nobody's."""
        if counted_by is CountedBy.TOKEN:
            return caller.token
        if counted_by is CountedBy.MEMBER:
            return str(caller.account_id or "")
        if counted_by is CountedBy.ANONYMOUS and caller.token:
            return ""
        return client_address(request, self._trusted)
