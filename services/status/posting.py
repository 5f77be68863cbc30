"""Use case: post and delete statuses."""

from chassis.database import Pool, connection
from chassis.errors import FailedPrecondition, IdempotencyKeyReused, NotFound
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

        Raises IdempotencyKeyReused where it came with another body, FailedPrecondition where what it posted is deleted.
        """
        async with connection(self._pool) as conn:
            status = await store.insert_status(conn, new)
            if status is not None:
                self._bell.ring()
                return status
            claim = await store.find_claim(conn, new.account_id, new.request_id)
            if claim is None or claim.fingerprint != new.fingerprint:
                raise IdempotencyKeyReused("This idempotency key has been used for another status.")
            posted = await store.list_statuses(conn, [claim.status_id])
        if not posted:
            raise FailedPrecondition("The status that this idempotency key posted has been deleted.")
        return posted[0]

    async def delete(self, account_id: int, status_id: int) -> Status:
        """Delete an own status and return what it was. Raises NotFound for others' and unknown ones."""
        async with connection(self._pool) as conn:
            status = await store.delete_status(conn, account_id, status_id)
        if status is None:
            raise NotFound("There is no such status of yours.", resource="status")
        self._bell.ring()
        return status
