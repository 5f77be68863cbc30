"""Confirmation by e-mail: the page that a mailed link leads to, and what an app asks while its member has not been there."""

import msgspec
from starlette.responses import Response

from chassis.errors import NotFound
from services.gateway import html_pages
from services.gateway.auth import Open
from services.gateway.confirmation_words import WORDS
from services.gateway.consent import choose_language
from services.gateway.context import Call
from services.gateway.entities import Nothing
from services.gateway.limiting import CONFIRMATIONS, SIGN_INS
from services.gateway.parameters import NoParameters, ShortText
from services.gateway.routes.profiles import page_error
from services.gateway.routing import Route, json_response

NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}


class MailedLink(msgspec.Struct, frozen=True, kw_only=True):
    """What a link in a mail says."""

    token: ShortText = ""
    lang: ShortText = ""


class NewAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where to send the mail from now on; where it is missing, nothing changes."""

    email: ShortText = ""


async def get_confirmation(call: Call[MailedLink]) -> Response:
    """Ask for a press of the button: programs that look into mails open links, but send no forms."""
    return _page(call, "confirmation.html", token=call.params.token)


async def post_confirmation(call: Call[MailedLink]) -> Response:
    """Confirm the e-mail address that the link was mailed to."""
    words = WORDS[choose_language(call.params.lang, call.request.headers.get("accept-language", ""))]
    try:
        await call.gateway.clients.confirm_email(call.params.token)
    except NotFound:
        return _page(call, "confirmation_result.html", 404, heading=words.unknown_title, message=words.unknown)
    return _page(call, "confirmation_result.html", heading=words.done_title, message=words.done)


async def post_resending(call: Call[NewAddress]) -> Response:
    """Have the mail sent again, to another address where one is given. It comes a minute after the last one at the earliest."""
    await call.gateway.clients.resend_confirmation(call.caller.account_id, call.params.email)
    return json_response(Nothing())


async def get_confirmed(call: Call[NoParameters]) -> Response:
    """Tell whether the member's e-mail address is confirmed; true as well where the network does not ask for that."""
    return json_response(not call.caller.awaits_confirmation)


def _page(call: Call[MailedLink], template: str, code: int = 200, **values: object) -> Response:
    language = choose_language(call.params.lang, call.request.headers.get("accept-language", ""))
    return html_pages.page(template, code, NO_STORE, language=language, words=WORDS[language], **values)


ROUTES = (
    Route(
        method="GET",
        path="/auth/confirm",
        handler=get_confirmation,
        policy=Open.PUBLIC,
        params=MailedLink,
        errors=page_error,
        summary="The page on which a member confirms an e-mail address",
        tag="accounts",
    ),
    Route(
        method="POST",
        path="/auth/confirm",
        handler=post_confirmation,
        policy=Open.PUBLIC,
        params=MailedLink,
        errors=page_error,
        limits=(SIGN_INS,),
        summary="Confirm an e-mail address",
        tag="accounts",
    ),
    Route(
        method="POST",
        path="/api/v1/emails/confirmations",
        handler=post_resending,
        policy="write:accounts",
        params=NewAddress,
        response=Nothing,
        limits=(CONFIRMATIONS,),
        admits_unconfirmed=True,
        summary="Have the mail sent again that confirms an address",
        tag="accounts",
    ),
    Route(
        method="GET",
        path="/api/v1/emails/check_confirmation",
        handler=get_confirmed,
        policy="read:accounts",
        response=bool,
        admits_unconfirmed=True,
        summary="Whether the member's e-mail address is confirmed",
        tag="accounts",
    ),
)
