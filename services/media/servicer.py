"""The RPCs of MediaService: requests into the domain's words and back, no rules, no SQL."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
from kodama.media.v1 import media_pb2, media_service_pb2_grpc
from kodama.media.v1 import media_service_pb2 as pb

from chassis import caller
from chassis.errors import InvalidField
from chassis.idempotency import Write, Writes, once
from chassis.rpc import Service, method_names, require_batch
from services.media.domain import Focus, Media, check_new_media
from services.media.reading import Reading
from services.media.uploading import Uploading

MAX_BATCH = 1000
Context = grpc.aio.ServicerContext[Any, Any]


class MediaServicer(media_service_pb2_grpc.MediaServiceServicer):
    """Translates between kodama.media.v1 and the use cases."""

    def __init__(self, writes: Writes, uploading: Uploading, reading: Reading) -> None:
        self.writes = writes
        self._uploading = uploading
        self._reading = reading

    async def UploadMedia(
        self, request_iterator: AsyncIterator[pb.UploadMediaRequest], context: Context
    ) -> pb.UploadMediaResponse:
        """Store a picture."""
        first = await anext(request_iterator, None)
        if first is None:
            raise InvalidField("content", "The upload is empty.")
        new = check_new_media(first.account_id, first.description, _focus(first))

        async def pieces() -> AsyncIterator[bytes]:
            yield first.content
            async for request in request_iterator:
                yield request.content

        with self._uploading.place():
            content = await self._uploading.collect(pieces())

            async def store(write: Write) -> pb.UploadMediaResponse:
                return pb.UploadMediaResponse(media=_to_proto(await self._uploading.store(write, new, content)))

            # The whole upload as one request, which an idempotency key stands for; the file as its hash.
            whole = pb.UploadMediaRequest()
            whole.CopyFrom(first)
            whole.content = hashlib.sha256(content).digest()
            return await self.writes.run(whole, first.account_id, pb.UploadMediaResponse, store)

    @once(pb.UpdateMediaResponse)
    async def UpdateMedia(self, request: pb.UpdateMediaRequest, write: Write) -> pb.UpdateMediaResponse:
        """Change what is said of an own picture."""
        description = request.description if request.HasField("description") else None
        media = await self._uploading.update(write, request.account_id, request.media_id, description, _focus(request))
        return pb.UpdateMediaResponse(media=_to_proto(media))

    async def BatchGetMedia(self, request: pb.BatchGetMediaRequest, context: Context) -> pb.BatchGetMediaResponse:
        """Return those that exist."""
        require_batch("media_ids", request.media_ids, MAX_BATCH)
        found = await self._reading.find(request.media_ids, request.account_id)
        return pb.BatchGetMediaResponse(media=[_to_proto(media) for media in found])

    async def DownloadMedia(
        self, request: pb.DownloadMediaRequest, context: Context
    ) -> AsyncIterator[pb.DownloadMediaResponse]:
        """Send a picture's bytes."""
        is_preview = request.kind == media_pb2.RENDITION_KIND_PREVIEW
        is_first = True
        async for piece in self._reading.pieces(request.media_id, request.token, is_preview=is_preview):
            if is_first:
                yield pb.DownloadMediaResponse(extension=piece.extension, size=piece.size, content=piece.content)
            else:
                yield pb.DownloadMediaResponse(content=piece.content)
            is_first = False


def _focus(request: pb.UploadMediaRequest | pb.UpdateMediaRequest) -> Focus | None:
    return Focus(request.focus.x, request.focus.y) if request.HasField("focus") else None


def _to_proto(media: Media) -> media_pb2.Media:
    focus = None
    if media.focus_x is not None and media.focus_y is not None:
        focus = media_pb2.Focus(x=media.focus_x, y=media.focus_y)
    return media_pb2.Media(
        id=media.id,
        account_id=media.account_id,
        created_at_ms=media.created_at_ms,
        token=media.token,
        extension=media.extension,
        original=media_pb2.Rendition(width=media.width, height=media.height),
        preview=media_pb2.Rendition(width=media.preview_width, height=media.preview_height),
        description=media.description,
        focus=focus,
        blurhash=media.blurhash,
    )


def media_service(servicer: MediaServicer) -> Service:
    """Return the service for a server, with who may call what."""
    gateway = frozenset({caller.GATEWAY})
    return Service(
        name="kodama.media.v1.MediaService",
        add=lambda server: media_service_pb2_grpc.add_MediaServiceServicer_to_server(servicer, server),
        callers={
            "UploadMedia": gateway,
            "UpdateMedia": gateway,
            "BatchGetMedia": gateway | {caller.STATUS},
            "DownloadMedia": gateway,
        },
        methods=method_names(pb.DESCRIPTOR.services_by_name["MediaService"]),
    )
