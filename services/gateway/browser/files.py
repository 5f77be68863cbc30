"""The files that pages load."""

from starlette.responses import Response

from chassis.errors import NotFound
from services.gateway import static_files
from services.gateway.browser.endpoint import Audience, Page
from services.gateway.browser.visit import Visit
from services.gateway.parameters import NoParameters

FOR_EVER = {"cache-control": "public, max-age=31536000, immutable", "vary": "accept-encoding"}


async def get_asset(visit: Visit[NoParameters]) -> Response:
    """Return a file by the name that has its content's hash in it."""
    found = static_files.by_address().get(visit.request.path_params["name"])
    if found is None:
        raise NotFound("There is no such file.", resource="asset")
    if "gzip" in visit.request.headers.get("accept-encoding", ""):
        return Response(found.compressed, 200, {**FOR_EVER, "content-encoding": "gzip"}, found.media_type)
    return Response(found.content, 200, FOR_EVER, found.media_type)


PAGES = (Page(method="GET", path="/assets/{name}", handler=get_asset, audience=Audience.FILE),)
