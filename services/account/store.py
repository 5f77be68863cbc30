"""Every SQL text of this service."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from chassis.database import Connection
from services.account.domain import Account, App, NewApp, NewProfile, SignUp, TokenInfo


@dataclass(frozen=True)
class ImportedAccount:
    """An account for one place of an import, and whether the import made it."""

    account: Account
    is_new: bool


@dataclass(frozen=True)
class AppSecret:
    """What authenticates an app; nothing where nobody can be it."""

    client_secret_hash: bytes | None


async def insert_account(conn: Connection, sign_up: SignUp, password_hash: str) -> Account | None:
    """Insert a member who signs up; None where the handle or the e-mail address is taken."""
    profile = sign_up.profile
    async with conn.cursor(row_factory=class_row(Account)) as cursor:
        await cursor.execute(
            "INSERT INTO accounts (handle, display_name, note, locale, email, email_key, password_hash)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
            " RETURNING id, handle, display_name, note, locale, created_at",
            (
                profile.handle,
                profile.display_name,
                profile.note,
                profile.locale,
                sign_up.email,
                sign_up.email_key,
                password_hash,
            ),
        )
        return await cursor.fetchone()


async def find_taken(conn: Connection, handle: str, email_key: str) -> tuple[bool, bool]:
    """Tell whether a handle and whether an e-mail address is taken."""
    cursor = await conn.execute(
        "SELECT EXISTS (SELECT FROM accounts WHERE handle = %s), EXISTS (SELECT FROM accounts WHERE email_key = %s)",
        (handle, email_key),
    )
    row = await cursor.fetchone()
    assert row is not None
    return row[0], row[1]


async def import_accounts(conn: Connection, profiles: Sequence[NewProfile]) -> list[ImportedAccount]:
    """Insert those whose handles do not exist yet; return an account per place of the request, in its order.

    A place is missing where somebody else made its handle while the statement ran: the statement does not see that account,
    the next one will. Handles are inserted in their order, so that two imports never wait for each other in a circle.
    """
    cursor = await conn.execute(
        """
        WITH asked AS (
            SELECT handle, display_name, note, locale, place
            FROM unnest(%(handles)s::text[], %(display_names)s::text[], %(notes)s::text[], %(locales)s::text[])
                 WITH ORDINALITY AS a(handle, display_name, note, locale, place)
        ),
        made AS (
            INSERT INTO accounts (handle, display_name, note, locale)
            SELECT DISTINCT ON (handle) handle, display_name, note, locale FROM asked ORDER BY handle, place
            ON CONFLICT (handle) DO NOTHING
            RETURNING id, handle, display_name, note, locale, created_at
        ),
        found AS (
            SELECT id, handle, display_name, note, locale, created_at, true AS is_new FROM made
            UNION ALL
            SELECT id, handle, display_name, note, locale, created_at, false FROM accounts
            WHERE handle = ANY(%(handles)s)
        )
        SELECT f.id, f.handle, f.display_name, f.note, f.locale, f.created_at, f.is_new
        FROM asked JOIN found AS f USING (handle) ORDER BY asked.place
        """,
        {
            "handles": [profile.handle for profile in profiles],
            "display_names": [profile.display_name for profile in profiles],
            "notes": [profile.note for profile in profiles],
            "locales": [profile.locale for profile in profiles],
        },
    )
    return [ImportedAccount(Account(*columns), is_new) for *columns, is_new in await cursor.fetchall()]


async def list_accounts(conn: Connection, account_ids: Sequence[int]) -> list[Account]:
    """Return those that exist, in no order."""
    async with conn.cursor(row_factory=class_row(Account)) as cursor:
        await cursor.execute(
            "SELECT id, handle, display_name, note, locale, created_at FROM accounts WHERE id = ANY(%s)",
            (list(account_ids),),
        )
        return await cursor.fetchall()


async def count_accounts(conn: Connection) -> int:
    """Return how many accounts there are: exactly up to 100,000, then as the planner estimates, which costs nothing."""
    cursor = await conn.execute(
        "SELECT CASE WHEN reltuples > 100000 THEN reltuples::bigint ELSE (SELECT count(*) FROM accounts) END"
        " FROM pg_class WHERE oid = 'accounts'::regclass"
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def find_accounts(conn: Connection, handles: Sequence[str]) -> list[Account]:
    """Return those that exist, in no order."""
    async with conn.cursor(row_factory=class_row(Account)) as cursor:
        await cursor.execute(
            "SELECT id, handle, display_name, note, locale, created_at FROM accounts WHERE handle = ANY(%s)",
            (list(handles),),
        )
        return await cursor.fetchall()


async def page_accounts(conn: Connection, after_id: int, limit: int) -> list[Account]:
    """Return accounts by ascending id."""
    async with conn.cursor(row_factory=class_row(Account)) as cursor:
        await cursor.execute(
            "SELECT id, handle, display_name, note, locale, created_at FROM accounts"
            " WHERE id > %s ORDER BY id LIMIT %s",
            (after_id, limit),
        )
        return await cursor.fetchall()


async def insert_app(conn: Connection, new: NewApp, client_id: str, client_secret_hash: bytes) -> App:
    """Insert an app."""
    async with conn.cursor(row_factory=class_row(App)) as cursor:
        await cursor.execute(
            "INSERT INTO apps (client_id, client_secret_hash, name, website, redirect_uris, scopes)"
            " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id, client_id, name, website, redirect_uris, scopes",
            (client_id, client_secret_hash, new.name, new.website, new.redirect_uris, new.scopes),
        )
        app = await cursor.fetchone()
    assert app is not None
    return app


async def find_app(conn: Connection, app_id: int) -> App | None:
    """Return an app by its id."""
    async with conn.cursor(row_factory=class_row(App)) as cursor:
        await cursor.execute(
            "SELECT id, client_id, name, website, redirect_uris, scopes FROM apps WHERE id = %s", (app_id,)
        )
        return await cursor.fetchone()


async def find_app_with_secret(conn: Connection, client_id: str) -> tuple[App, AppSecret] | None:
    """Return an app by its client id, and what authenticates it."""
    cursor = await conn.execute(
        "SELECT id, client_id, name, website, redirect_uris, scopes, client_secret_hash FROM apps WHERE client_id = %s",
        (client_id,),
    )
    row = await cursor.fetchone()
    return None if row is None else (App(*row[:-1]), AppSecret(row[-1]))


async def insert_app_token(conn: Connection, token_hash: bytes, app_id: int, scopes: Sequence[str]) -> TokenInfo:
    """Insert a token that acts for an app itself."""
    async with conn.cursor(row_factory=class_row(TokenInfo)) as cursor:
        await cursor.execute(
            "INSERT INTO tokens (token_hash, app_id, scopes) VALUES (%s, %s, %s)"
            " RETURNING id, app_id, account_id, scopes, created_at",
            (token_hash, app_id, list(scopes)),
        )
        token = await cursor.fetchone()
    assert token is not None
    return token


async def insert_account_token(
    conn: Connection, token_hash: bytes, app_id: int, account_id: int, scopes: Sequence[str]
) -> TokenInfo | None:
    """Insert a token that acts for a member; None where there is no such member."""
    async with conn.cursor(row_factory=class_row(TokenInfo)) as cursor:
        await cursor.execute(
            "INSERT INTO tokens (token_hash, app_id, account_id, scopes)"
            " SELECT %(token_hash)s, %(app_id)s, id, %(scopes)s FROM accounts WHERE id = %(account_id)s"
            " RETURNING id, app_id, account_id, scopes, created_at",
            {"token_hash": token_hash, "app_id": app_id, "account_id": account_id, "scopes": list(scopes)},
        )
        return await cursor.fetchone()


async def find_token(conn: Connection, token_hash: bytes) -> TokenInfo | None:
    """Return what a token that is not revoked stands for."""
    async with conn.cursor(row_factory=class_row(TokenInfo)) as cursor:
        await cursor.execute(
            "SELECT id, app_id, account_id, scopes, created_at FROM tokens WHERE token_hash = %s AND revoked_at IS NULL",
            (token_hash,),
        )
        return await cursor.fetchone()


async def revoke_token(conn: Connection, token_id: int) -> None:
    """End a token."""
    await conn.execute("UPDATE tokens SET revoked_at = now() WHERE id = %s AND revoked_at IS NULL", (token_id,))
