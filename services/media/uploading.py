"""Use case: store pictures, and change what is said of them."""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from chassis.errors import InvalidField, NotFound, Unavailable
from chassis.idempotency import Write
from services.media import store
from services.media.converting import Converter
from services.media.domain import MAX_FILE_BYTES, Focus, Media, NewMedia, check_description, check_focus

MAX_UPLOADS = 24
TOKEN_BYTES = 16


class Uploading:
    """Takes files in and stores what a converter makes of them."""

    def __init__(self, converter: Converter) -> None:
        self._converter = converter
        self._uploads = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Count an upload from its first byte on; each can take 8 MiB of memory. Raises Unavailable where there are too many."""
        if self._uploads >= MAX_UPLOADS:
            raise Unavailable("Too many pictures are uploaded at the moment; please try again soon.")
        self._uploads += 1
        try:
            yield
        finally:
            self._uploads -= 1

    @staticmethod
    async def collect(pieces: AsyncIterator[bytes]) -> bytes:
        """Return a whole file. Raises InvalidField where it is empty or too large."""
        content = bytearray()
        async for piece in pieces:
            content += piece
            if len(content) > MAX_FILE_BYTES:
                raise InvalidField("content", f"A file has at most {MAX_FILE_BYTES // 1024**2} MiB.")
        if not content:
            raise InvalidField("content", "The file is empty.")
        return bytes(content)

    async def store(self, write: Write, new: NewMedia, content: bytes) -> Media:
        """Store the picture that a file shows. Raises InvalidField or Unavailable, as the converter does."""
        picture = await self._converter.convert(content)
        return await store.insert_media(await write.begin(), new, picture, secrets.token_hex(TOKEN_BYTES))

    @staticmethod
    async def update(
        write: Write, account_id: int, media_id: int, description: str | None, focus: Focus | None
    ) -> Media:
        """Change what is said of an own picture. Raises InvalidField, and NotFound for others' and unknown ones."""
        cleaned = None if description is None else check_description(description)
        media = await store.update_media(await write.begin(), account_id, media_id, cleaned, check_focus(focus))
        if media is None:
            raise NotFound("There is no such picture of yours.", resource="media")
        return media
