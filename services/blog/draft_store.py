"""Every SQL text about drafts."""

from psycopg.rows import class_row

from chassis import topology
from chassis.database import Connection
from chassis.ids import Kind
from chassis.paging import Page
from services.blog.domain import MAX_ANSWER_BYTES, BlogEntry, Draft, Visibility, Words
from services.blog.store import media_tasks


async def count_drafts(conn: Connection, account_id: int) -> int:
    """Return how many drafts an account has; until the transaction ends nobody else counts them, so that the maximum holds."""
    await conn.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(concat('drafts/', %s::bigint), 0))", (account_id,)
    )
    cursor = await conn.execute("SELECT count(*) FROM drafts WHERE account_id = %s", (account_id,))
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def insert_draft(conn: Connection, account_id: int, words: Words, visibility: Visibility) -> Draft:
    """Keep a new draft."""
    async with conn.cursor(row_factory=class_row(Draft)) as cursor:
        await cursor.execute(
            """
            INSERT INTO drafts (account_id, id, title, text, visibility) VALUES (%s, next_id(%s), %s, %s, %s)
            RETURNING id, account_id, title, text, visibility, version, updated_at
            """,
            (account_id, Kind.OTHER.value, words.title, words.text, visibility.value),
        )
        draft = await cursor.fetchone()
        assert draft is not None
        return draft


async def find_draft(conn: Connection, account_id: int, draft_id: int) -> Draft | None:
    """Return an account's own draft."""
    async with conn.cursor(row_factory=class_row(Draft)) as cursor:
        await cursor.execute(
            "SELECT id, account_id, title, text, visibility, version, updated_at"
            " FROM drafts WHERE account_id = %s AND id = %s",
            (account_id, draft_id),
        )
        return await cursor.fetchone()


async def lock_draft(conn: Connection, account_id: int, draft_id: int) -> Draft | None:
    """Return an account's own draft and keep it from changing until the transaction ends."""
    async with conn.cursor(row_factory=class_row(Draft)) as cursor:
        await cursor.execute(
            "SELECT id, account_id, title, text, visibility, version, updated_at"
            " FROM drafts WHERE account_id = %s AND id = %s FOR UPDATE",
            (account_id, draft_id),
        )
        return await cursor.fetchone()


async def update_draft(conn: Connection, draft: Draft, words: Words, visibility: Visibility) -> Draft:
    """Change a locked draft and return what it is now."""
    async with conn.cursor(row_factory=class_row(Draft)) as cursor:
        await cursor.execute(
            """
            WITH before AS (
                SELECT media_ids FROM drafts WHERE account_id = %(account_id)s AND id = %(id)s
            ),
            updated AS (
                UPDATE drafts SET title = %(title)s, text = %(text)s, visibility = %(visibility)s,
                    version = version + 1, updated_at = clock_timestamp()
                WHERE account_id = %(account_id)s AND id = %(id)s
                RETURNING id, account_id, title, text, visibility, version, updated_at, media_ids
            ),
            dropped AS (
                INSERT INTO ledger (task, queue, payload)
                SELECT t.task, t.queue, jsonb_build_object('media_id', media.id)
                FROM before, updated, unnest(before.media_ids) AS media(id),
                    unnest(%(media_tasks)s::text[], %(media_queues)s::text[]) AS t(task, queue)
                WHERE media.id <> ALL (updated.media_ids)
            )
            SELECT id, account_id, title, text, visibility, version, updated_at FROM updated
            """,
            {
                "account_id": draft.account_id,
                "id": draft.id,
                "title": words.title,
                "text": words.text,
                "visibility": visibility.value,
                **media_tasks(),
            },
        )
        changed = await cursor.fetchone()
        assert changed is not None  # it is locked
        return changed


