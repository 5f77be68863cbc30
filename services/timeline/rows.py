"""Rows of `entries` in bulk: arrays in, PostgreSQL's binary COPY format out.

The format: https://www.postgresql.org/docs/current/sql-copy.html (Binary Format). Each field is its length and its bytes in network order.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from services.timeline.domain import Entry

Ids = npt.NDArray[np.int64]

_WIRE = np.dtype(
    [
        ("fields", ">i2"),
        ("account_length", ">i4"),
        ("account_id", ">i8"),
        ("entry_length", ">i4"),
        ("entry_id", ">i8"),
        ("author_length", ">i4"),
        ("author_id", ">i8"),
    ]
)
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"


def make_rows(entries: Sequence[Entry], friends: Mapping[int, Ids]) -> Ids:
    """Return a row (account, entry, author) per entry and friend of its author; shape (n, 3), in no order."""
    audiences = [friends[entry.author_id] for entry in entries if entry.author_id in friends]
    written = [entry for entry in entries if entry.author_id in friends]
    rows = np.empty((sum(len(audience) for audience in audiences), 3), dtype=np.int64)
    if not audiences:
        return rows
    lengths = [len(audience) for audience in audiences]
    rows[:, 0] = np.concatenate(audiences)
    rows[:, 1] = np.repeat([entry.entry_id for entry in written], lengths)
    rows[:, 2] = np.repeat([entry.author_id for entry in written], lengths)
    return rows


def rows_for(account_id: int, entries: Sequence[Entry]) -> Ids:
    """Return a row per entry for one account."""
    rows = np.empty((len(entries), 3), dtype=np.int64)
    rows[:, 0] = account_id
    rows[:, 1] = [entry.entry_id for entry in entries]
    rows[:, 2] = [entry.author_id for entry in entries]
    return rows


def keep_accounts(rows: Ids, account_ids: Ids) -> Ids:
    """Return the rows of these accounts, sorted as the table's key is: by account, then by entry."""
    kept: Ids = rows[np.isin(rows[:, 0], account_ids)]
    return kept[np.lexsort((kept[:, 1], kept[:, 0]))]


def to_copy(rows: Ids) -> bytes:
    """Return rows as the input of COPY … FROM STDIN (FORMAT binary)."""
    wire = np.empty(len(rows), dtype=_WIRE)
    wire["fields"] = 3
    wire["account_length"] = wire["entry_length"] = wire["author_length"] = 8
    wire["account_id"], wire["entry_id"], wire["author_id"] = rows.T
    return _HEADER + wire.tobytes() + _TRAILER
