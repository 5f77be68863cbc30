"""How to store home timelines: rows per second into several layouts of `timeline.entries`, with many rows there already.

    python -m benchmarks.entries_layout --rows 10_000_000 --connections 2 --json OUT

Every layout is filled with the same rows (members drawn at random, ids ascending in time), then batches as the fan-out writes them
(posts × friends, sorted by member and id, a commit each) are written for some seconds on some connections. The baseline of the run is COPY
BINARY into a table of the same columns without any index. Fixed durable settings; a private PostgreSQL of its own, gone at the end.
"""

import argparse
import itertools
import json
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psycopg
from rich.console import Console
from rich.table import Table

from deploy.local import postgres

MEMBERS = 100_000
PARTITIONS = 8
PRELOAD_BATCH = 500_000
PATTERNS = 8
Rows = npt.NDArray[np.int64]
ROW = np.dtype(
    [
        ("fields", ">i2"),
        ("la", ">i4"),
        ("account", ">i8"),
        ("le", ">i4"),
        ("entry", ">i8"),
        ("lu", ">i4"),
        ("author", ">i8"),
    ]
)
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY = "COPY entries (account_id, entry_id, author_id) FROM STDIN (FORMAT binary)"
INSERT = "INSERT INTO entries SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) ORDER BY 1, 2 ON CONFLICT DO NOTHING"
COLUMNS = "account_id bigint NOT NULL, entry_id bigint NOT NULL, author_id bigint NOT NULL"


@dataclass(frozen=True)
class Layout:
    """A way to store and write entries."""

    name: str
    unlogged: bool = False
    partitioned: bool = False
    keyed: bool = True
    by_insert: bool = False
    marked: bool = False


LAYOUTS = (
    Layout("no index, COPY (baseline)", keyed=False),
    Layout("plain, INSERT ON CONFLICT", by_insert=True),
    Layout("plain, COPY"),
    Layout("plain, unlogged, COPY", unlogged=True),
    Layout("partitions, INSERT ON CONFLICT", partitioned=True, by_insert=True),
    Layout("partitions, COPY, markers", partitioned=True, marked=True),
    Layout("partitions, unlogged, COPY, markers", partitioned=True, unlogged=True, marked=True),
)


@dataclass(frozen=True)
class Result:
    """What a layout reached."""

    layout: str
    posts_per_batch: int
    rows_per_second: float
    ratio: float
    bytes_per_row: float
    wal_bytes_per_row: float


class Ids:
    """Ids ascending over all connections, as time does."""

    def __init__(self) -> None:
        self.next = 1
        self._lock = threading.Lock()

    def take(self, count: int) -> int:
        """Return the first of so many new ids."""
        with self._lock:
            first = self.next
            self.next += count
        return first


def make_pattern(chance: np.random.Generator, posts: int, friends: int) -> Rows:
    """Return rows (account, number of the post, author), sorted by key, of so many posts to so many friends each."""
    rows = np.empty((posts * friends, 3), dtype=np.int64)
    rows[:, 1] = np.repeat(np.arange(posts), friends)
    rows[:, 2] = np.repeat(chance.integers(MEMBERS, size=posts), friends)
    for post in range(posts):
        rows[post * friends : (post + 1) * friends, 0] = chance.choice(MEMBERS, friends, replace=False, shuffle=False)
    return rows[np.lexsort((rows[:, 1], rows[:, 0]))]


def make_batch(pattern: Rows, ids: Ids, posts: int) -> Rows:
    """Return the rows of new posts to the friends of a pattern; cheap, so that what is measured is the writing."""
    rows = pattern.copy()
    rows[:, 1] += ids.take(posts)
    return rows


def to_copy(rows: Rows) -> bytes:
    """Return rows in PostgreSQL's binary COPY format."""
    wire = np.empty(len(rows), dtype=ROW)
    wire["fields"] = 3
    wire["la"] = wire["le"] = wire["lu"] = 8
    wire["account"], wire["entry"], wire["author"] = rows.T
    return HEADER + wire.tobytes() + b"\xff\xff"


def write(conn: psycopg.Connection, layout: Layout, rows: Rows) -> None:
    """Write one batch in one transaction."""
    with conn.transaction():
        if layout.by_insert:
            conn.execute(INSERT, [column.tolist() for column in rows.T])
        else:
            if layout.marked:
                conn.execute("INSERT INTO deliveries SELECT DISTINCT unnest(%s::bigint[])", (rows[:, 1].tolist(),))
            with conn.cursor() as cursor, cursor.copy(COPY) as copy:
                copy.write(to_copy(rows))


