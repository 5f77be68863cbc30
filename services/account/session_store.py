"""The SQL texts of sessions, and of what is in force for a member."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from chassis.database import Connection
from services.account.domain import PAGES_APP_ID, SESSION_DAYS, TokenInfo

MAX_GRANTS = 200


@dataclass(frozen=True)
class Grant:
    """A token of a member's that is in force, and the app that it is for."""

    token_id: int
    app_id: int
    app_name: str
    website: str
    scopes: list[str]
    created_at: datetime
    label: str

    @property
    def is_session(self) -> bool:
        """Whether it is a session of a browser."""
        return self.app_id == PAGES_APP_ID


async def insert_session(
    conn: Connection, token_hash: bytes, account_id: int, scopes: Sequence[str], label: str
) -> TokenInfo:
    """Insert a session of a member who is there."""
    async with conn.cursor(row_factory=class_row(TokenInfo)) as cursor:
        await cursor.execute(
            "INSERT INTO tokens (token_hash, app_id, account_id, scopes, label) VALUES (%s, %s, %s, %s, %s)"
            " RETURNING id, app_id, account_id, scopes, created_at",
            (token_hash, PAGES_APP_ID, account_id, list(scopes), label),
        )
        session = await cursor.fetchone()
    assert session is not None
    return session


async def end_session(conn: Connection, token_hash: bytes) -> None:
    """End a session."""
    await conn.execute(
        "UPDATE tokens SET revoked_at = now() WHERE token_hash = %s AND app_id = %s AND revoked_at IS NULL",
        (token_hash, PAGES_APP_ID),
    )


async def end_other_sessions(conn: Connection, account_id: int, kept_token_hash: bytes) -> None:
    """End all sessions of a member but one."""
    await conn.execute(
        "UPDATE tokens SET revoked_at = now()"
        " WHERE account_id = %s AND app_id = %s AND revoked_at IS NULL AND token_hash <> %s",
        (account_id, PAGES_APP_ID, kept_token_hash),
    )


async def list_grants(conn: Connection, account_id: int) -> list[Grant]:
    """Return what is in force for a member, the newest first."""
    async with conn.cursor(row_factory=class_row(Grant)) as cursor:
        await cursor.execute(
            "SELECT t.id AS token_id, t.app_id, a.name AS app_name, a.website, t.scopes, t.created_at, t.label"
            " FROM tokens AS t JOIN apps AS a ON a.id = t.app_id"
            " WHERE t.account_id = %(account_id)s AND t.revoked_at IS NULL"
            " AND (t.app_id <> %(pages)s OR t.created_at > now() - make_interval(days => %(days)s))"
            " ORDER BY t.id DESC LIMIT %(limit)s",
            {"account_id": account_id, "pages": PAGES_APP_ID, "days": SESSION_DAYS, "limit": MAX_GRANTS},
        )
        return await cursor.fetchall()


async def revoke_grant(conn: Connection, account_id: int, token_id: int) -> bool:
    """End one token of a member's; tell whether it was theirs."""
    cursor = await conn.execute(
        "UPDATE tokens SET revoked_at = coalesce(revoked_at, now()) WHERE id = %s AND account_id = %s",
        (token_id, account_id),
    )
    return cursor.rowcount > 0
