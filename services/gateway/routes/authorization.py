"""Signing in: the pages on which a member lets an app in or not (RFC 6749 4.1, RFC 9700).

There is no session and no cookie: who approves sends name and password along, so that no other site can approve for them.
"""

import math
import re
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

import msgspec
from kodama.account.v1.oauth_service_pb2 import AuthorizationRequest, CheckAuthorizationResponse
from starlette.responses import RedirectResponse, Response

from chassis.errors import KodamaError, OAuthRefused, TooManyAttempts, Unauthenticated
from services.gateway import html_pages
from services.gateway.auth import Open
from services.gateway.consent import WORDS, Language, choose_language, meanings
from services.gateway.context import Call
from services.gateway.limiting import SIGN_INS, RateLimit
from services.gateway.parameters import ShortText
from services.gateway.routes.profiles import page_error
from services.gateway.routing import Route

OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"
NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}

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
    """Accepted: everybody has to sign in here, always."""

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


async def get_authorization(call: Call[Authorization]) -> Response:
    """Ask a member to sign in and to let an app in, or not."""
    names = [name for name, _ in call.request.query_params.multi_items()]
    if len(names) > len(set(names)):  # RFC 6749 3.1; which of them holds, browsers and servers see differently
        return _refusal(call, OAuthRefused("A parameter comes more than once.", code="invalid_request"))
    try:
        asked = await call.gateway.clients.check_authorization(call.params.request())
    except OAuthRefused as error:
        return _refusal(call, error)
    return _form(call, asked)


async def post_authorization(call: Call[Decision]) -> Response:
    """Do what the member has decided: give the app a code, or tell it that it may not have one."""
    form, clients, words = call.params, call.gateway.clients, WORDS[_language(call)]
    if call.request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return _page(call, "authorization_refused.html", 403, heading=words.refused_title, message=words.elsewhere)
    if call.request.url.query:  # where a password would be kept in logs and histories
        return _refusal(call, OAuthRefused("The form belongs into the body of the request.", code="invalid_request"))
    try:
        asked = await clients.check_authorization(form.request())
        if form.decision == "deny":
            return _deny(call, asked)
        faults = _faults(call)
        if faults:
            return _form(call, asked, 422, faults=faults)
        code, redirect_uri = await clients.authorize(form.request(), login=form.login, password=form.password)
    except OAuthRefused as error:
        return _refusal(call, error)
    except Unauthenticated:
        return _form(call, asked, 422, faults={"password": words.wrong})
    except TooManyAttempts as error:
        seconds = int(error.metadata["retryAfterSeconds"])
        fault = words.too_many.format(minutes=math.ceil(seconds / 60))
        return _form(call, asked, 429, faults={"password": fault}, headers={"retry-after": str(seconds)})
    if redirect_uri == OUT_OF_BAND:
        return _page(call, "authorization_code.html", app=asked.app, issued_code=code)
    return _redirect(call, redirect_uri, {"code": code})


def _language(call: Call[Authorization] | Call[Decision]) -> Language:
    return choose_language(call.params.lang, call.request.headers.get("accept-language", ""))


def _faults(call: Call[Decision]) -> Mapping[str, str]:
    form, words = call.params, WORDS[_language(call)]
    checks = (
        ("login", bool(form.login.strip()), words.login_missing),
        ("password", bool(form.password), words.password_missing),
        ("decision", form.decision == "approve", words.decision_missing),
    )
    return {field: fault for field, is_fine, fault in checks if not is_fine}


def _page(
    call: Call[Authorization] | Call[Decision],
    template: str,
    code: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: object,
) -> Response:
    language = _language(call)
    return html_pages.page(
        template, code, {**NO_STORE, **(headers or {})}, language=language, words=WORDS[language], **values
    )


def _form(
    call: Call[Authorization] | Call[Decision],
    asked: CheckAuthorizationResponse,
    code: int = 200,
    *,
    faults: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    params = call.params
    kept = {field: getattr(params, field) for field in Authorization.__struct_fields__ if field != "force_login"}
    place = "" if asked.redirect_uri == OUT_OF_BAND else urlsplit(asked.redirect_uri).netloc or asked.redirect_uri
    # A browser follows the redirect after the form only to where the form may go.
    policy = html_pages.POLICY.replace("form-action 'self'", f"form-action 'self'{_form_target(asked.redirect_uri)}")
    return _page(
        call,
        "authorization.html",
        code,
        {"content-security-policy": policy, **(headers or {})},
        app=asked.app,
        meanings=meanings(asked.scopes, _language(call)),
        kept={name: value for name, value in kept.items() if value},
        login=params.login if isinstance(params, Decision) else "",
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


def _deny(call: Call[Decision], asked: CheckAuthorizationResponse) -> Response:
    if asked.redirect_uri == OUT_OF_BAND:
        return _page(call, "authorization_denied.html", app=asked.app)
    denial = {"error": "access_denied", "error_description": "The member has denied the request."}
    return _redirect(call, asked.redirect_uri, denial)


def _refusal(call: Call[Authorization] | Call[Decision], error: OAuthRefused) -> Response:
    """Tell the app, where it is certain which one it is and where it is; else whoever sits before the page."""
    redirect_uri = error.metadata.get("redirect_uri", "")
    if redirect_uri and redirect_uri != OUT_OF_BAND:
        fault = {"error": error.metadata["code"], "error_description": error.message}
        return _redirect(call, redirect_uri, fault)
    words = WORDS[_language(call)]
    return _page(
        call,
        "authorization_refused.html",
        400,
        heading=words.refused_title,
        message=words.refused,
        details=f"{error.metadata['code']}: {error.message}",
    )


def _redirect(
    call: Call[Authorization] | Call[Decision], redirect_uri: str, answer: Mapping[str, str]
) -> RedirectResponse:
    """Send the browser back to the app; 303, which never sends the password on (RFC 9700 4.12)."""
    parameters = dict(answer)
    if call.params.state:
        parameters["state"] = call.params.state
    if call.gateway.base_url.startswith("https://"):
        parameters["iss"] = call.gateway.base_url  # RFC 9207
    separator = "&" if urlsplit(redirect_uri).query else "" if redirect_uri.endswith("?") else "?"
    response = RedirectResponse(f"{redirect_uri}{separator}{urlencode(parameters)}", 303, NO_STORE)
    # Starlette quotes the address anew; what the app has registered is to stay as it is.
    response.headers["location"] = f"{redirect_uri}{separator}{urlencode(parameters)}"
    return response


def authorization_error(error: KodamaError, names: Mapping[str, str]) -> Response:
    """Return a page that says what went wrong before an app and a member were known."""
    response = page_error(error, names)
    response.headers.update(NO_STORE)
    return response


def _route(method: str, handler: object, params: type[msgspec.Struct], summary: str, *limits: RateLimit) -> Route:
    return Route(
        method=method,
        path="/oauth/authorize",
        handler=handler,  # type: ignore[arg-type]  # each handler's own struct is named by params
        policy=Open.PUBLIC,
        params=params,
        errors=authorization_error,
        answers={303: None},
        limits=limits,
        summary=summary,
        tag="oauth",
    )


ROUTES = (
    _route("GET", get_authorization, Authorization, "The page on which a member lets an app in"),
    _route("POST", post_authorization, Decision, "Let an app in, or not", SIGN_INS),
)
