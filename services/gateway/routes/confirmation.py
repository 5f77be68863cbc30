"""Confirmation by e-mail: what an app asks while its member has not been where the mailed link leads."""

import msgspec
from starlette.responses import Response

from services.gateway.context import Call
from services.gateway.entities import Nothing
from services.gateway.limiting import CONFIRMATIONS
from services.gateway.parameters import NoParameters, ShortText
from services.gateway.routing import Route, json_response


class NewAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where to send the mail from now on; where it is missing, nothing changes."""

    email: ShortText = ""


async def post_resending(call: Call[NewAddress]) -> Response:
    """Have the mail sent again, to another address where one is given. It comes a minute after the last one at the earliest."""
    await call.gateway.clients.resend_confirmation(call.caller.account_id, call.params.email)
    return json_response(Nothing())


async def get_confirmed(call: Call[NoParameters]) -> Response:
    """Tell whether the member's e-mail address is confirmed; true as well where the network does not ask for that."""
    return json_response(not call.caller.awaits_confirmation)


ROUTES = (
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
