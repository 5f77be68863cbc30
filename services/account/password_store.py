"""The SQL texts of passwords and of attempts to guess them."""

from dataclasses import dataclass, field

from psycopg.rows import class_row

from chassis.database import Connection

SPENT_STEP = 1000


@dataclass(frozen=True)
class Password:
    """Whose password it is, and its hash; None where the account has none."""

    account_id: int
    password_hash: str | None = field(repr=False)


async def find_password(conn: Connection, handle: str, email_key: str) -> Password | None:
    """Return the password of the account with a handle or with an e-mail address."""
    async with conn.cursor(row_factory=class_row(Password)) as cursor:
        await cursor.execute(
            "SELECT id AS account_id, password_hash FROM accounts WHERE handle = %s OR email_key = %s",
            (handle, email_key),
        )
        return await cursor.fetchone()


async def find_own_password(conn: Connection, account_id: int) -> Password | None:
    """Return the password of an account."""
    async with conn.cursor(row_factory=class_row(Password)) as cursor:
        await cursor.execute("SELECT id AS account_id, password_hash FROM accounts WHERE id = %s", (account_id,))
        return await cursor.fetchone()


async def update_password(conn: Connection, account_id: int, password_hash: str) -> bool:
    """Store another password; tell whether there is such an account."""
    cursor = await conn.execute("UPDATE accounts SET password_hash = %s WHERE id = %s", (password_hash, account_id))
    return cursor.rowcount == 1


async def count_attempt(conn: Connection, subject: bytes, seconds: int, at_once: int) -> float:
    """Count an attempt and return 0, or return for how many seconds none is let through, and count nothing.

    Each attempt moves `free_at` on by so many seconds, from now at least; none is let through while it would come to lie
    further ahead than so many attempts at once bring it (the generic cell rate algorithm). One statement, so that attempts at the
    same time are counted one after the other.
    """
    cursor = await conn.execute(
        """
        WITH counted AS (
            INSERT INTO password_attempts AS a (subject, free_at)
            VALUES (%(subject)s, now() + make_interval(secs => %(seconds)s))
            ON CONFLICT (subject) DO UPDATE SET free_at = greatest(a.free_at, now()) + make_interval(secs => %(seconds)s)
            WHERE a.free_at <= now() + make_interval(secs => %(seconds)s * (%(at_once)s - 1))
            RETURNING subject
        )
        SELECT CASE WHEN EXISTS (SELECT FROM counted) THEN 0 ELSE greatest(1, (
            SELECT extract(epoch FROM free_at - now())::float8 - %(seconds)s * (%(at_once)s - 1)
            FROM password_attempts WHERE subject = %(subject)s
        )) END
        """,
        {"subject": subject, "seconds": seconds, "at_once": at_once},
    )
    row = await cursor.fetchone()
    assert row is not None
    return float(row[0])


async def forgive_attempt(conn: Connection, subject: bytes, seconds: int) -> None:
    """Take back one attempt."""
    await conn.execute(
        "UPDATE password_attempts SET free_at = free_at - make_interval(secs => %s) WHERE subject = %s",
        (seconds, subject),
    )


async def delete_spent_attempts(conn: Connection) -> int:
    """Delete up to 1,000 counts that hold nobody up any more; return how many."""
    cursor = await conn.execute(
        "DELETE FROM password_attempts WHERE subject IN ("
        " SELECT subject FROM password_attempts WHERE free_at < now() ORDER BY free_at LIMIT %s FOR UPDATE SKIP LOCKED)",
        (SPENT_STEP,),
    )
    return cursor.rowcount
