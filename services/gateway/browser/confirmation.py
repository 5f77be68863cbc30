"""The page that a mailed link leads to: it confirms an e-mail address."""

import msgspec
from starlette.responses import Response

from chassis.errors import NotFound
from services.gateway.browser.endpoint import Audience, Page
from services.gateway.browser.visit import Visit
from services.gateway.limiting import SIGN_INS
from services.gateway.parameters import ShortText


class MailedLink(msgspec.Struct, frozen=True, kw_only=True):
    """What a link in a mail says."""

    token: ShortText = ""
    lang: ShortText = ""


async def get_confirmation(visit: Visit[MailedLink]) -> Response:
    """Ask for a press of the button: programs that look into mails open links, but send no forms."""
    return await visit.page("confirmation.html", token=visit.params.token)


async def post_confirmation(visit: Visit[MailedLink]) -> Response:
    """Confirm the e-mail address that the link was mailed to."""
    try:
        await visit.gateway.clients.confirm_email(visit.params.token)
    except NotFound:
        return await visit.page("confirmation_result.html", 404, is_done=False)
    return await visit.page("confirmation_result.html", is_done=True)


PAGES = (
    Page(
        method="GET",
        path="/auth/confirm",
        handler=get_confirmation,
        audience=Audience.ANYBODY,
        params=MailedLink,
    ),
    Page(
        method="POST",
        path="/auth/confirm",
        handler=post_confirmation,
        audience=Audience.ANYBODY,
        params=MailedLink,
        limits=(SIGN_INS,),
    ),
)
