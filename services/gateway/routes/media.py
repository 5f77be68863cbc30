"""Pictures: uploading and describing them, and the addresses that they are seen at."""

import re
from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from kodama.media.v1 import media_pb2
from starlette.datastructures import UploadFile
from starlette.responses import Response, StreamingResponse

from chassis.errors import InvalidField, NotFound
from services.gateway import entities
from services.gateway.auth import Open
from services.gateway.context import Call
from services.gateway.limiting import MEDIA
from services.gateway.parameters import NoParameters
from services.gateway.routing import Route, json_response
from services.gateway.shedding import Urgency

FILE = "file"
PIECE_BYTES = 256 * 1024
MEDIA_TYPES = {"jpg": "image/jpeg", "webp": "image/webp"}

_NAME = re.compile(r"(original|preview)-([0-9a-f]{32})\.(jpg|webp)")
_NUMBER = r"[+-]?(?:[0-9]{1,3}(?:\.[0-9]{0,17})?|\.[0-9]{1,17})"
_FOCUS = re.compile(rf"\s*({_NUMBER})\s*,\s*({_NUMBER})\s*")

Description = Annotated[
    str, msgspec.Meta(max_length=6000, description="For who cannot see it: up to 1,500 characters.")
]
Focus = Annotated[
    str,
    msgspec.Meta(max_length=64, description="What stays in view where it is cropped: two numbers from -1 to 1, x,y."),
]


class NewMedia(msgspec.Struct, frozen=True, kw_only=True):
    """A picture to upload; the file is JPEG, PNG, WebP or GIF and has at most 8 MiB and 40 million pixels."""

    description: Description = ""
    focus: Focus = ""


class MediaChange(msgspec.Struct, frozen=True, kw_only=True):
    """What changes; what is absent stays as it is."""

    description: Description | None = None
    focus: Focus | None = None


async def post_media(call: Call[NewMedia]) -> Response:
    """Upload a picture. It is made anew from its pixels at once, without anything else that the file says, such as where it was taken."""
    params, gateway = call.params, call.gateway
    if FILE not in call.files:
        raise InvalidField("file", "file is missing: a multipart part with a file name.")
    media = await gateway.clients.upload_media(
        account_id=call.caller.account_id,
        description=params.description,
        focus=parse_focus(params.focus),
        content=pieces_of(call.files[FILE]),
    )
    return json_response(gateway.renderer.media(media))


async def get_media(call: Call[NoParameters]) -> Response:
    """Return an own picture. There is none that is still being processed: an upload is answered when it is done."""
    media_id, gateway = call.path_id(), call.gateway
    found = await gateway.clients.media([media_id], account_id=call.caller.account_id)
    if media_id not in found:
        raise NotFound("There is no such picture of yours.", resource="media")
    return json_response(gateway.renderer.media(found[media_id]))


async def put_media(call: Call[MediaChange]) -> Response:
    """Change what an own picture is described as."""
    params, gateway = call.params, call.gateway
    media = await gateway.clients.update_media(
        call.caller.account_id,
        call.path_id(),
        description=params.description,
        focus=None if params.focus is None else parse_focus(params.focus),
    )
    return json_response(gateway.renderer.media(media))


async def get_picture(call: Call[NoParameters]) -> Response:
    """Send a picture to whoever knows its address, which cannot be guessed."""
    name = _NAME.fullmatch(call.request.path_params["name"])
    if name is None:
        raise NotFound("There is no such picture.", resource="media")
    download = await call.gateway.clients.download_media(call.path_id(), name[2], is_preview=name[1] == "preview")
    if download.extension != name[3]:
        raise NotFound("There is no such picture.", resource="media")
    headers = {
        # Its bytes never change; a deleted one stays with those who have fetched it.
        "cache-control": "public, max-age=31536000, immutable",
        "content-disposition": f'inline; filename="{name[0]}"',
        "content-length": str(download.size),
        "content-security-policy": "default-src 'none'; sandbox",
        "cross-origin-resource-policy": "cross-origin",
        "access-control-allow-origin": "*",
    }
    return StreamingResponse(download.content, 200, headers, MEDIA_TYPES[name[3]])


def parse_focus(text: str) -> media_pb2.Focus | None:
    """Return the focus that clients write as `x,y`; None for nothing. Raises InvalidField."""
    if not text:
        return None
    match = _FOCUS.fullmatch(text)
    if match is None:
        raise InvalidField("focus", "focus must be two numbers from -1 to 1 with a comma between them.")
    return media_pb2.Focus(x=float(match[1]), y=float(match[2]))


async def pieces_of(file: UploadFile) -> AsyncIterator[bytes]:
    """Yield an uploaded file."""
    while piece := await file.read(PIECE_BYTES):
        yield piece


def _upload(path: str) -> Route:
    return Route(
        method="POST",
        path=path,
        handler=post_media,
        policy="write:media",
        params=NewMedia,
        takes_files=(FILE,),
        limits=(MEDIA,),
        response=entities.MediaAttachment,
        fields={"content": "file"},
        summary="Upload a picture",
        tag="media",
    )


ROUTES = (
    _upload("/api/v2/media"),
    _upload("/api/v1/media"),
    Route(
        method="GET",
        path="/api/v1/media/{id}",
        handler=get_media,
        policy="write:media",
        response=entities.MediaAttachment,
        summary="An own picture",
        tag="media",
    ),
    Route(
        method="PUT",
        path="/api/v1/media/{id}",
        handler=put_media,
        policy="write:media",
        params=MediaChange,
        response=entities.MediaAttachment,
        fields={"media_id": "id"},
        summary="Describe a picture",
        tag="media",
    ),
    Route(
        method="GET",
        path="/media/{id}/{name}",
        handler=get_picture,
        policy=Open.PUBLIC,
        urgency=Urgency.BACKGROUND,
        is_limited=False,
        media_type="image/*",
        summary="A picture's bytes",
        tag="media",
    ),
)
