"""Use case: prove with a password to be a member, at a pace that leaves guessing no hope."""

import hashlib
import math

from chassis.database import Pool, connection
from chassis.errors import TooManyAttempts, Unauthenticated
from services.account import password_store
from services.account.domain import check_login
from services.account.password_store import Password
from services.account.passwords import Passwords

ATTEMPTS_AT_ONCE = 10
SECONDS_PER_ATTEMPT = 240
"""Ten at once and then one every four minutes: in no hour more than 25."""


class SigningIn:
    """Verifies passwords. Whether a name is anybody's makes no difference in what is answered, counted or computed."""

    def __init__(self, pool: Pool, passwords: Passwords) -> None:
        self._pool = pool
        self._passwords = passwords

    async def sign_in(self, login: str, password: str) -> int:
        """Return the account with this handle or e-mail address and this password.

        An attempt is counted before it is judged, so that many at once are no way around the count, and given back where it
        was right. Raises Unauthenticated where they do not belong together, TooManyAttempts, or Unavailable.
        """
        handle, email_key = check_login(login)
        async with connection(self._pool) as conn:
            found = await password_store.find_password(conn, handle, email_key)
        await self._judge(
            found, f"account {found.account_id}" if found else f"nobody {handle or email_key or login}", password
        )
        assert found is not None  # nobody would have been let through
        return found.account_id

    async def prove(self, account_id: int, password: str) -> None:
        """Let a member prove once more with the password that it is them. Counts and raises as signing in does."""
        async with connection(self._pool) as conn:
            found = await password_store.find_own_password(conn, account_id)
        await self._judge(found, f"account {account_id}", password)

    async def _judge(self, found: Password | None, who: str, password: str) -> None:
        subject = _subject(who)
        async with connection(self._pool) as conn:
            wait = await password_store.count_attempt(conn, subject, SECONDS_PER_ATTEMPT, ATTEMPTS_AT_ONCE)
        if wait > 0:
            raise TooManyAttempts(
                "There were too many attempts to sign in; please try again later.",
                retryAfterSeconds=str(math.ceil(wait)),
            )
        is_right = await self._passwords.verify(found.password_hash if found else None, password)
        if found is None or not is_right:
            raise Unauthenticated("The name and the password do not belong together.")
        async with connection(self._pool) as conn:
            await password_store.forgive_attempt(conn, subject, SECONDS_PER_ATTEMPT)


def _subject(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
