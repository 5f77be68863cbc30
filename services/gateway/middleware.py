"""What happens to every request and answer, whatever the route: safe headers, CORS for the API, one line in the log."""

import time
from collections.abc import Mapping

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.logs import logger_for_lines
from services.gateway.errors import RETRY_AFTER_SECONDS, log_failure, plain_error, retry_after
from services.gateway.shedding import BUSY

MAX_HEADER_BYTES = 16 * 1024

SAFE_HEADERS: Mapping[str, str] = {
    "content-security-policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
API_PREFIXES = ("/api/", "/oauth/token", "/oauth/revoke", "/.well-known/")
EXPOSED = ("Link", "Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


class Edge:
    """The outermost layer: bounds headers, adds the safe ones, logs one line without query strings, tokens or bodies."""

    def __init__(self, app: ASGIApp, *, is_https: bool) -> None:
        self._app = app
        self._log = logger_for_lines("services.gateway.access")
        self._headers = _safe_headers(is_https=is_https)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, http_status = time.perf_counter(), 0

        async def send_safely(message: Message) -> None:
            nonlocal http_status
            if message["type"] == "http.response.start":
                http_status = message["status"]
                self._complete(message["headers"], scope["path"])
            await send(message)

        try:
            if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
                too_large = plain_error(431, f"The headers are larger than {MAX_HEADER_BYTES} bytes.")
                await too_large(scope, receive, send_safely)
            else:
                await self._app(scope, receive, send_safely)
        except Exception as error:  # a defect outside of any route; routes answer for themselves
            log_failure(error, scope["path"])
            if http_status == 0:
                await plain_error(500, "Something went wrong here; the fault is ours and has been logged.")(
                    scope, receive, send_safely
                )
        finally:
            self._log.info(
                "request",
                method=scope["method"],
                path=scope["path"][:200],
                http_status=http_status,
                milliseconds=round((time.perf_counter() - started) * 1000, 1),
            )

    def _complete(self, headers: list[tuple[bytes, bytes]], path: str) -> None:
        given = {name for name, _ in headers}
        headers += [header for header in self._headers if header[0] not in given]
        if path.startswith(API_PREFIXES) and b"cache-control" not in given:
            headers.append((b"cache-control", b"private, no-store"))


def _safe_headers(*, is_https: bool) -> list[tuple[bytes, bytes]]:
    headers = [(name.encode(), value.encode()) for name, value in SAFE_HEADERS.items()]
    return [*headers, (b"strict-transport-security", b"max-age=31536000")] if is_https else headers


class Refusal:
    """Refuses a request of the API because of too much load: what a route would answer, made beforehand, and without a line in the log."""

    def __init__(self, *, is_https: bool) -> None:
        self._answers = {
            str(seconds): self._answer(str(seconds), is_https=is_https)
            for seconds in range(RETRY_AFTER_SECONDS[0], RETRY_AFTER_SECONDS[1] + 1)
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        for message in self._answers[retry_after()]:
            await send(message)

    async def and_close(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and end the connection."""
        start, body = self._answers[retry_after()]
        await send({**start, "headers": [*start["headers"], (b"connection", b"close")]})
        await send(body)

    @staticmethod
    def _answer(seconds: str, *, is_https: bool) -> tuple[Message, Message]:
        answer = plain_error(503, BUSY, {"retry-after": seconds, "cache-control": "private, no-store"})
        # For scripts of any origin, whether this is one or not.
        cors = [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", ", ".join(EXPOSED).encode())]
        headers = [*answer.raw_headers, *_safe_headers(is_https=is_https), *cors]
        start = {"type": "http.response.start", "status": 503, "headers": headers}
        return start, {"type": "http.response.body", "body": bytes(answer.body)}


class ApiCors:
    """Lets scripts of any origin use the API, without cookies; pages are left alone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._cors = CORSMiddleware(
            app,
            allow_origins=["*"],
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["*"],
            allow_credentials=False,
            expose_headers=EXPOSED,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        is_api = scope["type"] == "http" and scope["path"].startswith(API_PREFIXES)
        # Only browsers say where a script comes from, and only they look for an answer to it.
        is_script = is_api and any(name == b"origin" for name, _ in scope["headers"])
        await (self._cors if is_script else self._app)(scope, receive, send)
