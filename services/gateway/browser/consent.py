"""The page on which a member lets an app in or not (RFC 6749 4.1, RFC 9700).

Who is signed in approves with one press, which carries the session's form token; who is not sends name and password along, for this
once and without a session. An app that says `force_login` has the password asked for in any case.
"""

import re
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

import msgspec
from kodama.account.v1.oauth_service_pb2 import AuthorizationRequest, CheckAuthorizationResponse
from starlette.responses import RedirectResponse, Response

from chassis.errors import OAuthRefused, TooManyAttempts, Unauthenticated
from services.gateway.browser.endpoint import Audience, Page
from services.gateway.browser.languages import mark
from services.gateway.browser.scope_words import meanings
from services.gateway.browser.sessions import LOGIN_MISSING, PASSWORD_MISSING, WRONG, too_many
from services.gateway.browser.templates import POLICY
from services.gateway.browser.visit import Visit
from services.gateway.limiting import SIGN_INS, RateLimit
from services.gateway.parameters import ShortText

OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"
NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}
DECISION_MISSING = mark("Please approve or deny.")

_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?", re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*", re.ASCII)


class Authorization(msgspec.Struct, frozen=True, kw_only=True):
    """What an app sends a member's browser with."""

    response_type: ShortText = ""
    client_id: ShortText = ""
    redirect_uri: ShortText = ""
    scope: ShortText = ""
    state: ShortText = ""
    code_challenge: ShortText = ""
    code_challenge_method: ShortText = ""
    lang: ShortText = ""
    force_login: bool = False
    """The member is to sign in anew."""

    def request(self) -> AuthorizationRequest:
        """Return it as the account service reads it."""
        return AuthorizationRequest(
            response_type=self.response_type,
            client_id=self.client_id,
            redirect_uri=self.redirect_uri,
            scope=self.scope,
            code_challenge=self.code_challenge,
            code_challenge_method=self.code_challenge_method,
        )


class Decision(Authorization, frozen=True, kw_only=True):
    """The form that a member sends back."""

    login: ShortText = ""
    password: ShortText = ""
    decision: ShortText = ""
    """"approve" or "deny"."""


Asking = Visit[Authorization] | Visit[Decision]


async def get_authorization(visit: Visit[Authorization]) -> Response:
    """Ask a member to let an app in, or not."""
    names = [name for name, _ in visit.request.query_params.multi_items()]
    if len(names) > len(set(names)):  # RFC 6749 3.1; which of them holds, browsers and servers see differently
        return await _refusal(visit, OAuthRefused("A parameter comes more than once.", code="invalid_request"))
    try:
        asked = await visit.gateway.clients.check_authorization(visit.params.request())
    except OAuthRefused as error:
        return await _refusal(visit, error)
    return await _form(visit, asked)


async def post_authorization(visit: Visit[Decision]) -> Response:
    """Do what the member has decided: give the app a code, or tell it that it may not have one."""
    form = visit.params
    if visit.request.url.query:  # where a password would be kept in logs and histories
        return await _refusal(
            visit, OAuthRefused("The form belongs into the body of the request.", code="invalid_request")
        )
    try:
        asked = await visit.gateway.clients.check_authorization(form.request())
    except OAuthRefused as error:
        return await _refusal(visit, error)
    if form.decision == "deny":
        return await _deny(visit, asked)
    faults = _faults(visit)
    if faults:
        return await _form(visit, asked, 422, faults=faults)
    return await _approve(visit, asked)


async def _approve(visit: Visit[Decision], asked: CheckAuthorizationResponse) -> Response:
    form, clients = visit.params, visit.gateway.clients
    try:
        if _asks_password(visit):
            code, redirect_uri = await clients.authorize(form.request(), login=form.login, password=form.password)
        else:
            code, redirect_uri = await clients.authorize(form.request(), account_id=visit.viewer_id)
    except OAuthRefused as error:
        return await _refusal(visit, error)
    except Unauthenticated:
        return await _form(visit, asked, 422, faults={"password": visit.say(WRONG)})
    except TooManyAttempts as error:
        fault, headers = too_many(visit, error)
        return await _form(visit, asked, 429, faults={"password": fault}, headers=headers)
    if redirect_uri == OUT_OF_BAND:
        return await _page(visit, "authorization_code.html", app=asked.app, issued_code=code)
    return _redirect(visit, redirect_uri, {"code": code})


def _asks_password(visit: Asking) -> bool:
    return not visit.viewer_id or visit.params.force_login


