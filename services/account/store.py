"""The SQL texts of accounts."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from chassis.database import Connection, array_of
from services.account.domain import Account, AccountSettings, NewProfile, SignUp
from services.account.search_keys import search_keys


@dataclass(frozen=True)
class ImportedAccount:
    """An account for one place of an import, and whether the import made it."""

    account: Account
    is_new: bool


async def insert_account(
    conn: Connection, sign_up: SignUp, password_hash: str, *, is_confirmed: bool = True
) -> Account | None:
    """Insert a member who signs up; None where the handle or the e-mail address is taken. Only who is confirmed can be found."""
    profile = sign_up.profile
    async with conn.cursor(row_factory=class_row(Account)) as cursor:
        await cursor.execute(
            """
            WITH made AS (
                INSERT INTO accounts (handle, display_name, note, locale, email, email_key, password_hash, confirmed_at)
                VALUES (%(handle)s, %(display_name)s, %(note)s, %(locale)s, %(email)s, %(email_key)s, %(password_hash)s,
                        CASE WHEN %(is_confirmed)s THEN now() END)
                ON CONFLICT DO NOTHING
                RETURNING id, handle, display_name, note, locale, created_at, version,
                    is_bot, is_discoverable, hides_friends, avatar, header
            ),
            filed AS (
                INSERT INTO search_keys (key, account_id) SELECT key, made.id FROM made, unnest(%(keys)s::text[]) AS key
            )
            SELECT id, handle, display_name, note, locale, created_at, version,
                is_bot, is_discoverable, hides_friends, avatar, header FROM made
            """,
            {
                "handle": profile.handle,
                "display_name": profile.display_name,
                "note": profile.note,
                "locale": profile.locale,
                "email": sign_up.email,
                "email_key": sign_up.email_key,
                "password_hash": password_hash,
                "is_confirmed": is_confirmed,
                "keys": search_keys(profile.handle, profile.display_name) if is_confirmed else [],
            },
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
    firsts = {profile.handle: profile for profile in reversed(profiles)}
    keys = [(handle, key) for handle, first in firsts.items() for key in search_keys(handle, first.display_name)]
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
            RETURNING id, handle, display_name, note, locale, created_at, version, is_bot, is_discoverable, hides_friends, avatar, header
        ),
        filed AS (
            INSERT INTO search_keys (key, account_id)
            SELECT key, made.id FROM made JOIN unnest(%(key_handles)s::text[], %(keys)s::text[]) AS k(handle, key) USING (handle)
        ),
        found AS (
            SELECT id, handle, display_name, note, locale, created_at, version,
                is_bot, is_discoverable, hides_friends, avatar, header, true AS is_new
            FROM made
            UNION ALL
            SELECT id, handle, display_name, note, locale, created_at, version,
                is_bot, is_discoverable, hides_friends, avatar, header, false
            FROM accounts WHERE handle = ANY(%(handles)s)
        )
        SELECT f.id, f.handle, f.display_name, f.note, f.locale, f.created_at, f.version,
            f.is_bot, f.is_discoverable, f.hides_friends, f.avatar, f.header,
               f.is_new
        FROM asked JOIN found AS f USING (handle) ORDER BY asked.place
        """,
        {
            "handles": [profile.handle for profile in profiles],
            "display_names": [profile.display_name for profile in profiles],
            "notes": [profile.note for profile in profiles],
            "locales": [profile.locale for profile in profiles],
            "key_handles": [handle for handle, _ in keys],
            "keys": [key for _, key in keys],
        },
    )
    return [ImportedAccount(Account(*columns), is_new) for *columns, is_new in await cursor.fetchall()]


async def list_versions(conn: Connection, account_ids: Sequence[int]) -> dict[int, int]:
    """Return the versions of those that exist and are confirmed, by id."""
    cursor = await conn.execute(
        "SELECT id, version FROM accounts WHERE id = ANY(%s::bigint[]) AND confirmed_at IS NOT NULL",
        (array_of(account_ids),),
    )
    return dict(await cursor.fetchall())


