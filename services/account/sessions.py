"""Use case: members sign in on the network's own pages, see what acts for them, and change their passwords."""

import secrets
from dataclasses import dataclass, field

from chassis.database import Pool, connection, transaction
from chassis.errors import InvalidField, NotFound
from chassis.idempotency import Write
from services.account import password_store, session_store
from services.account.domain import SESSION_SCOPES, TokenInfo, check_password, secret_hash
from services.account.passwords import Passwords
from services.account.session_store import Grant
from services.account.signing_in import SigningIn

SECRET_BYTES = 32
MAX_LABEL = 100
HASH_BYTES = 32
PASSWORD_BYTES = 12
"""Of chance in a password that nobody has chosen: 16 characters to type."""


@dataclass(frozen=True)
class OpenedSession:
    """A new session; its secret exists nowhere else."""

    info: TokenInfo
    secret: str = field(repr=False)


class Sessions:
    """Sessions of browsers, and the rest of what is in force for a member."""

    def __init__(self, pool: Pool, signing_in: SigningIn, passwords: Passwords) -> None:
        self._pool = pool
        self._signing_in = signing_in
        self._passwords = passwords

    async def open(self, login: str, password: str, label: str) -> OpenedSession:
        """Sign a member in. Raises Unauthenticated, TooManyAttempts and Unavailable as signing in does, InvalidField."""
        if len(label) > MAX_LABEL or not label.isprintable():
            raise InvalidField("label", f"The label has at most {MAX_LABEL} characters in one line.")
        account_id = await self._signing_in.sign_in(login, password)
        secret = secrets.token_urlsafe(SECRET_BYTES)
        async with connection(self._pool) as conn:
            info = await session_store.insert_session(conn, secret_hash(secret), account_id, SESSION_SCOPES, label)
        return OpenedSession(info, secret)

    async def end(self, token_hash: bytes) -> None:
        """Sign a browser out; sessions that are unknown or over are fine."""
        async with connection(self._pool) as conn:
            await session_store.end_session(conn, token_hash)

    async def grants(self, account_id: int) -> list[Grant]:
        """Return what is in force for a member, the newest first."""
        async with connection(self._pool) as conn:
            return await session_store.list_grants(conn, account_id)

    async def revoke(self, write: Write, account_id: int, token_id: int) -> None:
        """End one of a member's grants; one that is over is fine. Raises NotFound where it is not theirs."""
        conn = await write.begin()
        if not await session_store.revoke_grant(conn, account_id, token_id):
            raise NotFound("There is no such app or session of yours.", resource="grant")

    async def change_password(
        self, write: Write, account_id: int, old_password: str, new_password: str, kept_token_hash: bytes
    ) -> None:
        """Give a member another password and end all of their sessions but the one that is kept.

        Raises InvalidField for a new one that cannot be a password, Unauthenticated where the old one is wrong, TooManyAttempts.
        """
        if len(kept_token_hash) not in (0, HASH_BYTES):
            raise InvalidField("kept_token_hash", f"A hash has {HASH_BYTES} bytes.")
        try:
            checked = check_password(new_password)
        except InvalidField as error:
            raise InvalidField("new_password", error.message) from error
        await self._signing_in.prove(account_id, old_password)
        password_hash = await self._passwords.hash(checked)
        conn = await write.begin()
        await password_store.update_password(conn, account_id, password_hash)
        await session_store.end_other_sessions(conn, account_id, kept_token_hash)

    async def replace_password(self, account_id: int) -> str:
        """Give a member a password of chance, end all of their sessions, and return it. Raises NotFound."""
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        password_hash = await self._passwords.hash(check_password(password))
        async with transaction(self._pool) as conn:
            if not await password_store.update_password(conn, account_id, password_hash):
                raise NotFound("There is no such member.", resource="account")
            await session_store.end_other_sessions(conn, account_id, b"")
        return password
