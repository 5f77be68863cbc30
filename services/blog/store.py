"""Every SQL text about entries."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from chassis import topology
from chassis.database import Connection, array_of
from chassis.ids import Kind
from chassis.paging import Page
from services.blog.domain import (
    MAX_ANSWER_BYTES,
    MAX_TEXT_CODE_POINTS,
    BlogEntry,
    EntryHeader,
    NewBlogEntry,
    Visibility,
    Words,
)


@dataclass(frozen=True)
class Claim:
    """What an idempotency key has published; nothing where it has done something else."""

    fingerprint: bytes
    made_id: int | None


def media_tasks() -> dict[str, list[str]]:
    """Return the tasks for each picture that a text shows no more, as parameters: media_tasks, media_queues."""
    return {f"media_{name}": values for name, values in topology.tasks_of("blog.media_dropped").items()}


async def insert_entry(conn: Connection, new: NewBlogEntry) -> BlogEntry | None:
    """Insert an entry, its idempotency key and its work in one statement; None where the key was used within a day, or is just now.

    An entry for its author alone causes no work: it is on nobody else's home timeline.
    """
    async with conn.cursor(row_factory=class_row(BlogEntry)) as cursor:
        await cursor.execute(
            """
            WITH made AS MATERIALIZED (
                SELECT next_id(%(kind)s) AS id WHERE %(request_id)s = '' OR try_claim(%(account_id)s, %(request_id)s)
            ),
            claimed AS (
                INSERT INTO claims AS k (account_id, request_id, fingerprint, made_id)
                SELECT %(account_id)s, %(request_id)s, %(fingerprint)s, id FROM made WHERE %(request_id)s <> ''
                ON CONFLICT (account_id, request_id) DO UPDATE
                SET fingerprint = excluded.fingerprint, answer = NULL, made_id = excluded.made_id, created_at = now()
                WHERE k.created_at < now() - interval '1 day'
                RETURNING made_id
            ),
            published AS (
                INSERT INTO blog_entries (account_id, id, title, text, visibility)
                SELECT %(account_id)s, id, %(title)s, %(text)s, %(visibility)s FROM made
                WHERE %(request_id)s = '' OR EXISTS (SELECT FROM claimed)
                RETURNING id, account_id, title, text, visibility, version, edited_at, comments_count
            ),
            work AS (
                INSERT INTO ledger (task, queue, payload)
                SELECT t.task, t.queue, jsonb_build_object('entry_id', published.id, 'author_id', published.account_id)
                FROM published, unnest(%(tasks)s::text[], %(queues)s::text[]) AS t(task, queue)
                WHERE published.visibility <> %(self)s
            )
            SELECT id, account_id, title, text, visibility, version, edited_at, comments_count FROM published
            """,
            {
                "kind": Kind.BLOG_ENTRY.value,
                "account_id": new.account_id,
                "request_id": new.request_id,
                "fingerprint": new.fingerprint,
                "title": new.title,
                "text": new.text,
                "visibility": new.visibility.value,
                "self": Visibility.SELF.value,
                **topology.tasks_of("blog.entry_published"),
            },
        )
        return await cursor.fetchone()


async def find_claim(conn: Connection, account_id: int, request_id: str) -> Claim | None:
    """Return what an idempotency key has published."""
    async with conn.cursor(row_factory=class_row(Claim)) as cursor:
        await cursor.execute(
            "SELECT fingerprint, made_id FROM claims"
            " WHERE account_id = %s AND request_id = %s AND created_at >= now() - interval '1 day'",
            (account_id, request_id),
        )
        return await cursor.fetchone()


async def lock_entry(conn: Connection, account_id: int, blog_entry_id: int) -> BlogEntry | None:
    """Return an account's own entry and keep it from changing until the transaction ends; None where there is none."""
    async with conn.cursor(row_factory=class_row(BlogEntry)) as cursor:
        await cursor.execute(
            "SELECT id, account_id, title, text, visibility, version, edited_at, comments_count"
            " FROM blog_entries WHERE account_id = %s AND id = %s FOR UPDATE",
            (account_id, blog_entry_id),
        )
        return await cursor.fetchone()


