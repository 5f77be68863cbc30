"""Ids: 63 bits, ordered by time, allocated by PostgreSQL in the inserting statement.

    47 bits  milliseconds since the Unix epoch
    14 bits  a sequence of the schema
     2 bits  the kind of thing, so that statuses and blog entries can share a timeline

The SQL function `next_id(kind)` in chassis/migrations makes them; here they are only read. Within a schema they never go back: while the
clock is behind the last one, they stay about there, and no farther ahead of it than MAX_AHEAD_MS. So an id's time can be later than the
clock's, and is earlier than that of its making by a millisecond at most.
"""

from enum import IntEnum

KIND_BITS = 2
TIME_SHIFT = 16
MAX_ID = 2**63 - 1
MAX_AHEAD_MS = 30 * 60 * 1000
"""How far behind the last id a clock may be; with one that is farther behind `next_id` refuses."""
CLOCK_IS_WRONG = "KD001"
"""The SQLSTATE of that."""


class Kind(IntEnum):
    """What an id belongs to. Things that never share a list may share a kind."""

    OTHER = 0
    STATUS = 1
    BLOG_ENTRY = 2


def kind_of(an_id: int) -> Kind:
    """Return the kind that an id was made for; 3 is unused and reads as OTHER."""
    low = an_id & 3
    return Kind(low) if low < 3 else Kind.OTHER


def created_at_ms(an_id: int) -> int:
    """Return the Unix time in milliseconds at which the id was made."""
    return an_id >> TIME_SHIFT


def first_id_at(unix_ms: int) -> int:
    """Return the smallest id that can be made at this Unix time in milliseconds."""
    return unix_ms << TIME_SHIFT
