"""Every SQL text of this service."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from chassis.database import Connection
from chassis.ids import Kind
from services.media.domain import Focus, Media, NewMedia, Picture


@dataclass(frozen=True)
class Piece:
    """Some bytes of a picture, and how many there are in all."""

    extension: str
    size: int
    content: bytes


async def insert_media(conn: Connection, new: NewMedia, picture: Picture, token: str) -> Media:
    """Insert a picture."""
    original, preview = picture.original, picture.preview
    async with conn.cursor(row_factory=class_row(Media)) as cursor:
        await cursor.execute(
            """
            INSERT INTO media (account_id, id, token, extension, width, height, preview_width, preview_height,
                description, focus_x, focus_y, blurhash, original, preview)
            VALUES (%(account_id)s, next_id(%(kind)s), %(token)s, %(extension)s, %(width)s, %(height)s,
                %(preview_width)s, %(preview_height)s, %(description)s, %(focus_x)s, %(focus_y)s, %(blurhash)s,
                %(original)b, %(preview)b)
            RETURNING id, account_id, token, extension, width, height, preview_width, preview_height, description,
                focus_x, focus_y, blurhash
            """,
            {
                "account_id": new.account_id,
                "kind": Kind.OTHER.value,
                "token": token,
                "extension": picture.extension,
                "width": original.width,
                "height": original.height,
                "preview_width": preview.width,
                "preview_height": preview.height,
                "description": new.description,
                "focus_x": new.focus.x if new.focus else None,
                "focus_y": new.focus.y if new.focus else None,
                "blurhash": picture.blurhash,
                "original": original.content,
                "preview": preview.content,
            },
        )
        media = await cursor.fetchone()
    assert media is not None
    return media


async def update_media(
    conn: Connection, account_id: int, media_id: int, description: str | None, focus: Focus | None
) -> Media | None:
    """Change what is said of an own picture, as far as it is given; None where there is none."""
    async with conn.cursor(row_factory=class_row(Media)) as cursor:
        await cursor.execute(
            """
            UPDATE media SET description = coalesce(%(description)s, description),
                focus_x = coalesce(%(focus_x)s, focus_x), focus_y = coalesce(%(focus_y)s, focus_y)
            WHERE account_id = %(account_id)s AND id = %(media_id)s AND discarded_at IS NULL
            RETURNING id, account_id, token, extension, width, height, preview_width, preview_height, description,
                focus_x, focus_y, blurhash
            """,
            {
                "account_id": account_id,
                "media_id": media_id,
                "description": description,
                "focus_x": focus.x if focus else None,
                "focus_y": focus.y if focus else None,
            },
        )
        return await cursor.fetchone()


async def list_media(conn: Connection, media_ids: Sequence[int]) -> list[Media]:
    """Return those that exist and are not discarded, in no order."""
    async with conn.cursor(row_factory=class_row(Media)) as cursor:
        await cursor.execute(
            "SELECT id, account_id, token, extension, width, height, preview_width, preview_height, description,"
            " focus_x, focus_y, blurhash FROM media WHERE id = ANY(%s) AND discarded_at IS NULL",
            (list(media_ids),),
        )
        return await cursor.fetchall()


async def find_piece(
    conn: Connection, media_id: int, token: str, *, is_preview: bool, offset: int, length: int
) -> Piece | None:
    """Return up to `length` bytes of a picture from an offset; None where there is no picture with this id and token."""
    async with conn.cursor(row_factory=class_row(Piece), binary=True) as cursor:
        await cursor.execute(
            """
            SELECT extension, octet_length(content) AS size, substring(content FROM %(start)s FOR %(length)s) AS content
            FROM (
                SELECT extension, CASE WHEN %(is_preview)s THEN preview ELSE original END AS content
                FROM media WHERE id = %(media_id)s AND token = %(token)s AND discarded_at IS NULL
            ) AS found
            """,
            {
                "media_id": media_id,
                "token": token,
                "is_preview": is_preview,
                "start": offset + 1,
                "length": length,
            },
        )
        return await cursor.fetchone()


async def discard_media(conn: Connection, media_ids: Sequence[int]) -> None:
    """Hide pictures from everybody; what is discarded stays so since when it was."""
    await conn.execute(
        "UPDATE media SET discarded_at = now() WHERE id = ANY(%s) AND discarded_at IS NULL", (list(media_ids),)
    )


async def keep_media(conn: Connection, media_ids: Sequence[int]) -> None:
    """Note that pictures are shown, and show those again that were discarded."""
    await conn.execute(
        "UPDATE media SET is_attached = true, discarded_at = NULL WHERE id = ANY(%s)", (list(media_ids),)
    )


async def list_own(conn: Connection, pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Return the pictures of those pairs (picture, account) in which it is the account's own, in no order."""
    if not pairs:
        return []
    cursor = await conn.execute(
        "SELECT media.id FROM media JOIN unnest(%s::bigint[], %s::bigint[]) AS shown(id, account_id)"
        " ON media.id = shown.id AND media.account_id = shown.account_id",
        ([media_id for media_id, _ in pairs], [account_id for _, account_id in pairs]),
    )
    return [media_id for (media_id,) in await cursor.fetchall()]


async def note_shown(conn: Connection, media_ids: Sequence[int]) -> None:
    """Note that profiles show pictures now, and show those again that were discarded."""
    await conn.execute("UPDATE media SET shown_at = now(), discarded_at = NULL WHERE id = ANY(%s)", (list(media_ids),))


async def delete_media(conn: Connection, media_ids: Sequence[int]) -> None:
    """Delete discarded pictures for good."""
    await conn.execute("DELETE FROM media WHERE id = ANY(%s) AND discarded_at IS NOT NULL", (list(media_ids),))


async def list_loose(conn: Connection, limit: int) -> list[int]:
    """Return some pictures older than a day that are not known to be shown, on a profile since a day, oldest first."""
    cursor = await conn.execute(
        "SELECT id FROM media WHERE NOT is_attached AND discarded_at IS NULL"
        " AND (shown_at IS NULL OR shown_at < now() - interval '1 day')"
        " AND id < (extract(epoch FROM now() - interval '1 day') * 1000)::bigint << 16 ORDER BY id LIMIT %s",
        (limit,),
    )
    return [media_id for (media_id,) in await cursor.fetchall()]


async def list_discarded(conn: Connection, limit: int) -> list[int]:
    """Return some pictures that were discarded more than ten minutes ago, oldest first."""
    cursor = await conn.execute(
        "SELECT id FROM media WHERE discarded_at < now() - interval '10 minutes' ORDER BY discarded_at LIMIT %s",
        (limit,),
    )
    return [media_id for (media_id,) in await cursor.fetchall()]
