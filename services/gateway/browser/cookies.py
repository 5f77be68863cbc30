"""The cookies of the pages: the session, and what a browser prefers. There are no others."""

from starlette.requests import HTTPConnection
from starlette.responses import Response

SESSION = "__Host-kodama"
"""The prefix makes browsers refuse it unless it is Secure, of this very host and of all paths (RFC 6265bis 4.1.3.2)."""
LANGUAGE = "kodama_language"
THEME = "kodama_theme"
ZONE = "kodama_zone"
"""Where the browser is; set by its script, since no header says it."""

SESSION_SECONDS = 90 * 24 * 3600
PREFERENCE_SECONDS = 365 * 24 * 3600
MAX_LENGTH = 255


def read(request: HTTPConnection, name: str) -> str:
    """Return a cookie; empty without one, or where it cannot be ours."""
    value = request.cookies.get(name, "")
    return value if len(value) <= MAX_LENGTH and value.isascii() and value.isprintable() else ""


def set_session(response: Response, secret: str) -> None:
    """Give a browser its session."""
    response.set_cookie(SESSION, secret, max_age=SESSION_SECONDS, path="/", secure=True, httponly=True, samesite="lax")


def clear_session(response: Response) -> None:
    """Take a browser's session away."""
    response.delete_cookie(SESSION, path="/", secure=True, httponly=True, samesite="lax")


def set_preference(response: Response, name: str, value: str) -> None:
    """Let a browser remember what its reader prefers."""
    response.set_cookie(name, value, max_age=PREFERENCE_SECONDS, path="/", samesite="lax")
