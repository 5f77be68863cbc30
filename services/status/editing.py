"""Use case: change what an own status says, and narrow who may see it."""

from chassis import ledger
from chassis.database import Connection
from chassis.errors import InvalidField, LimitReached, NotFound
from chassis.idempotency import Write
from chassis.ledger import Bell
from services.status import revision_store, store
from services.status.clients import Accounts
from services.status.domain import MAX_EDITS, Status, Visibility, check_mentions


class Editing:
    """Changes statuses in place. A narrower visibility holds from its commit on: readers are filtered by the committed row."""

    def __init__(self, bell: Bell, accounts: Accounts, *, domain: str) -> None:
        self._bell = bell
        self._accounts = accounts
        self._domain = domain

    async def update(
        self, write: Write, account_id: int, status_id: int, *, text: str | None, visibility: Visibility | None
    ) -> Status:
        """Change clean text, narrow the visibility, or both; None leaves as it is. Return what the status is now.

        Raises NotFound for others' and unknown statuses, InvalidField for a wider visibility and too many mentions, LimitReached where it
        has been edited too often.
        """
        mentioned = {} if text is None else await self._accounts.find(check_mentions(text, self._domain))
        conn = await write.begin()
        status = await store.lock_status(conn, account_id, status_id)
        if status is None:
            raise NotFound("There is no such status of yours.", resource="status")
        if visibility is not None and visibility < status.visibility:
            raise InvalidField("visibility", "Who may see a status can only be narrowed.")
        if text is not None and text != status.text:
            await self._rewrite(conn, status, text, mentioned)
        if visibility is not None and visibility != status.visibility:
            await revision_store.narrow(conn, status, visibility)
        await ledger.append(conn, "status.edited", [{"entry_id": status_id, "author_id": account_id}])
        write.ring(self._bell)
        [changed] = await store.list_statuses(conn, account_id, [status_id])
        return changed

    async def _rewrite(self, conn: Connection, status: Status, text: str, mentioned: dict[str, int]) -> None:
        if await revision_store.count_revisions(conn, status) >= MAX_EDITS:
            raise LimitReached(f"A status can be edited at most {MAX_EDITS} times.")
        await revision_store.keep_revision(conn, status)
        await revision_store.update_text(conn, status, text, mentioned)