def create(conn: psycopg.Connection, layout: Layout, total_ids: int) -> None:
    """Create the tables of a layout, empty."""
    kind = "UNLOGGED" if layout.unlogged else ""
    key = ", PRIMARY KEY (account_id, entry_id)" if layout.keyed else ""
    conn.execute("DROP TABLE IF EXISTS entries, deliveries")
    if layout.partitioned:
        conn.execute(f"CREATE TABLE entries ({COLUMNS}{key}) PARTITION BY RANGE (entry_id)".encode())
        step = total_ids // PARTITIONS + 1
        for number in range(PARTITIONS):
            conn.execute(
                f"CREATE {kind} TABLE entries_{number} PARTITION OF entries"
                f" FOR VALUES FROM ({number * step}) TO ({(number + 1) * step})".encode()
            )
        conn.execute(f"CREATE {kind} TABLE entries_rest PARTITION OF entries DEFAULT".encode())
    else:
        conn.execute(f"CREATE {kind} TABLE entries ({COLUMNS}{key})".encode())
    conn.execute(f"CREATE {kind} TABLE deliveries (entry_id bigint PRIMARY KEY)".encode())


def measure(url: str, layout: Layout, arguments: argparse.Namespace, posts: int, say: Callable[[str], None]) -> Result:
    """Fill a layout, then write batches for the time given; the ratio is filled in later."""
    ids, friends = Ids(), arguments.friends
    with psycopg.connect(url, autocommit=True) as conn:
        create(conn, layout, (arguments.rows // friends) * 8 // 7)
        chance = np.random.default_rng(1)
        filled = Layout("fill", keyed=layout.keyed)
        posts_at_once = max(PRELOAD_BATCH // friends, 1)
        patterns = [make_pattern(chance, posts_at_once, friends) for _ in range(PATTERNS)]
        while (ids.next - 1) * friends < arguments.rows:
            pattern = patterns[ids.next // posts_at_once % PATTERNS]
            write(conn, filled, make_batch(pattern, ids, posts_at_once))
        conn.execute("CHECKPOINT")
        say(f"{layout.name}: {(ids.next - 1) * friends:,} rows there")
        wal_before, size_before, count_before = _wal(conn), _size(conn), (ids.next - 1) * friends
        seconds, written = _run(url, layout, ids, arguments, posts)
        wal, size = _wal(conn) - wal_before, _size(conn)
        total = count_before + written
        return Result(layout.name, posts, written / seconds, 0, size / total if size_before else 0, wal / written)


def _run(url: str, layout: Layout, ids: Ids, arguments: argparse.Namespace, posts: int) -> tuple[float, int]:
    written = [0] * arguments.connections
    patterns = [
        [make_pattern(np.random.default_rng([number, each]), posts, arguments.friends) for each in range(PATTERNS)]
        for number in range(arguments.connections)
    ]
    deadline = time.monotonic() + arguments.seconds

    def work(number: int) -> None:
        with psycopg.connect(url, autocommit=True) as conn:
            for turn in itertools.count():
                if time.monotonic() >= deadline:
                    return
                rows = make_batch(patterns[number][turn % PATTERNS], ids, posts)
                write(conn, layout, rows)
                written[number] += len(rows)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(arguments.connections)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - started, sum(written)


def _wal(conn: psycopg.Connection) -> int:
    row = conn.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint").fetchone()
    assert row is not None
    return int(row[0])


def _size(conn: psycopg.Connection) -> int:
    row = conn.execute(
        "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class WHERE relname LIKE 'entries%' AND relkind = 'r'"
    ).fetchone()
    assert row is not None
    return int(row[0])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows that are there already")
    parser.add_argument("--friends", type=int, default=130)
    parser.add_argument("--connections", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--posts", type=int, nargs="+", default=[1, 200], help="posts per batch")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    console = Console()
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as folder, postgres.temporary(Path(folder), durable=True) as server:
        for posts in arguments.posts:
            baseline = 0.0
            for layout in LAYOUTS:
                result = measure(server.url, layout, arguments, posts, lambda line: console.print(line, style="dim"))
                baseline = baseline or result.rows_per_second
                results.append(Result(**{**asdict(result), "ratio": result.rows_per_second / baseline}))
    table = Table("layout", "posts/batch", "rows/s", "ratio", "bytes/row", "WAL bytes/row")
    for result in results:
        table.add_row(
            result.layout,
            str(result.posts_per_batch),
            f"{result.rows_per_second:,.0f}",
            f"{result.ratio:.2f}",
            f"{result.bytes_per_row:.0f}",
            f"{result.wal_bytes_per_row:.0f}",
        )
    console.print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(result) for result in results], indent=2))


if __name__ == "__main__":
    main()
