"""Edge lists as SNAP publishes them: a friendship per line, two member numbers or names, plain or gzip."""

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_LINE = 1000
_NAME = re.compile(r"[A-Za-z0-9_]{1,20}")


class EdgeListError(ValueError):
    """The file cannot be imported; the message says where and why."""


@dataclass(frozen=True)
class EdgeList:
    """A whole, checked file."""

    members: list[str]
    """Names in the order of their first line."""
    friendships: list[tuple[str, str]]
    """Distinct undirected pairs, in the order of their first line."""
    self_loops: int
    """Lines that befriend a member with itself; they are left out."""
    repeated: int
    """Lines that say again, in either direction, what an earlier one said; they are left out."""


def read_edge_list(path: Path) -> EdgeList:
    """Read and check the whole file before anything is done with it.

    A line is two names (letters, digits, underscores; up to 20) apart by blanks, a tab or a comma; empty lines and lines that begin with
    # or % are comments. Raises EdgeListError with the number and content of the first other line, OSError where it cannot be read.
    """
    members: dict[str, None] = {}
    pairs: dict[tuple[str, str], None] = {}
    self_loops = repeated = 0
    for number, line in _lines(path):
        text = line.strip()
        if not text or text[0] in "#%":
            continue
        names = text.replace(",", " ").split()
        if len(names) != 2 or not all(_NAME.fullmatch(name) for name in names):
            raise EdgeListError(
                f"{path.name}, line {number}: {text[:80]!r} is not a friendship; a line is two member names or numbers"
            )
        left, right = (name.lower() for name in names)
        members.setdefault(left)
        members.setdefault(right)
        pair = (left, right) if left < right else (right, left)
        if left == right:
            self_loops += 1
        elif pair in pairs:
            repeated += 1
        else:
            pairs[pair] = None
    if not members:
        raise EdgeListError(f"{path.name} has no friendships in it")
    return EdgeList(list(members), list(pairs), self_loops, repeated)


def most_friends(edges: EdgeList) -> tuple[str, int]:
    """Return the member with the most friends in the file, and how many."""
    counts = dict.fromkeys(edges.members, 0)
    for left, right in edges.friendships:
        counts[left] += 1
        counts[right] += 1
    name = max(counts, key=lambda member: counts[member])
    return name, counts[name]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    opener = gzip.open if is_gzip else open
    number = 0
    try:
        with opener(path, "rb") as stream:
            while line := stream.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    raise EdgeListError(f"{path.name}, line {number}: longer than {MAX_LINE} bytes")
                yield number, line.decode("ascii")
    except UnicodeDecodeError as error:
        raise EdgeListError(f"{path.name}, line {number}: {line[:80]!r} is not plain ASCII text") from error
    except (EOFError, gzip.BadGzipFile) as error:
        raise EdgeListError(f"{path.name}, after line {number}: the gzip data is damaged: {error}") from error
