"""Use case: read, find and change accounts, and bring in members from elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

from chassis.database import Pool, connection
from chassis.errors import Conflict, NotFound
from chassis.idempotency import Write
from services.account import store
from services.account.changes import AccountChange, change_account
from services.account.domain import Account, AccountSettings, NewProfile, is_handle
from services.account.search_keys import key_range

IMPORT_TRIES = 3


@dataclass(frozen=True)
class Imported:
    """The accounts of an import in its order, and how many of them are new."""

    accounts: list[Account]
    created: int


class Accounts:
    """Reads accounts from committed state, and changes them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def by_ids(self, account_ids: Sequence[int]) -> list[Account]:
        """Return those that exist and are confirmed, in no order."""
        if not account_ids:
            return []
        async with connection(self._pool) as conn:
            return await store.list_accounts(conn, account_ids)

    async def versions(self, account_ids: Sequence[int]) -> dict[int, int]:
        """Return the versions of those that exist and are confirmed, by id."""
        if not account_ids:
            return {}
        async with connection(self._pool) as conn:
            return await store.list_versions(conn, account_ids)

    async def by_handles(self, handles: Sequence[str]) -> list[Account]:
        """Return those that exist and are confirmed, in no order; what cannot be a handle is nobody's."""
        possible = [handle for handle in handles if is_handle(handle)]
        if not possible:
            return []
        async with connection(self._pool) as conn:
            return await store.find_accounts(conn, possible)

    async def count(self) -> int:
        """Return how many there are, of very many an estimate."""
        async with connection(self._pool) as conn:
            return await store.count_accounts(conn)

    async def page(self, after_id: int, size: int) -> tuple[list[Account], str]:
        """Return the accounts that follow an id, and the token of the next page, empty at the end."""
        async with connection(self._pool) as conn:
            accounts = await store.page_accounts(conn, after_id, size + 1)
        has_more = len(accounts) > size
        return accounts[:size], str(accounts[size - 1].id) if has_more else ""

    async def search(self, query: str, *, limit: int, offset: int) -> list[Account]:
        """Return whom a query finds, the best first."""
        keys = key_range(query)
        if keys is None:
            return []
        handle = query.strip().removeprefix("@").lower()
        async with connection(self._pool) as conn:
            return await store.search_accounts(
                conn, *keys, handle if is_handle(handle) else "", limit=limit, offset=offset
            )

    async def with_settings(self, account_ids: Sequence[int]) -> list[tuple[Account, AccountSettings]]:
        """Return those that exist and are confirmed with their settings, in no order."""
        if not account_ids:
            return []
        async with connection(self._pool) as conn:
            return await store.list_with_settings(conn, account_ids)

    async def default_visibilities(self, account_ids: Sequence[int]) -> dict[int, int]:
        """Return what statuses of those that exist and are confirmed are where they say nothing else, by account."""
        if not account_ids:
            return {}
        async with connection(self._pool) as conn:
            return await store.list_default_visibilities(conn, account_ids)

    async def shown_media(self, media_ids: Sequence[int]) -> list[int]:
        """Return which of these pictures a member shows as avatar or header, in no order."""
        if not media_ids:
            return []
        async with connection(self._pool) as conn:
            return await store.list_shown_media(conn, media_ids)

    async def change(self, write: Write, account_id: int, change: AccountChange) -> tuple[Account, AccountSettings]:
        """Change an account and its settings and return both. Raises NotFound, or InvalidField, which names the field."""
        conn = await write.begin()
        account = await store.lock_account(conn, account_id)
        if account is None:
            raise NotFound("There is no such member.", resource="account")
        [settings] = await store.list_settings(conn, [account_id])
        account, settings = change_account(account, settings, change)
        await store.update_account(conn, account, settings)
        return account, settings

    async def import_all(self, profiles: Sequence[NewProfile]) -> Imported:
        """Make the members that do not exist yet and return all, found or made, in the order given. Idempotent by handle.

        Raises Conflict where others keep making the same handles.
        """
        created: set[int] = set()
        async with connection(self._pool) as conn:
            for _ in range(IMPORT_TRIES):
                imported = await store.import_accounts(conn, profiles)
                created |= {each.account.id for each in imported if each.is_new}
                if len(imported) == len(profiles):
                    return Imported([each.account for each in imported], len(created))
        raise Conflict("Others are making members with these handles; please try again.")
