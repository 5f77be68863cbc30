"""What the broker gives back: messages that no worker has ended well, as failures of the rows that they stood for.

Workers report their failures themselves. What they cannot report comes back here: a message whose workers were killed as often as the
broker delivers it, and one that a worker rejected without a word, since it does not know its task or cannot read it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import structlog

from chassis import relay_store, topology
from chassis.publisher import BrokerConnection

log = structlog.get_logger(__name__)

RETURNED_AT_A_TIME = 100
DELIVERY_LIMIT = "delivery_limit"
REASONS = {
    DELIVERY_LIMIT: f"the broker gave it up: {topology.DELIVERY_LIMIT + 1} workers that had it were killed or lost their connection",
    "rejected": "a worker rejected it without a word: it does not know the task, cannot read the message, or could not report",
}


@dataclass(frozen=True)
class Returned:
    """The rows that a dead letter stood for, and why it is one, in RabbitMQ's word."""

    message_id: UUID
    row_ids: list[int]
    reason: str


def read(headers: Mapping[str, Any], body: str | bytes) -> Returned:
    """Return what a dead letter tells. Raises ValueError where it is none of a relay's."""
    try:
        row_ids = [int(row_id) for row_id in msgspec.json.decode(body)[1]["row_ids"]]
        return Returned(UUID(headers["id"]), row_ids, str(headers["x-first-death-reason"]))
    except (KeyError, TypeError, IndexError, ValueError) as error:  # msgspec's errors are ValueErrors
        raise ValueError(f"{type(error).__name__}: {error}") from error


def take_back(conn: psycopg.Connection, publisher: BrokerConnection, producer: str) -> int:
    """Note the failures of what has come back to a ledger, at most RETURNED_AT_A_TIME messages; return how many rows failed by it.

    What its worker has reported, or what has been published again since, is not noted twice. Raises PublishError and psycopg.Error; then
    it comes back once more.
    """
    failed = 0
    letters = publisher.take_returned(producer, RETURNED_AT_A_TIME)
    for headers, body in letters:
        try:
            found = read(headers, body)
        except ValueError as error:
            log.warning("dead letter unread", producer=producer, error=str(error))
            continue
        reason = REASONS.get(found.reason, f"the broker gave it up: {found.reason}")
        failed += relay_store.note_returned(
            conn, found.row_ids, found.message_id, reason, is_transient=found.reason != DELIVERY_LIMIT
        )
        log.warning("message came back", producer=producer, rows=len(found.row_ids), reason=reason)
    if letters:
        publisher.forget_returned()
    return failed
