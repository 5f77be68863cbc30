"""Signing in and out."""

import math
from typing import Any

import msgspec
from starlette.responses import RedirectResponse, Response

from chassis.errors import TooManyAttempts, Unauthenticated
from services.gateway.browser import cookies
from services.gateway.browser.endpoint import Audience, Page
from services.gateway.browser.forms import Form
from services.gateway.browser.languages import mark
from services.gateway.browser.local_paths import local_path
from services.gateway.browser.user_agents import label_of
from services.gateway.browser.visit import PRIVATE, Visit
from services.gateway.limiting import SIGN_INS
from services.gateway.parameters import LongText, NoParameters, ShortText

LOGIN_MISSING = mark("Please say who you are.")
PASSWORD_MISSING = mark("Please enter your password.")
WRONG = mark("The name and the password do not belong together.")
TOO_MANY = mark("There were too many attempts. Please try again in %(minutes)s min.")
HOME = "/home"


class Next(msgspec.Struct, frozen=True, kw_only=True):
    """Where to go afterwards."""

    next: ShortText = ""


class Credentials(Next, frozen=True, kw_only=True):
    """A sign-in form."""

    login: LongText = ""
    password: LongText = ""


async def get_sign_in(visit: Visit[Next]) -> Response:
    """Ask who it is; whoever is signed in goes on."""
    if visit.viewer_id:
        return visit.go(local_path(visit.params.next, HOME))
    return await _form(visit, Form())


async def post_sign_in(visit: Visit[Credentials]) -> Response:
    """Open a session, or say why not."""
    form = visit.params
    typed = {"login": form.login}
    faults = {
        name: visit.say(fault)
        for name, value, fault in (
            ("login", form.login.strip(), LOGIN_MISSING),
            ("password", form.password, PASSWORD_MISSING),
        )
        if not value
    }
    if faults:
        return await _form(visit, Form(typed, faults))
    try:
        return await open_session(visit, form.login, form.password, local_path(form.next, HOME))
    except Unauthenticated:
        return await _form(visit, Form(typed, {"password": visit.say(WRONG)}))
    except TooManyAttempts as error:
        fault, headers = too_many(visit, error)
        return await _form(visit, Form(typed, {"password": fault}), 429, headers)


def too_many(visit: Visit[Any], error: TooManyAttempts) -> tuple[str, dict[str, str]]:
    """Return what is said to who has tried too often, and the header that belongs to it."""
    seconds = int(error.metadata["retryAfterSeconds"])
    return visit.say(TOO_MANY) % {"minutes": math.ceil(seconds / 60)}, {"retry-after": str(seconds)}


async def open_session(visit: Visit[Any], login: str, password: str, path: str) -> Response:
    """Give the browser a session and send it on. Raises Unauthenticated, TooManyAttempts or Unavailable."""
    clients = visit.gateway.clients
    label = label_of(visit.request.headers.get("user-agent", ""))
    secret = await clients.open_session(login=login, password=password, label=label)
    if visit.viewer_id:  # a session that is replaced is over, so that nobody else's goes on
        await clients.end_session(bytes.fromhex(visit.caller.token))
    response = RedirectResponse(path, 303, PRIVATE)
    cookies.set_session(response, secret)
    member = await visit.gateway.tokens.session(secret)
    found = await clients.accounts([member.account_id])
    for account in found.values():  # none for who has to confirm first
        cookies.set_preference(response, cookies.LANGUAGE, account.locale)
    return response


async def post_sign_out(visit: Visit[NoParameters]) -> Response:
    """End the browser's session."""
    if visit.viewer_id:
        await visit.gateway.clients.end_session(bytes.fromhex(visit.caller.token))
        visit.gateway.tokens.forget(cookies.read(visit.request, cookies.SESSION))
    response = RedirectResponse("/", 303, {**PRIVATE, "clear-site-data": '"cache"'})
    cookies.clear_session(response)
    return response


async def _form(
    visit: Visit[Next] | Visit[Credentials], form: Form, code: int = 0, headers: dict[str, str] | None = None
) -> Response:
    return await visit.page(
        "sign_in.html",
        code or form.code,
        headers,
        form=form,
        next=local_path(visit.params.next, ""),
        is_open=visit.gateway.settings.registrations_open,
        keeps_sessions=keeps_sessions(visit.gateway.base_url),
    )


def keeps_sessions(base_url: str) -> bool:
    """Tell whether browsers keep a Secure cookie of this address: over https, and of the machine itself."""
    host = base_url.partition("://")[2].partition(":")[0]
    return base_url.startswith("https://") or host in ("localhost", "127.0.0.1") or host.endswith(".localhost")


PAGES = (
    Page(method="GET", path="/sign-in", handler=get_sign_in, audience=Audience.ANYBODY, params=Next),
    Page(
        method="POST",
        path="/sign-in",
        handler=post_sign_in,
        audience=Audience.ANYBODY,
        params=Credentials,
        limits=(SIGN_INS,),
    ),
    Page(method="POST", path="/sign-out", handler=post_sign_out, audience=Audience.ANYBODY),
)