async def update_entry(conn: Connection, entry: BlogEntry, words: Words, visibility: Visibility) -> BlogEntry:
    """Change what a locked entry says and who may see it, queue that its readers are told, and return what it is now.

    It leaves friends' home timelines where it becomes its author's alone.
    """
    is_hidden = visibility is Visibility.SELF and entry.visibility != Visibility.SELF
    edited = topology.tasks_of("blog.entry_edited")
    hidden = topology.tasks_of("blog.entry_deleted") if is_hidden else {"tasks": [], "queues": []}
    async with conn.cursor(row_factory=class_row(BlogEntry)) as cursor:
        await cursor.execute(
            """
            WITH before AS (
                SELECT media_ids FROM blog_entries WHERE account_id = %(account_id)s AND id = %(id)s
            ),
            updated AS (
                UPDATE blog_entries
                SET title = %(title)s, text = %(text)s, visibility = %(visibility)s, version = version + 1,
                    edited_at = CASE WHEN (title, text) = (%(title)s, %(text)s) THEN edited_at ELSE clock_timestamp() END
                WHERE account_id = %(account_id)s AND id = %(id)s
                RETURNING id, account_id, title, text, visibility, version, edited_at, comments_count, media_ids
            ),
            work AS (
                INSERT INTO ledger (task, queue, payload)
                SELECT t.task, t.queue, jsonb_build_object('entry_id', %(id)s::bigint, 'author_id', %(account_id)s::bigint)
                FROM unnest(%(tasks)s::text[], %(queues)s::text[]) AS t(task, queue)
            ),
            dropped AS (
                INSERT INTO ledger (task, queue, payload)
                SELECT t.task, t.queue, jsonb_build_object('media_id', media.id)
                FROM before, updated, unnest(before.media_ids) AS media(id),
                    unnest(%(media_tasks)s::text[], %(media_queues)s::text[]) AS t(task, queue)
                WHERE media.id <> ALL (updated.media_ids)
            )
            SELECT id, account_id, title, text, visibility, version, edited_at, comments_count FROM updated
            """,
            {
                "id": entry.id,
                "account_id": entry.account_id,
                "title": words.title,
                "text": words.text,
                "visibility": visibility.value,
                "tasks": edited["tasks"] + hidden["tasks"],
                "queues": edited["queues"] + hidden["queues"],
                **media_tasks(),
            },
        )
        changed = await cursor.fetchone()
        assert changed is not None  # it is locked
        return changed


async def delete_entry(conn: Connection, account_id: int, blog_entry_id: int) -> BlogEntry | None:
    """Delete an account's own entry and queue what follows from it in one statement; None where there is none."""
    async with conn.cursor(row_factory=class_row(BlogEntry)) as cursor:
        await cursor.execute(
            """
            WITH deleted AS (
                DELETE FROM blog_entries WHERE account_id = %(account_id)s AND id = %(blog_entry_id)s
                RETURNING id, account_id, title, text, visibility, version, edited_at, comments_count, media_ids
            ),
            dropped AS (
                INSERT INTO ledger (task, queue, payload)
                SELECT t.task, t.queue, jsonb_build_object('media_id', media.id)
                FROM deleted, unnest(deleted.media_ids) AS media(id),
                    unnest(%(media_tasks)s::text[], %(media_queues)s::text[]) AS t(task, queue)
            ),
            work AS (
                INSERT INTO ledger (task, queue, payload)
                SELECT t.task, t.queue, jsonb_build_object('entry_id', deleted.id, 'author_id', deleted.account_id)
                FROM deleted, unnest(%(tasks)s::text[], %(queues)s::text[]) AS t(task, queue)
            )
            SELECT id, account_id, title, text, visibility, version, edited_at, comments_count FROM deleted
            """,
            {
                "account_id": account_id,
                "blog_entry_id": blog_entry_id,
                **topology.tasks_of("blog.entry_deleted"),
                **media_tasks(),
            },
        )
        return await cursor.fetchone()


async def lock_header(conn: Connection, account_id: int, blog_entry_id: int) -> EntryHeader | None:
    """Return the header of an entry and keep the entry from changing until the transaction ends; None where it is gone."""
    async with conn.cursor(row_factory=class_row(EntryHeader)) as cursor:
        await cursor.execute(
            "SELECT id, account_id, visibility, comments_count, octet_length(title) + octet_length(text) AS size"
            " FROM blog_entries WHERE account_id = %s AND id = %s FOR UPDATE",
            (account_id, blog_entry_id),
        )
        return await cursor.fetchone()


async def list_headers(conn: Connection, blog_entry_ids: Sequence[int]) -> list[EntryHeader]:
    """Return the headers of those that exist, in no order; reads no texts."""
    async with conn.cursor(row_factory=class_row(EntryHeader)) as cursor:
        await cursor.execute(
            "SELECT id, account_id, visibility, comments_count, octet_length(title) + octet_length(text) AS size"
            " FROM blog_entries WHERE id = ANY(%s)",
            (list(blog_entry_ids),),
        )
        return await cursor.fetchall()


async def list_entries(
    conn: Connection, blog_entry_ids: Sequence[int], *, text_limit: int = MAX_TEXT_CODE_POINTS
) -> list[BlogEntry]:
    """Return those that exist with at most so many code points of their texts, in no order."""
    async with conn.cursor(row_factory=class_row(BlogEntry)) as cursor:
        await cursor.execute(
            "SELECT id, account_id, title, left(text, %s) AS text, visibility, version, edited_at, comments_count"
            " FROM blog_entries WHERE id = ANY(%s)",
            (text_limit, list(blog_entry_ids)),
        )
        return await cursor.fetchall()