def _faults(visit: Visit[Decision]) -> Mapping[str, str]:
    form, asks = visit.params, _asks_password(visit)
    checks = (
        ("login", bool(form.login.strip()) or not asks, LOGIN_MISSING),
        ("password", bool(form.password) or not asks, PASSWORD_MISSING),
        ("decision", form.decision == "approve", DECISION_MISSING),
    )
    return {field: visit.say(fault) for field, is_fine, fault in checks if not is_fine}


async def _page(
    visit: Asking, template: str, code: int = 200, headers: Mapping[str, str] | None = None, **values: object
) -> Response:
    return await visit.page(template, code, {**NO_STORE, **(headers or {})}, **values)


async def _form(
    visit: Asking,
    asked: CheckAuthorizationResponse,
    code: int = 200,
    *,
    faults: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    params = visit.params
    kept = {field: getattr(params, field) for field in Authorization.__struct_fields__ if field != "force_login"}
    if params.force_login:
        kept["force_login"] = "true"
    place = "" if asked.redirect_uri == OUT_OF_BAND else urlsplit(asked.redirect_uri).netloc or asked.redirect_uri
    # A browser follows the redirect after the form only to where the form may go.
    policy = POLICY.replace("form-action 'self'", f"form-action 'self'{_form_target(asked.redirect_uri)}")
    return await _page(
        visit,
        "authorization.html",
        code,
        {"content-security-policy": policy, **(headers or {})},
        app=asked.app,
        meanings=[visit.say(meaning) for meaning in meanings(asked.scopes)],
        kept={name: value for name, value in kept.items() if value},
        login=params.login if isinstance(params, Decision) else "",
        asks_password=_asks_password(visit),
        place=place,
        faults=faults or {},
    )


def _form_target(redirect_uri: str) -> str:
    """Return a redirect URI as a source of a content security policy; its host, or its scheme where it has no plain one."""
    if redirect_uri == OUT_OF_BAND:
        return ""
    parts = urlsplit(redirect_uri)
    if parts.scheme in ("http", "https") and _HOST.fullmatch(parts.netloc):
        return f" {parts.scheme}://{parts.netloc}"
    return f" {parts.scheme}:" if _SCHEME.fullmatch(parts.scheme) else ""


async def _deny(visit: Visit[Decision], asked: CheckAuthorizationResponse) -> Response:
    if asked.redirect_uri == OUT_OF_BAND:
        return await _page(visit, "authorization_denied.html", app=asked.app)
    denial = {"error": "access_denied", "error_description": "The member has denied the request."}
    return _redirect(visit, asked.redirect_uri, denial)


async def _refusal(visit: Asking, error: OAuthRefused) -> Response:
    """Tell the app, where it is certain which one it is and where it is; else whoever sits before the page."""
    redirect_uri = error.metadata.get("redirect_uri", "")
    if redirect_uri and redirect_uri != OUT_OF_BAND:
        fault = {"error": error.metadata["code"], "error_description": error.message}
        return _redirect(visit, redirect_uri, fault)
    return await _page(visit, "authorization_refused.html", 400, details=f"{error.metadata['code']}: {error.message}")


def _redirect(visit: Asking, redirect_uri: str, answer: Mapping[str, str]) -> RedirectResponse:
    """Send the browser back to the app; 303, which never sends the password on (RFC 9700 4.12)."""
    parameters = dict(answer)
    if visit.params.state:
        parameters["state"] = visit.params.state
    if visit.gateway.base_url.startswith("https://"):
        parameters["iss"] = visit.gateway.base_url  # RFC 9207
    separator = "&" if urlsplit(redirect_uri).query else "" if redirect_uri.endswith("?") else "?"
    response = RedirectResponse(f"{redirect_uri}{separator}{urlencode(parameters)}", 303, NO_STORE)
    # Starlette quotes the address anew; what the app has registered is to stay as it is.
    response.headers["location"] = f"{redirect_uri}{separator}{urlencode(parameters)}"
    return response


def _row(method: str, handler: object, params: type[msgspec.Struct], *limits: RateLimit) -> Page:
    return Page(
        method=method,
        path="/oauth/authorize",
        handler=handler,  # type: ignore[arg-type]  # each handler's own struct is named by params
        audience=Audience.ANYBODY,
        params=params,
        limits=limits,
    )


PAGES = (
    _row("GET", get_authorization, Authorization),
    _row("POST", post_authorization, Decision, SIGN_INS),
)
