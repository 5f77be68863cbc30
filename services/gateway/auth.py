"""Who calls a route: bearer tokens, verified by account, and what each policy lets in."""

import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from kodama.account.v1.account_pb2 import TokenInfo
from starlette.requests import HTTPConnection, Request

from chassis.coalescing import Loader
from chassis.errors import PermissionDenied, Unauthenticated
from services.gateway.remembering import Remembered
from services.gateway.scopes import covers

# Verified tokens are remembered for a moment, so that a burst of requests costs one RPC. So long can a revoked token still be
# taken by another gateway; the one that revokes it forgets it at once. Unknown tokens are never remembered.
CACHE_SECONDS = 5.0
CACHE_SIZE = 10_000
MAX_TOKEN_LENGTH = 255


class Open(Enum):
    """Policies that need no member."""

    PUBLIC = "public"
    """Anybody; tokens are not even looked at."""
    APP = "app"
    """Any valid token, of an app or a member."""


Policy = Open | str
"""Who may call a route: an Open, or the scope that a member's token must cover."""


@dataclass(frozen=True)
class Caller:
    """Who calls a route."""

    account_id: int = 0
    """0 where the caller is no member."""
    app_id: int = 0
    scopes: frozenset[str] = field(default_factory=frozenset)
    token: str = ""
    """What stands for the token in counts: its hash; empty without one."""
    awaits_confirmation: bool = False
    """The member has not confirmed the e-mail address yet."""
    is_session: bool = False
    """It is a browser's session, which opens the pages and nothing of the API; nothing else opens the pages."""


ANYBODY = Caller()


class Tokens:
    """Verified tokens, remembered for a moment under their hashes."""

    def __init__(
        self,
        verify: Callable[[Sequence[bytes]], Awaitable[Mapping[bytes, TokenInfo]]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`verify` tells of SHA-256 hashes of tokens what those stand for that are known and not revoked."""
        self._verifying = Loader(verify)
        self._known = Remembered[bytes, Caller](CACHE_SECONDS, CACHE_SIZE, clock)

    async def caller(self, access_token: str) -> Caller:
        """Return whom an app's token stands for. Raises Unauthenticated."""
        found = await self._find(access_token)
        if found.is_session:
            raise Unauthenticated("The access token is unknown or has been revoked.")
        return found

    async def session(self, secret: str) -> Caller:
        """Return whose session of a browser it is. Raises Unauthenticated."""
        found = await self._find(secret)
        if not found.is_session:
            raise Unauthenticated("There is no such session, or it is over.")
        return found

    async def _find(self, access_token: str) -> Caller:
        key = _key(access_token)
        asked_at = self._known.now()
        known = self._known.find(key, asked_at)
        if known is not None:
            return known
        info = (await self._verifying.get([key])).get(key)
        if info is None:
            raise Unauthenticated("The access token is unknown or has been revoked.")
        verified = Caller(
            info.account_id,
            info.app_id,
            frozenset(info.scopes),
            key.hex(),
            info.awaits_confirmation,
            info.is_session,
        )
        if verified.awaits_confirmation:
            return verified  # and let in as soon as that is done
        self._known.keep(key, verified, asked_at)
        return verified

    def forget(self, access_token: str) -> None:
        """Ask again the next time."""
        self._known.forget(_key(access_token))


def _key(access_token: str) -> bytes:
    return hashlib.sha256(access_token.encode()).digest()


async def authorize(
    request: Request, policy: Policy, tokens: Tokens, *, in_query: bool = False, admits_unconfirmed: bool = False
) -> Caller:
    """Return who calls; `in_query`: the token may be a parameter of the query string; `admits_unconfirmed`: members are let in too
    who have not confirmed their e-mail addresses.

    Raises Unauthenticated or PermissionDenied where the policy does not let them in.
    """
    if policy is Open.PUBLIC:
        return ANYBODY
    token = (request.query_params.get("access_token", "")[:MAX_TOKEN_LENGTH] if in_query else "") or bearer_token(
        request
    )
    try:
        verified = await tokens.caller(token)
    except Unauthenticated as error:
        raise Unauthenticated("The access token is invalid.", given="yes") from error
    if isinstance(policy, str):
        require_scope(verified, policy)
    if not admits_unconfirmed:
        require_confirmed(verified)
    return verified


def require_confirmed(verified: Caller) -> None:
    """Raise PermissionDenied for a member who has not confirmed the e-mail address; the sentence is Mastodon's, which clients know."""
    if verified.awaits_confirmation:
        raise PermissionDenied("Your login is missing a confirmed e-mail address")


def require_scope(verified: Caller, scope: str) -> None:
    """Raise PermissionDenied unless this is a member whose token covers the scope."""
    if not verified.account_id:
        raise PermissionDenied("This needs the token of a member; this one stands for an app only.", scope=scope)
    if not covers(verified.scopes, scope):
        raise PermissionDenied(f"This is outside the token's scopes; it needs {scope}.", scope=scope)


def bearer_token(request: HTTPConnection) -> str:
    """Return the bearer token of a request. Raises Unauthenticated where there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN_LENGTH:
        raise Unauthenticated("This needs an access token: Authorization: Bearer <token>.")
    return token