async def list_account_entries(
    conn: Connection, account_id: int, visibilities: Sequence[int], page: Page
) -> list[BlogEntry]:
    """Return a page of one account's entries with these visibilities, newest first; what exceeds an answer's bytes is left out
    at the far end of the page.
    """
    newest = """
        SELECT id, account_id, title, text, visibility, version, edited_at, comments_count FROM (
            SELECT *, sum(octet_length(title) + octet_length(text)) OVER (ORDER BY id DESC) AS bytes FROM (
                SELECT id, account_id, title, text, visibility, version, edited_at, comments_count FROM blog_entries
                WHERE account_id = %(account_id)s AND visibility = ANY(%(visibilities)s)
                AND id < %(below)s AND id > %(above)s ORDER BY id DESC LIMIT %(limit)s
            ) AS page
        ) AS weighed WHERE bytes <= %(max_bytes)s
        """
    oldest = """
        SELECT id, account_id, title, text, visibility, version, edited_at, comments_count FROM (
            SELECT *, sum(octet_length(title) + octet_length(text)) OVER (ORDER BY id ASC) AS bytes FROM (
                SELECT id, account_id, title, text, visibility, version, edited_at, comments_count FROM blog_entries
                WHERE account_id = %(account_id)s AND visibility = ANY(%(visibilities)s)
                AND id < %(below)s AND id > %(above)s ORDER BY id ASC LIMIT %(limit)s
            ) AS page
        ) AS weighed WHERE bytes <= %(max_bytes)s
        """
    async with conn.cursor(row_factory=class_row(BlogEntry)) as cursor:
        await cursor.execute(
            oldest if page.upwards else newest,
            {
                "account_id": account_id,
                "visibilities": list(visibilities),
                "max_bytes": MAX_ANSWER_BYTES,
                **page.parameters(),
            },
        )
        return sorted(await cursor.fetchall(), key=lambda entry: entry.id, reverse=True)


async def pull_entries(
    conn: Connection, viewer_id: int, author_ids: Sequence[int], page: Page
) -> list[tuple[int, int]]:
    """Return (id, author) of a page of these authors' entries, newest first, without those that others keep for themselves.

    An index range per author, then a merge; the authors are distinct.
    """
    newest = """
        SELECT pulled.id, pulled.account_id FROM unnest(%(author_ids)s::bigint[]) AS author(id) CROSS JOIN LATERAL (
            SELECT id, account_id FROM blog_entries
            WHERE account_id = author.id AND id < %(below)s AND id > %(above)s
            AND (visibility <> %(self)s OR account_id = %(viewer_id)s) ORDER BY id DESC LIMIT %(limit)s
        ) AS pulled ORDER BY pulled.id DESC LIMIT %(limit)s
        """
    oldest = """
        SELECT pulled.id, pulled.account_id FROM unnest(%(author_ids)s::bigint[]) AS author(id) CROSS JOIN LATERAL (
            SELECT id, account_id FROM blog_entries
            WHERE account_id = author.id AND id < %(below)s AND id > %(above)s
            AND (visibility <> %(self)s OR account_id = %(viewer_id)s) ORDER BY id ASC LIMIT %(limit)s
        ) AS pulled ORDER BY pulled.id ASC LIMIT %(limit)s
        """
    cursor = await conn.execute(
        oldest if page.upwards else newest,
        {
            "author_ids": list(author_ids),
            "viewer_id": viewer_id,
            "self": Visibility.SELF.value,
            **page.parameters(),
        },
    )
    return sorted(await cursor.fetchall(), reverse=True)


async def list_own_entry_ids(conn: Connection, questions: Sequence[tuple[int, Page]]) -> list[list[int]]:
    """Return for several authors the ids of the newest of their own entries on a page each, newest first."""
    cursor = await conn.execute(
        """
        SELECT asked.number, ARRAY(
            SELECT id FROM blog_entries
            WHERE account_id = asked.author_id AND id < asked.below AND id > asked.above ORDER BY id DESC LIMIT asked."limit"
        ) AS ids
        FROM unnest(%(author_ids)s::bigint[], %(below)s::bigint[], %(above)s::bigint[], %(limit)s::int[])
            WITH ORDINALITY AS asked(author_id, below, above, "limit", number)
        """,
        {
            "author_ids": array_of(author_id for author_id, _ in questions),
            "below": array_of(page.below for _, page in questions),
            "above": array_of(page.above for _, page in questions),
            "limit": array_of(page.limit for _, page in questions),
        },
    )
    found: dict[int, list[int]] = dict(await cursor.fetchall())
    return [found[number] for number in range(1, len(questions) + 1)]


async def list_shown_media(conn: Connection, media_ids: Sequence[int]) -> list[tuple[int, int]]:
    """Return (picture, who wrote the text) of those of these pictures that entries or drafts show, in no order."""
    cursor = await conn.execute(
        """
        SELECT DISTINCT media.id, shown.account_id
        FROM (
            SELECT account_id, media_ids FROM blog_entries WHERE media_ids && %(media_ids)s::bigint[]
            UNION ALL SELECT account_id, media_ids FROM drafts WHERE media_ids && %(media_ids)s::bigint[]
        ) AS shown, unnest(shown.media_ids) AS media(id)
        WHERE media.id = ANY(%(media_ids)s)
        """,
        {"media_ids": list(media_ids)},
    )
    return await cursor.fetchall()
