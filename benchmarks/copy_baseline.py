"""COPY BINARY of the very rows that were delivered into an identical table: the measure of what PostgreSQL can write."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg import sql

from benchmarks.network import Bench

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
# A row of three bigints: their number, then length and value of each, all big-endian.
ROW = np.dtype(
    [
        ("columns", ">i2"),
        *(
            (f"{column}{part}", kind)
            for column in ("account", "entry", "author")
            for part, kind in (("_size", ">i4"), ("", ">i8"))
        ),
    ]
)
POSTS_PER_COMMIT = 400
"""As many as the relay puts into one message at most, so that a commit is as large as a worker's."""
ROWS_PER_COMMIT = 60_000
"""And about as many rows at most as a worker writes in one transaction."""
REPETITIONS = 3
"""One alone can be a quarter off."""

Rows = npt.NDArray[np.void]


@dataclass(frozen=True)
class CopyResult:
    """What COPY reached."""

    rows: int
    commits: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Rows per second."""
        return self.rows / self.seconds


def decode(data: bytes) -> Rows:
    """Return the rows of a binary COPY of three bigints without NULLs. Raises ValueError for anything else."""
    if (
        not (data.startswith(HEADER) and data.endswith(TRAILER))
        or (len(data) - len(HEADER) - len(TRAILER)) % ROW.itemsize
    ):
        raise ValueError("this is not a binary copy of three bigints")
    rows = np.frombuffer(data, ROW, offset=len(HEADER), count=(len(data) - len(HEADER) - len(TRAILER)) // ROW.itemsize)
    if (rows["columns"] != 3).any():
        raise ValueError("this is not a binary copy of three bigints")
    return rows


def encode(rows: Rows) -> bytes:
    """Return rows as a binary COPY."""
    return HEADER + rows.tobytes() + TRAILER


def commits_of(rows: Rows, posts_per_commit: int = POSTS_PER_COMMIT) -> list[bytes]:
    """Cut rows into what is committed at once, in the order of the posts, each part sorted by the table's key."""
    entries, numbers = np.unique(rows["entry"], return_inverse=True)
    posts_per_commit = min(posts_per_commit, max(1, ROWS_PER_COMMIT * len(entries) // len(rows)))
    parts = numbers // posts_per_commit
    order = np.lexsort((rows["entry"], rows["account"], parts))
    ordered = rows[order]
    borders = np.searchsorted(parts[order], np.arange(1, -(-len(entries) // posts_per_commit)))
    return [encode(part) for part in np.split(ordered, borders)]


def measure_copy(bench: Bench, first_id: int, *, connections: int) -> CopyResult:
    """Copy all entries from `first_id` on into a table like theirs that already holds what theirs held before, and drop it again.

    Several times; returns the median.
    """
    results = [_measure_once(bench, first_id, connections) for _ in range(REPETITIONS)]
    return sorted(results, key=lambda result: result.seconds)[REPETITIONS // 2]


def _measure_once(bench: Bench, first_id: int, connections: int) -> CopyResult:
    with bench.connect() as conn:
        _make_table(conn)
        conn.execute(
            "INSERT INTO bench.entries SELECT * FROM timeline.entries WHERE entry_id < %s",
            (first_id,),
        )
        conn.execute("ANALYZE bench.entries")
        conn.execute("CHECKPOINT")  # otherwise a baseline pays for the burst before it
        rows = _read_rows(conn, first_id)
        try:
            result = _copy_in(bench, rows, connections)
            _check_complete(conn, first_id, len(rows))
            return result
        finally:
            conn.execute("DROP TABLE bench.entries")


def _make_table(conn: psycopg.Connection) -> None:
    """Make a table of the same definition, with partitions of the same bounds where there are any."""
    conn.execute("CREATE SCHEMA IF NOT EXISTS bench")
    conn.execute("DROP TABLE IF EXISTS bench.entries")
    key = conn.execute("SELECT pg_get_partkeydef('timeline.entries'::regclass)").fetchone()
    partitioned = sql.SQL("PARTITION BY " + key[0]) if key and key[0] else sql.SQL("")
    conn.execute(sql.SQL("CREATE TABLE bench.entries (LIKE timeline.entries INCLUDING ALL) {}").format(partitioned))
    partitions = conn.execute(
        "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'timeline.entries'::regclass ORDER BY c.relname"
    ).fetchall()
    for name, bounds in partitions:
        statement = sql.SQL("CREATE TABLE bench.{} PARTITION OF bench.entries {}")
        conn.execute(statement.format(sql.Identifier(name), sql.SQL(bounds)))


def _read_rows(conn: psycopg.Connection, first_id: int) -> Rows:
    query = (
        "COPY (SELECT account_id, entry_id, author_id FROM timeline.entries WHERE entry_id >= %s)"
        " TO STDOUT (FORMAT binary)"
    )
    with conn.cursor().copy(query, (first_id,)) as copy:
        return decode(b"".join(copy))


def _check_complete(conn: psycopg.Connection, first_id: int, rows: int) -> None:
    found = conn.execute("SELECT count(*) FROM bench.entries WHERE entry_id >= %s", (first_id,)).fetchone()
    if found != (rows,):
        raise RuntimeError(f"{found} rows were copied where {rows} were due; this measured nothing")


def _copy_in(bench: Bench, rows: Rows, connections: int) -> CopyResult:
    commits = commits_of(rows)
    lanes = [commits[number::connections] for number in range(connections)]
    start = threading.Barrier(connections + 1, timeout=60)

    def lane(buffers: Sequence[bytes]) -> None:
        with bench.connect() as conn:
            start.wait()
            for buffer in buffers:
                _copy_one(conn, buffer)

    with ThreadPoolExecutor(connections) as pool:
        running = [pool.submit(lane, buffers) for buffers in lanes]
        start.wait()
        started = time.perf_counter()
        for each in running:
            each.result()
        seconds = time.perf_counter() - started
    return CopyResult(len(rows), len(commits), seconds)


def _copy_one(conn: psycopg.Connection, buffer: bytes) -> None:
    with conn.cursor().copy("COPY bench.entries (account_id, entry_id, author_id) FROM STDIN (FORMAT binary)") as copy:
        copy.write(buffer)
