"""What is new, as it happens: a browser is told of ids, and reads the pages as everybody does."""

import msgspec
from starlette.responses import Response

from services.gateway.browser.endpoint import Audience, Page
from services.gateway.browser.visit import Visit
from services.gateway.parameters import Id
from services.gateway.streaming.events import Event
from services.gateway.streaming.resumption import Resumption
from services.gateway.streaming.server_sent import EventStream


class LiveParameters(msgspec.Struct, frozen=True, kw_only=True):
    """The newest post that the browser has."""

    since_id: Id | None = None


async def get_live(visit: Visit[LiveParameters]) -> Response:
    """Tell of posts, changes, deletions and notifications until the browser goes or the session ends."""
    caller, hub = visit.caller, visit.gateway.hub
    stream = await hub.open(
        caller.account_id, bytes.fromhex(caller.token), caller.scopes, "user", Resumption(visit.params.since_id or 0)
    )
    return EventStream(hub, stream, write=id_only)


def id_only(event: Event, _: Resumption | None) -> bytes:
    """Return an event without its content: what may be seen is decided when the page is read."""
    return f"event: {event.name}\ndata: {event.id}\n\n".encode()


PAGES = (
    Page(
        method="GET",
        path="/live",
        handler=get_live,
        audience=Audience.MEMBER,
        params=LiveParameters,
        holds_no_place=True,
    ),
)
