"""Use case: post and delete statuses."""

from chassis.database import Pool, connection
from chassis.errors import Conflict, FailedPrecondition, IdempotencyKeyReused, NotFound
from chassis.idempotency import Write
from chassis.ledger import Bell
from services.status import store
from services.status.domain import NewStatus, Status


class Posting:
    """Changes statuses; a change and the work that it causes commit in one statement."""

    def __init__(self, pool: Pool, bell: Bell) -> None:
        self._pool = pool
        self._bell = bell

    async def post(self, new: NewStatus) -> Status:
        """Post a status, or return what the same idempotency key has posted.

        Raises IdempotencyKeyReused where it came with another body, FailedPrecondition where what it posted is deleted, Conflict
        while another call under the same key is posting.
        """
        async with connection(self._pool) as conn:
            status = await store.insert_status(conn, new)
            if status is not None:
                self._bell.ring()
                return status
            claim = await store.find_claim(conn, new.account_id, new.request_id)
            if claim is None:
                raise Conflict("The same request is still running; please ask again in a moment.")
            if claim.made_id is None or claim.fingerprint != new.fingerprint:
                raise IdempotencyKeyReused("This idempotency key has been used for another request.")
            posted = await store.list_statuses(conn, [claim.made_id])
        if not posted:
            raise FailedPrecondition("The status that this idempotency key posted has been deleted.")
        return posted[0]

    async def delete(self, write: Write, account_id: int, status_id: int) -> Status:
        """Delete an own status and return what it was. Raises NotFound for others' and unknown ones."""
        status = await store.delete_status(await write.begin(), account_id, status_id)
        if status is None:
            raise NotFound("There is no such status of yours.", resource="status")
        write.ring(self._bell)
        return status
