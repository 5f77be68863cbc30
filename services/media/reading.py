"""Use case: find pictures and read their bytes, piece by piece."""

from collections.abc import AsyncIterator, Sequence

from chassis.database import Pool, connection
from chassis.errors import NotFound
from services.media import store
from services.media.domain import Media
from services.media.store import Piece

PIECE_BYTES = 256 * 1024


class Reading:
    """Reads pictures. Whoever has the token of one may see it, as whoever has its address may."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def find(self, media_ids: Sequence[int], account_id: int = 0) -> list[Media]:
        """Return those that exist, or those of them that are an account's, in no order."""
        if not media_ids:
            return []
        async with connection(self._pool) as conn:
            found = await store.list_media(conn, media_ids)
        return [media for media in found if account_id in (0, media.account_id)]

    async def pieces(self, media_id: int, token: str, *, is_preview: bool) -> AsyncIterator[Piece]:
        """Yield a picture's bytes. Raises NotFound.

        Each piece is read when it is asked for: a slow reader holds no connection, and no more memory than a piece takes.
        """
        offset, size = 0, 1
        while offset < size:
            async with connection(self._pool) as conn:
                piece = await store.find_piece(
                    conn, media_id, token, is_preview=is_preview, offset=offset, length=PIECE_BYTES
                )
            if piece is None:
                raise NotFound("There is no such picture.", resource="media")
            yield piece
            offset, size = offset + PIECE_BYTES, piece.size
