"""The SQL texts of confirmations by e-mail: what is to be sent, to whom, and who has answered."""

from dataclasses import dataclass, field

from psycopg import errors as pg_errors
from psycopg.rows import class_row

from chassis.database import Connection
from services.account.domain import Account
from services.account.search_keys import search_keys

LINK_SECONDS = 48 * 3600
"""How long a link is good."""
UNCONFIRMED_SECONDS = 7 * 24 * 3600
"""How long an account may wait for its confirmation before it is deleted."""
PACE_SECONDS = 60
"""So much time lies between two mails to one account, however often they are asked for."""
LEASE_SECONDS = 300
"""After so long a mail whose sender has died is taken up by another."""
FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 60, 3600
MAX_ATTEMPTS = 50
"""With these pauses they last two days, longer than mail servers are away."""
MAX_ERROR = 500
FORGET_STEP = 100


@dataclass(frozen=True)
class Recipient:
    """Whom a mail that is due goes to."""

    account_id: int
    handle: str
    locale: str
    email: str = field(repr=False)


async def insert_confirmation(conn: Connection, account_id: int) -> None:
    """Have a mail sent to a new account."""
    await conn.execute("INSERT INTO email_confirmations (account_id) VALUES (%s)", (account_id,))


async def lock_unconfirmed(conn: Connection, account_id: int) -> bool | None:
    """Keep everybody else from changing an account until the transaction ends.

    Return whether it waits for its confirmation; None where there is no such account.
    """
    cursor = await conn.execute(
        "SELECT confirmed_at IS NULL FROM accounts WHERE id = %s FOR NO KEY UPDATE", (account_id,)
    )
    row = await cursor.fetchone()
    return None if row is None else bool(row[0])


async def update_email(conn: Connection, account_id: int, email: str, email_key: str) -> bool:
    """Give a locked account another address and end the link that went to the old one; False where it is another's.

    Nothing is changed where it is its address already.
    """
    try:
        await conn.execute(
            """
            WITH changed AS (
                UPDATE accounts SET email = %(email)s, email_key = %(email_key)s
                WHERE id = %(account_id)s AND email <> %(email)s RETURNING id
            )
            UPDATE email_confirmations SET token_hash = NULL, issued_at = NULL FROM changed WHERE account_id = changed.id
            """,
            {"account_id": account_id, "email": email, "email_key": email_key},
        )
    except pg_errors.UniqueViolation:
        return False  # and the transaction is over
    return True


async def ask_again(conn: Connection, account_id: int) -> None:
    """Have a mail sent to a locked account again, a minute after the last one at the earliest. What was sent stays good until then."""
    await conn.execute(
        """
        INSERT INTO email_confirmations AS c (account_id) VALUES (%(account_id)s)
        ON CONFLICT (account_id) DO UPDATE SET attempts = 0,
            next_attempt_at = greatest(now(), coalesce(c.sent_at, '-infinity') + make_interval(secs => %(pace)s))
        """,
        {"account_id": account_id, "pace": PACE_SECONDS},
    )


async def claim_due(conn: Connection, token_hashes: list[bytes]) -> list[tuple[Recipient, bytes]]:
    """Take as many mails that are due as there are tokens for them, for this sender alone; return each with its token's hash.

    Whoever dies over them leaves them to the next sender, once the lease has ended.
    """
    cursor = await conn.execute(
        """
        WITH due AS (
            SELECT account_id, row_number() OVER () AS place FROM (
                SELECT account_id FROM email_confirmations WHERE next_attempt_at <= now()
                ORDER BY next_attempt_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
            ) AS locked
        ),
        given AS (
            SELECT account_id, token_hash
            FROM due JOIN unnest(%(hashes)s::bytea[]) WITH ORDINALITY AS t(token_hash, place) USING (place)
        ),
        claimed AS (
            UPDATE email_confirmations AS c SET token_hash = given.token_hash, issued_at = now(),
                attempts = least(attempts + 1, %(max_attempts)s), next_attempt_at = now() + make_interval(secs => %(lease)s)
            FROM given WHERE c.account_id = given.account_id RETURNING c.account_id, given.token_hash
        )
        SELECT a.id, a.handle, a.locale, a.email, claimed.token_hash FROM claimed JOIN accounts AS a ON a.id = claimed.account_id
        """,
        {"limit": len(token_hashes), "hashes": token_hashes, "max_attempts": MAX_ATTEMPTS, "lease": LEASE_SECONDS},
    )
    return [(Recipient(*columns), token_hash) for *columns, token_hash in await cursor.fetchall()]