async def delete_draft(conn: Connection, account_id: int, draft_id: int) -> Draft | None:
    """Delete an account's own draft; None where there is none."""
    async with conn.cursor(row_factory=class_row(Draft)) as cursor:
        await cursor.execute(
            """
            WITH deleted AS (
                DELETE FROM drafts WHERE account_id = %(account_id)s AND id = %(draft_id)s
                RETURNING id, account_id, title, text, visibility, version, updated_at, media_ids
            ),
            dropped AS (
                INSERT INTO ledger (task, queue, payload)
                SELECT t.task, t.queue, jsonb_build_object('media_id', media.id)
                FROM deleted, unnest(deleted.media_ids) AS media(id),
                    unnest(%(media_tasks)s::text[], %(media_queues)s::text[]) AS t(task, queue)
            )
            SELECT id, account_id, title, text, visibility, version, updated_at FROM deleted
            """,
            {"account_id": account_id, "draft_id": draft_id, **media_tasks()},
        )
        return await cursor.fetchone()


async def publish_draft(conn: Connection, draft: Draft, words: Words, visibility: Visibility) -> BlogEntry:
    """Make an entry, with its work, in the place of a locked draft. Its id is made now, so that it is new to whoever reads."""
    async with conn.cursor(row_factory=class_row(BlogEntry)) as cursor:
        await cursor.execute(
            """
            WITH gone AS (
                DELETE FROM drafts WHERE account_id = %(account_id)s AND id = %(draft_id)s RETURNING media_ids
            ),
            published AS (
                INSERT INTO blog_entries (account_id, id, title, text, visibility)
                VALUES (%(account_id)s, next_id(%(kind)s), %(title)s, %(text)s, %(visibility)s)
                RETURNING id, account_id, title, text, visibility, version, edited_at, comments_count, media_ids
            ),
            dropped AS (
                INSERT INTO ledger (task, queue, payload)
                SELECT t.task, t.queue, jsonb_build_object('media_id', media.id)
                FROM gone, published, unnest(gone.media_ids) AS media(id),
                    unnest(%(media_tasks)s::text[], %(media_queues)s::text[]) AS t(task, queue)
                WHERE media.id <> ALL (published.media_ids)
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
                "account_id": draft.account_id,
                "draft_id": draft.id,
                "kind": Kind.BLOG_ENTRY.value,
                "title": words.title,
                "text": words.text,
                "visibility": visibility.value,
                "self": Visibility.SELF.value,
                **topology.tasks_of("blog.entry_published"),
                **media_tasks(),
            },
        )
        entry = await cursor.fetchone()
        assert entry is not None
        return entry


async def list_drafts(conn: Connection, account_id: int, page: Page) -> list[Draft]:
    """Return a page of an account's drafts, the youngest first; what exceeds an answer's bytes is left out at the far end of the
    page.
    """
    newest = """
        SELECT id, account_id, title, text, visibility, version, updated_at FROM (
            SELECT *, sum(octet_length(title) + octet_length(text)) OVER (ORDER BY id DESC) AS bytes FROM (
                SELECT id, account_id, title, text, visibility, version, updated_at FROM drafts
                WHERE account_id = %(account_id)s AND id < %(below)s AND id > %(above)s ORDER BY id DESC LIMIT %(limit)s
            ) AS page
        ) AS weighed WHERE bytes <= %(max_bytes)s
        """
    oldest = """
        SELECT id, account_id, title, text, visibility, version, updated_at FROM (
            SELECT *, sum(octet_length(title) + octet_length(text)) OVER (ORDER BY id ASC) AS bytes FROM (
                SELECT id, account_id, title, text, visibility, version, updated_at FROM drafts
                WHERE account_id = %(account_id)s AND id < %(below)s AND id > %(above)s ORDER BY id ASC LIMIT %(limit)s
            ) AS page
        ) AS weighed WHERE bytes <= %(max_bytes)s
        """
    async with conn.cursor(row_factory=class_row(Draft)) as cursor:
        await cursor.execute(
            oldest if page.upwards else newest,
            {"account_id": account_id, "max_bytes": MAX_ANSWER_BYTES, **page.parameters()},
        )
        return sorted(await cursor.fetchall(), key=lambda draft: draft.id, reverse=True)