async def list_accounts(conn: Connection, account_ids: Sequence[int]) -> list[Account]:
    """Return those that exist and are confirmed, in no order."""
    async with conn.cursor(row_factory=class_row(Account)) as cursor:
        await cursor.execute(
            "SELECT id, handle, display_name, note, locale, created_at, version, is_bot, is_discoverable, hides_friends, avatar, header"
            " FROM accounts WHERE id = ANY(%s) AND confirmed_at IS NOT NULL",
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
    """Return those that exist and are confirmed, in no order."""
    async with conn.cursor(row_factory=class_row(Account)) as cursor:
        await cursor.execute(
            "SELECT id, handle, display_name, note, locale, created_at, version, is_bot, is_discoverable, hides_friends, avatar, header"
            " FROM accounts WHERE handle = ANY(%s) AND confirmed_at IS NOT NULL",
            (list(handles),),
        )
        return await cursor.fetchall()


async def page_accounts(conn: Connection, after_id: int, limit: int) -> list[Account]:
    """Return accounts by ascending id."""
    async with conn.cursor(row_factory=class_row(Account)) as cursor:
        await cursor.execute(
            "SELECT id, handle, display_name, note, locale, created_at, version, is_bot, is_discoverable, hides_friends, avatar, header"
            " FROM accounts"
            " WHERE id > %s ORDER BY id LIMIT %s",
            (after_id, limit),
        )
        return await cursor.fetchall()


async def search_accounts(
    conn: Connection, first_key: str, behind_keys: str, handle: str, *, limit: int, offset: int
) -> list[Account]:
    """Return accounts with a key in a range, those with this very handle first, then in the order of their keys.

    The range is read no further than four keys per account that is wanted: few accounts are under more than that with one
    beginning.
    """
    async with conn.cursor(row_factory=class_row(Account)) as cursor:
        await cursor.execute(
            """
            WITH keyed AS (
                SELECT key, account_id FROM search_keys
                WHERE key >= %(first_key)s AND key < %(behind_keys)s ORDER BY key, account_id LIMIT %(scanned)s
            ),
            found AS (
                SELECT account_id, min(key) AS key FROM keyed GROUP BY account_id
                UNION ALL
                SELECT id, '' FROM accounts WHERE handle = %(handle)s AND confirmed_at IS NOT NULL
            ),
            placed AS (SELECT account_id, min(key) AS key FROM found GROUP BY account_id)
            SELECT id, handle, display_name, note, locale, created_at, version, is_bot, is_discoverable, hides_friends, avatar, header
            FROM placed JOIN accounts ON id = account_id
            ORDER BY key, id LIMIT %(limit)s OFFSET %(offset)s
            """,
            {
                "first_key": first_key,
                "behind_keys": behind_keys,
                "handle": handle,
                "limit": limit,
                "offset": offset,
                "scanned": 4 * (limit + offset),
            },
        )
        return await cursor.fetchall()


async def list_shown_media(conn: Connection, media_ids: Sequence[int]) -> list[int]:
    """Return which of these pictures a member shows as avatar or header."""
    cursor = await conn.execute(
        "SELECT split_part(avatar, '/', 1)::bigint FROM accounts WHERE avatar <> '' AND split_part(avatar, '/', 1) = ANY(%(ids)s)"
        " UNION"
        " SELECT split_part(header, '/', 1)::bigint FROM accounts WHERE header <> '' AND split_part(header, '/', 1) = ANY(%(ids)s)",
        {"ids": [str(media_id) for media_id in media_ids]},
    )
    return [media_id for (media_id,) in await cursor.fetchall()]


async def list_settings(conn: Connection, account_ids: Sequence[int]) -> list[AccountSettings]:
    """Return the settings of the accounts that exist, in no order."""
    async with conn.cursor(row_factory=class_row(AccountSettings)) as cursor:
        await cursor.execute(
            "SELECT id AS account_id, default_visibility, default_sensitive, default_language"
            " FROM accounts WHERE id = ANY(%s)",
            (list(account_ids),),
        )
        return await cursor.fetchall()


async def list_with_settings(conn: Connection, account_ids: Sequence[int]) -> list[tuple[Account, AccountSettings]]:
    """Return those that exist and are confirmed with their settings, in no order."""
    cursor = await conn.execute(
        "SELECT default_visibility, default_sensitive, default_language,"
        " id, handle, display_name, note, locale, created_at, version, is_bot, is_discoverable, hides_friends, avatar, header"
        " FROM accounts WHERE id = ANY(%s::bigint[]) AND confirmed_at IS NOT NULL",
        (array_of(set(account_ids)),),
    )
    return [
        (Account(*account), AccountSettings(account[0], visibility, is_sensitive, language))
        for visibility, is_sensitive, language, *account in await cursor.fetchall()
    ]


async def list_default_visibilities(conn: Connection, account_ids: Sequence[int]) -> dict[int, int]:
    """Return the default visibilities of those that exist and are confirmed, by account."""
    cursor = await conn.execute(
        "SELECT id, default_visibility FROM accounts WHERE id = ANY(%s::bigint[]) AND confirmed_at IS NOT NULL",
        (array_of(set(account_ids)),),
    )
    return dict(await cursor.fetchall())


async def lock_account(conn: Connection, account_id: int) -> Account | None:
    """Return an account that nobody else changes until the transaction ends."""
    async with conn.cursor(row_factory=class_row(Account)) as cursor:
        await cursor.execute(
            "SELECT id, handle, display_name, note, locale, created_at, version, is_bot, is_discoverable, hides_friends, avatar, header"
            " FROM accounts WHERE id = %s FOR NO KEY UPDATE",
            (account_id,),
        )
        return await cursor.fetchone()


async def update_account(conn: Connection, account: Account, settings: AccountSettings) -> None:
    """Store a locked account and its settings as they are here, and file it under its names, or nowhere."""
    keys = search_keys(account.handle, account.display_name) if account.is_discoverable else []
    await conn.execute(
        """
        WITH updated AS (
            UPDATE accounts SET display_name = %(display_name)s, note = %(note)s, locale = %(locale)s, version = %(version)s,
                is_bot = %(is_bot)s, is_discoverable = %(is_discoverable)s, hides_friends = %(hides_friends)s,
                avatar = %(avatar)s, header = %(header)s,
                default_visibility = %(default_visibility)s,
                default_sensitive = %(default_sensitive)s, default_language = %(default_language)s
            WHERE id = %(id)s
        ),
        removed AS (
            DELETE FROM search_keys WHERE account_id = %(id)s AND key <> ALL(%(keys)s)
        )
        INSERT INTO search_keys (key, account_id) SELECT key, %(id)s FROM unnest(%(keys)s::text[]) AS key
        ON CONFLICT DO NOTHING
        """,
        {
            "id": account.id,
            "display_name": account.display_name,
            "note": account.note,
            "locale": account.locale,
            "version": account.version,
            "is_bot": account.is_bot,
            "is_discoverable": account.is_discoverable,
            "hides_friends": account.hides_friends,
            "avatar": account.avatar,
            "header": account.header,
            "default_visibility": settings.default_visibility,
            "default_sensitive": settings.default_sensitive,
            "default_language": settings.default_language,
            "keys": keys,
        },
    )
