"""Pictures that are drawn from a member's id: the portrait, and what stands over a profile."""

from starlette.responses import Response

from services.gateway import identicons
from services.gateway.auth import Open
from services.gateway.context import Call
from services.gateway.parameters import NoParameters
from services.gateway.routing import Handler, Route
from services.gateway.shedding import Urgency

FOREVER = {"cache-control": "public, max-age=86400, immutable"}


async def get_avatar(call: Call[NoParameters]) -> Response:
    """Draw a member's picture."""
    return Response(identicons.avatar(call.path_id()), 200, FOREVER, "image/svg+xml")


async def get_header(call: Call[NoParameters]) -> Response:
    """Draw the picture over a member's profile."""
    return Response(identicons.header(call.path_id()), 200, FOREVER, "image/svg+xml")


def _picture(path: str, handler: Handler, summary: str) -> Route:
    return Route(
        method="GET",
        path=path,
        handler=handler,
        policy=Open.PUBLIC,
        media_type="image/svg+xml",
        urgency=Urgency.BACKGROUND,
        is_limited=False,  # a page shows dozens of them
        summary=summary,
        tag="pages",
    )


ROUTES = (
    _picture("/avatars/{id}.svg", get_avatar, "A member's picture"),
    _picture("/headers/{id}.svg", get_header, "The picture over a member's profile"),
)
