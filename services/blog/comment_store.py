"""Every SQL text about comments."""

from collections.abc import Sequence

from psycopg.rows import class_row

from chassis import topology
from chassis.database import Connection
from chassis.ids import Kind
from chassis.paging import Page
from services.blog.domain import Comment, EntryHeader


async def insert_comment(conn: Connection, entry: EntryHeader, account_id: int, text: str) -> Comment:
    """Comment on a locked entry; count it and tell the entry's author in the same statement."""
    async with conn.cursor(row_factory=class_row(Comment)) as cursor:
        await cursor.execute(
            """
            WITH inserted AS (
                INSERT INTO comments (author_id, blog_entry_id, id, account_id, text)
                VALUES (%(author_id)s, %(blog_entry_id)s, next_id(%(kind)s), %(account_id)s, %(text)s)
                RETURNING id, blog_entry_id, author_id, account_id, text
            ),
            counted AS (
                UPDATE blog_entries SET comments_count = comments_count + 1
                WHERE account_id = %(author_id)s AND id = %(blog_entry_id)s
            ),
            notices AS (
                INSERT INTO ledger (task, queue, payload)
                SELECT t.task, t.queue, jsonb_build_object(
                    'account_id', author_id, 'from_id', account_id, 'comment_id', id
                )
                FROM inserted, unnest(%(tasks)s::text[], %(queues)s::text[]) AS t(task, queue)
                WHERE author_id <> account_id
            )
            SELECT id, blog_entry_id, author_id, account_id, text FROM inserted
            """,
            {
                "kind": Kind.OTHER.value,
                "author_id": entry.account_id,
                "blog_entry_id": entry.id,
                "account_id": account_id,
                "text": text,
                **topology.tasks_of("blog.commented"),
            },
        )
        comment = await cursor.fetchone()
        assert comment is not None
        return comment


async def delete_comment(conn: Connection, comment: Comment) -> bool:
    """Delete a comment on a locked entry, and count it off in the same statement. Tell whether it was still there."""
    cursor = await conn.execute(
        """
        WITH deleted AS (
            DELETE FROM comments
            WHERE author_id = %(author_id)s AND blog_entry_id = %(blog_entry_id)s AND id = %(comment_id)s
            RETURNING author_id, blog_entry_id
        )
        UPDATE blog_entries SET comments_count = comments_count - 1 FROM deleted
        WHERE blog_entries.account_id = deleted.author_id AND blog_entries.id = deleted.blog_entry_id
        """,
        {"author_id": comment.author_id, "blog_entry_id": comment.blog_entry_id, "comment_id": comment.id},
    )
    return cursor.rowcount > 0


async def list_comments(conn: Connection, comment_ids: Sequence[int]) -> list[Comment]:
    """Return those that exist, in no order."""
    async with conn.cursor(row_factory=class_row(Comment)) as cursor:
        await cursor.execute(
            "SELECT id, blog_entry_id, author_id, account_id, text FROM comments WHERE id = ANY(%s)",
            (list(comment_ids),),
        )
        return await cursor.fetchall()


async def list_entry_comments(conn: Connection, entry: EntryHeader, page: Page) -> list[Comment]:
    """Return a page of the comments on an entry, oldest first."""
    newest = """
        SELECT id, blog_entry_id, author_id, account_id, text FROM comments
        WHERE author_id = %(author_id)s AND blog_entry_id = %(blog_entry_id)s AND id < %(below)s AND id > %(above)s
        ORDER BY id DESC LIMIT %(limit)s
        """
    oldest = """
        SELECT id, blog_entry_id, author_id, account_id, text FROM comments
        WHERE author_id = %(author_id)s AND blog_entry_id = %(blog_entry_id)s AND id < %(below)s AND id > %(above)s
        ORDER BY id ASC LIMIT %(limit)s
        """
    async with conn.cursor(row_factory=class_row(Comment)) as cursor:
        await cursor.execute(
            oldest if page.upwards else newest,
            {"author_id": entry.account_id, "blog_entry_id": entry.id, **page.parameters()},
        )
        return sorted(await cursor.fetchall(), key=lambda comment: comment.id)
