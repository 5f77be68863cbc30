"""What keeps other sites from sending forms in a member's name (OWASP's synchroniser token, and the browser's own word)."""

import hashlib
import hmac
import secrets

from starlette.requests import Request

from chassis.errors import PermissionDenied
from services.gateway.auth import Caller
from services.gateway.browser.languages import mark

FIELD = "csrf_token"
HEADER = "x-csrf-token"
TOKEN_BYTES = 32

ELSEWHERE = mark("This form was sent from another site. Please open the page here and try again.")
EXPIRED = mark("This form belongs to a session that is over. Please open the page again.")


class FormTokens:
    """Tokens of the forms of a session; nothing is stored."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def issue(self, caller: Caller) -> str:
        """Return a token for a page of a session: masked anew each time, so that compressed pages tell nothing of it."""
        mask = secrets.token_bytes(TOKEN_BYTES)
        return (mask + _xor(mask, self._token(caller))).hex()

    def is_good(self, caller: Caller, token: str) -> bool:
        """Tell whether a form's token is of this session."""
        if len(token) != 4 * TOKEN_BYTES:
            return False
        try:
            given = bytes.fromhex(token)
        except ValueError:
            return False
        return hmac.compare_digest(_xor(given[:TOKEN_BYTES], given[TOKEN_BYTES:]), self._token(caller))

    def check(self, request: Request, caller: Caller, token: str, base_url: str) -> None:
        """Raise PermissionDenied unless a form comes from a page of this network's and, where there is one, of this session."""
        if not comes_from_here(request, base_url):
            raise PermissionDenied(ELSEWHERE)
        if caller.account_id and not self.is_good(caller, token):
            raise PermissionDenied(EXPIRED)

    def _token(self, caller: Caller) -> bytes:
        return hmac.digest(self._key, caller.token.encode(), hashlib.sha256)


def comes_from_here(request: Request, base_url: str) -> bool:
    """Tell whether the browser says that a form comes from this network, or says nothing; each sends one of the two headers."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin", "")
    here = f"{request.url.scheme}://{request.headers.get('host', '')}"
    return origin.lower() in ("", base_url.lower(), here.lower())


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(left ^ right for left, right in zip(one, other, strict=True))
