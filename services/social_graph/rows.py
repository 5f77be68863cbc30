"""Rows of suggestions in bulk, between numpy and PostgreSQL's binary COPY format.

The format: https://www.postgresql.org/docs/current/sql-copy.html (Binary Format). Each field is its length and its bytes in network order;
an array is its shape, and then every element as a field.
"""

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"

Ids = npt.NDArray[np.int64]

# Oids of the types of the columns' elements, which are the same in every PostgreSQL (src/include/catalog/pg_type.dat).
_BIGINT, _REAL, _SMALLINT = 20, 700, 21
_ARRAY_HEADER_BYTES = 20
_FIELDS = 5
_ROW_START = len(HEADER)
_ID_AND_LENGTH = struct.Struct(">hiqi")


def to_copy(
    generation: int,
    account_ids: Ids,
    counts: npt.NDArray[np.int32],
    suggested_ids: Ids,
    scores: npt.NDArray[np.float32],
    sources: npt.NDArray[np.uint8],
) -> bytes:
    """Return rows (generation, account_id, suggested_ids, scores, sources) for COPY … FROM STDIN (FORMAT binary), in no order.

    Row i has the first `counts[i]` columns of the three matrices. Header and trailer are the caller's to send.
    """
    parts = []
    for count in np.unique(counts):
        some = np.flatnonzero(counts == count)
        wire = np.zeros(len(some), dtype=_wire(int(count)))
        wire["fields"] = _FIELDS
        wire["generation_length"] = wire["account_length"] = 8
        wire["generation"] = generation
        wire["account_id"] = account_ids[some]
        for name, oid, matrix in (
            ("suggested_ids", _BIGINT, suggested_ids),
            ("scores", _REAL, scores),
            ("sources", _SMALLINT, sources),
        ):
            _fill(wire, name, oid, matrix[some, :count])
        parts.append(wire.tobytes())
    return b"".join(parts)


def _wire(count: int) -> np.dtype[Any]:
    """Return the layout of a row with so many suggestions."""
    fields: list[tuple[Any, ...]] = [
        ("fields", ">i2"),
        ("generation_length", ">i4"),
        ("generation", ">i8"),
        ("account_length", ">i4"),
        ("account_id", ">i8"),
    ]
    for name, code in (("suggested_ids", ">i8"), ("scores", ">f4"), ("sources", ">i2")):
        fields += [(f"{name}_length", ">i4"), (f"{name}_shape", ">i4", (5,) if count else (3,))]
        if count:
            fields.append((name, [("length", ">i4"), ("value", code)], (count,)))
    return np.dtype(fields)


def _fill(wire: npt.NDArray[Any], name: str, oid: int, matrix: npt.NDArray[Any]) -> None:
    count = matrix.shape[1]
    if count == 0:
        wire[f"{name}_length"] = 12
        wire[f"{name}_shape"] = (0, 0, oid)
        return
    elements = wire[name]
    wire[f"{name}_length"] = _ARRAY_HEADER_BYTES + count * elements.dtype.itemsize
    wire[f"{name}_shape"] = (1, 0, oid, count, 1)  # one dimension, no nulls, from 1
    elements["length"] = elements.dtype["value"].itemsize
    elements["value"] = matrix


def read_friends(data: bytes | bytearray | memoryview) -> tuple[int, bytes] | None:
    """Return (account_id, its friends' ids as eight bytes each in network order) of a row of COPY … TO STDOUT; None at the end."""
    start = _ROW_START if data[:11] == HEADER[:11] else 0
    if data[start : start + 2] == TRAILER:
        return None
    _, _, account_id, length = _ID_AND_LENGTH.unpack_from(data, start)
    friends = start + _ID_AND_LENGTH.size
    return account_id, bytes(data[friends : friends + length])
