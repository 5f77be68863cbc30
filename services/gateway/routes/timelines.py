"""Timelines: what friends posted."""

from starlette.responses import Response

from services.gateway.context import Call
from services.gateway.entities import Status
from services.gateway.pages import link_header
from services.gateway.parameters import WindowParameters
from services.gateway.routing import Route, encoded_response

LAG_HEADER = "x-timeline-lag-ms"
"""Age of the oldest post that is not fanned out yet; the page has it all the same."""
DEFAULT_HOME, MAX_HOME = 20, 40


async def get_home(call: Call[WindowParameters]) -> Response:
    """Return a page of the caller's home timeline."""
    gateway = call.gateway
    window = call.params.window(default=DEFAULT_HOME, maximum=MAX_HOME)
    home = await gateway.clients.home(call.caller.account_id, window)
    posts = await gateway.hydration.home(call.caller.account_id, home.entries)
    # What was scanned, not what is shown: something may have been deleted in between, and much may not be shown.
    links = link_header(gateway.base_url, call.request, next_page=home.older, previous=home.newer)
    return encoded_response(posts, {**links, LAG_HEADER: str(home.lag_ms)})


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/timelines/home",
        handler=get_home,
        policy="read:statuses",
        params=WindowParameters,
        response=list[Status],
        summary="What the caller and their friends posted",
        tag="timelines",
    ),
)
