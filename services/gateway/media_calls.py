"""What the gateway asks media: pictures go both ways in pieces, so that no message is large."""

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from dataclasses import dataclass

from kodama.media.v1 import media_pb2
from kodama.media.v1 import media_service_pb2 as pb
from kodama.media.v1 import media_service_pb2_grpc as pb_grpc

from services.gateway.calling import Calling


@dataclass(frozen=True)
class Download:
    """A picture that begins to arrive."""

    extension: str
    size: int
    content: AsyncIterator[bytes]


class MediaCalls(Calling):
    """The part of the services that is media's. Whoever opens the channels sets the stub."""

    _media: "pb_grpc.MediaServiceAsyncStub"

    async def upload_media(
        self, *, account_id: int, description: str, focus: media_pb2.Focus | None, content: AsyncIterable[bytes]
    ) -> media_pb2.Media:
        """Store the picture that a file shows."""
        first = pb.UploadMediaRequest(account_id=account_id, description=description, focus=focus)
        pieces = (pb.UploadMediaRequest(content=piece) async for piece in content)
        return (await self._write_stream(self._media.UploadMedia, first, pieces)).media

    async def update_media(
        self, account_id: int, media_id: int, *, description: str | None, focus: media_pb2.Focus | None
    ) -> media_pb2.Media:
        """Change what is said of an own picture; None leaves it as it is."""
        request = pb.UpdateMediaRequest(account_id=account_id, media_id=media_id, description=description, focus=focus)
        return (await self._write(self._media.UpdateMedia, request)).media

    async def media(self, media_ids: Iterable[int], *, account_id: int = 0) -> dict[int, media_pb2.Media]:
        """Return those that exist, or those of them that are an account's, by id. Asks nobody where none are named."""
        wanted = sorted(set(media_ids))
        if not wanted:
            return {}
        request = pb.BatchGetMediaRequest(media_ids=wanted, account_id=account_id)
        answer = await self._read(self._media.BatchGetMedia, request)
        return {media.id: media for media in answer.media}

    async def download_media(self, media_id: int, token: str, *, is_preview: bool) -> Download:
        """Return a picture as soon as its first bytes are there. Raises NotFound."""
        kind = media_pb2.RENDITION_KIND_PREVIEW if is_preview else media_pb2.RENDITION_KIND_ORIGINAL
        request = pb.DownloadMediaRequest(media_id=media_id, token=token, kind=kind)
        pieces = self._read_stream(self._media.DownloadMedia, request)
        first = await anext(pieces)

        async def content() -> AsyncIterator[bytes]:
            yield first.content
            async for piece in pieces:
                yield piece.content

        return Download(first.extension, first.size, content())
