"""Pictures that come with a form."""

from typing import Any

from kodama.media.v1 import media_pb2

from chassis.errors import InvalidField
from services.gateway.browser.languages import mark
from services.gateway.browser.visit import Visit
from services.gateway.routes.media import FILE, pieces_of

PICTURE_FAULT = mark("This is not a picture that can be shown: JPEG, PNG, WebP or GIF, up to 8 MiB.")
MAX_DESCRIPTION = 1500


async def upload(visit: Visit[Any], description: str, name: str = FILE) -> media_pb2.Media | None:
    """Store the picture that came with a form; None without one. Raises InvalidField for what is none, naming the field."""
    if name not in visit.files:
        return None
    try:
        return await visit.gateway.clients.upload_media(
            account_id=visit.viewer_id,
            description=description[:MAX_DESCRIPTION],
            focus=None,
            content=pieces_of(visit.files[name]),
        )
    except InvalidField as error:
        raise InvalidField(name, error.message) from error