async def note_sent(conn: Connection, token_hash: bytes) -> None:
    """Strike a mail that a mail server has taken; one that was asked for again meanwhile stays."""
    await conn.execute(
        "UPDATE email_confirmations SET sent_at = now(), last_error = '',"
        " next_attempt_at = CASE WHEN attempts > 0 THEN NULL ELSE next_attempt_at END WHERE token_hash = %s",
        (token_hash,),
    )


async def note_failure(conn: Connection, token_hash: bytes, error: str) -> None:
    """Have a mail tried again later, twice as late each time; never again after the last attempt."""
    await conn.execute(
        """
        UPDATE email_confirmations SET last_error = %(error)s, next_attempt_at = CASE
            WHEN attempts = 0 THEN next_attempt_at
            WHEN attempts < %(max_attempts)s
            THEN now() + make_interval(secs => least(%(first)s * power(2, attempts - 1), %(most)s))
        END WHERE token_hash = %(token_hash)s
        """,
        {
            "token_hash": token_hash,
            "error": error.replace("\0", "")[:MAX_ERROR],
            "max_attempts": MAX_ATTEMPTS,
            "first": FIRST_PAUSE_SECONDS,
            "most": MAX_PAUSE_SECONDS,
        },
    )


async def lock_token(conn: Connection, token_hash: bytes) -> Account | None:
    """Return the account that a good link was sent to, which nobody else changes until the transaction ends."""
    await conn.execute(
        "SELECT FROM accounts WHERE id = (SELECT account_id FROM email_confirmations WHERE token_hash = %s) FOR NO KEY UPDATE",
        (token_hash,),
    )
    # A statement of its own, which sees whether the address was changed, and the link ended, until the lock was free.
    async with conn.cursor(row_factory=class_row(Account)) as cursor:
        await cursor.execute(
            "SELECT a.id, a.handle, a.display_name, a.note, a.locale, a.created_at, a.version, a.is_bot, a.is_discoverable,"
            " a.hides_friends, a.avatar, a.header FROM email_confirmations AS c JOIN accounts AS a ON a.id = c.account_id"
            " WHERE c.token_hash = %s AND c.issued_at > now() - make_interval(secs => %s)",
            (token_hash, LINK_SECONDS),
        )
        return await cursor.fetchone()


async def confirm(conn: Connection, account: Account) -> None:
    """Confirm a locked account, and let it be found by its names; nothing changes the second time."""
    await conn.execute(
        """
        WITH confirmed AS (
            UPDATE accounts SET confirmed_at = now() WHERE id = %(account_id)s AND confirmed_at IS NULL RETURNING id
        ),
        settled AS (
            UPDATE email_confirmations SET next_attempt_at = NULL WHERE account_id = %(account_id)s
        )
        INSERT INTO search_keys (key, account_id) SELECT key, confirmed.id FROM confirmed, unnest(%(keys)s::text[]) AS key
        ON CONFLICT DO NOTHING
        """,
        {"account_id": account.id, "keys": search_keys(account.handle, account.display_name)},
    )


async def forget_confirmations(conn: Connection) -> int:
    """Delete up to 100 accounts that nobody has confirmed in time, and what is left of 100 confirmations; return how many.

    Nobody can have done anything as such an account, so that there is nothing of it anywhere else.
    """
    cursor = await conn.execute(
        """
        WITH late AS (
            SELECT id FROM accounts WHERE confirmed_at IS NULL AND created_at < now() - make_interval(secs => %(unconfirmed)s)
            ORDER BY created_at LIMIT %(step)s FOR UPDATE SKIP LOCKED
        ),
        done AS (
            SELECT c.account_id FROM email_confirmations AS c JOIN accounts AS a ON a.id = c.account_id
            WHERE a.confirmed_at < now() - make_interval(secs => %(link)s) LIMIT %(step)s FOR UPDATE OF c SKIP LOCKED
        ),
        codes AS (DELETE FROM authorization_codes WHERE account_id IN (SELECT id FROM late)),
        ended AS (DELETE FROM tokens WHERE account_id IN (SELECT id FROM late)),
        forgotten AS (DELETE FROM email_confirmations WHERE account_id IN (SELECT account_id FROM done) RETURNING 1),
        deleted AS (DELETE FROM accounts WHERE id IN (SELECT id FROM late) RETURNING 1)
        SELECT (SELECT count(*) FROM deleted) + (SELECT count(*) FROM forgotten)
        """,
        {"unconfirmed": UNCONFIRMED_SECONDS, "link": LINK_SECONDS, "step": FORGET_STEP},
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])
