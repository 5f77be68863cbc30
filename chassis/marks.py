"""How a relay notices that the broker is not the one that took its messages: wiped, made anew, or another one.

Each ledger leaves a mark, an empty queue that is as durable as those of the tasks, and remembers its name. A broker without it has lost
everything that the ledger has published.
"""

from uuid import uuid4

import psycopg

from chassis import relay_store
from chassis.publisher import BrokerConnection


def recognise(conn: psycopg.Connection, publisher: BrokerConnection, producer: str) -> int:
    """Have everything published again where the broker is not the one that the ledger knows, and return how many rows that were.

    Call it whenever a connection to the broker has been made, before anything is published over it. Raises PublishError and psycopg.Error.
    """
    known = relay_store.read_mark(conn)
    if known is not None and publisher.has_mark(f"{producer}.{known}"):
        return 0
    lost = relay_store.forget_publications(conn) if known is not None else 0
    mark = uuid4()
    publisher.leave_mark(f"{producer}.{mark}")
    relay_store.write_mark(conn, mark)
    return lost
