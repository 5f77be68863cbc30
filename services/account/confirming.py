"""Use case: show that an address is one's own, by a link that was mailed to it."""

from chassis.database import Pool, transaction
from chassis.errors import AlreadyExists, NotFound, PermissionDenied
from chassis.idempotency import Write
from services.account import confirmation_store as store
from services.account.domain import check_email, is_credential, secret_hash


class Confirming:
    """Confirms accounts, and has the mail sent again."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def confirm(self, token: str) -> None:
        """Confirm the account that a link was sent to; the second time it is confirmed already.

        Raises NotFound for every other token: one that never was, one that is too old, one that a newer mail has replaced.
        """
        if is_credential(token):
            async with transaction(self._pool) as conn:
                account = await store.lock_token(conn, secret_hash(token))
                if account is not None:
                    await store.confirm(conn, account)
                    return
        raise NotFound("This link is not good, or not good any more.", resource="confirmation")

    async def ask_again(self, write: Write, account_id: int, email: str) -> None:
        """Have the mail sent again, to another address where one is given.

        Raises PermissionDenied where the account is confirmed, InvalidField or AlreadyExists for an address, NotFound.
        """
        address = check_email(email) if email else None
        conn = await write.begin()
        match await store.lock_unconfirmed(conn, account_id):
            case None:
                raise NotFound("There is no such member.", resource="account")
            case False:
                raise PermissionDenied("This method is only available while the e-mail is awaiting confirmation")
        if address is not None and not await store.update_email(conn, account_id, *address):
            raise AlreadyExists("There is an account with this e-mail address already.", field="email")
        await store.ask_again(conn, account_id)
