"""What a browser is shown where something went wrong: a page, or for a script a sentence."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from chassis.errors import KodamaError, PermissionDenied, Unauthenticated
from services.gateway.auth import Caller
from services.gateway.browser import templates
from services.gateway.browser.forgery import ELSEWHERE, EXPIRED
from services.gateway.browser.languages import mark, translate
from services.gateway.browser.local_paths import local_path
from services.gateway.browser.visit import PRIVATE, Taste
from services.gateway.errors import error_headers, http_code

SENTENCES = {
    400: mark("This request cannot be read."),
    403: mark("You may not do this."),
    404: mark("There is nothing here, or nothing that you may see."),
    405: mark("This address does not take this."),
    409: mark("Something else has just changed the same. Please try again."),
    413: mark("This is too large."),
    422: mark("This is not possible."),
    429: mark("That was a lot at once. Please wait a little."),
    431: mark("The request's head is too large."),
    500: mark("Something went wrong here. The fault is ours and has been logged."),
    503: mark("A part of the network does not answer. Please try again in a moment."),
}
"""HTTP code → what is said where nothing better is known in the reader's language."""


OWN = frozenset(
    {
        *(ELSEWHERE, EXPIRED),
        mark("There is no member with this name."),
        mark("There is no such status."),
        mark("There is no such blog entry."),
        mark("This network does not take new members at the moment."),
        mark("There is a lot going on at the moment; please try again in a moment."),
        mark("Too many requests; please slow down."),
        mark("Too many pages; please scroll more slowly."),
        mark("Too many changes; please wait a little."),
        mark("Too many deletions; please wait a little."),
        mark("That was enough friend requests for a day."),
        mark("Too many searches; please wait a little."),
        mark("Too many pictures; please wait a little."),
        mark("Too many sign-ups from this address; please wait a little."),
        mark("Too many attempts from this address; please wait a little."),
        mark("The mail was sent often enough; please look for it, and wait a little."),
    }
)
"""Sentences of errors that are said as they are; both languages have them."""


def sentence_for(error: KodamaError, taste: Taste) -> str:
    """Return what is said of an error in the reader's language: its own sentence where both languages have it."""
    general = SENTENCES.get(http_code(error), SENTENCES[500])
    return translate(taste.language, error.message if error.message in OWN else general)


def failure(error: KodamaError, request: Request, taste: Taste, title: str, caller: Caller | None = None) -> Response:
    """Return the answer of a page that failed. Who is not signed in is sent to do so; who waits for confirmation, there."""
    if isinstance(error, Unauthenticated):
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return _send(request, f"/sign-in?next={_quoted(back if request.method in ('GET', 'HEAD') else '/home')}")
    if isinstance(error, PermissionDenied) and caller is not None and caller.awaits_confirmation:
        return _send(request, "/sign-up/confirmation")
    code = http_code(error)
    headers = {name: value for name, value in error_headers(error).items() if name != "www-authenticate"}
    return error_page(code, sentence_for(error, taste), request, taste, title, headers)


def error_page(
    code: int, sentence: str, request: Request, taste: Taste, title: str, headers: dict[str, str] | None = None
) -> Response:
    """Return a sentence as a page, or bare where a script asks."""
    if request.headers.get("hx-request") == "true":
        return Response(sentence, code, {**PRIVATE, **(headers or {})}, "text/plain")
    values = {"title": title, "theme": taste.theme, "zone": taste.zone, "code": code, "sentence": sentence, "me": None}
    common = {"address": request.url.path, "path": request.url.path, "my_id": "", "csrf_token": ""}
    html = templates.render(taste.language, "error.html", {**values, **common})
    return templates.respond(
        html, code, {**PRIVATE, **(headers or {})}, accept_encoding=request.headers.get("accept-encoding", "")
    )


def _send(request: Request, path: str) -> Response:
    if request.headers.get("hx-request") == "true":
        return Response(status_code=401, headers={**PRIVATE, "hx-redirect": path})
    return RedirectResponse(path, 303, PRIVATE)


def _quoted(path: str) -> str:
    return quote(local_path(path, "/home"), safe="/@")
