"""Edge lists as they are published: plain or gzip, any separators, any ids, comments, headers, repeats, loops, both directions."""

import gzip
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from services.social_graph.suggestions import CsrGraph

MAX_FRIENDSHIPS = 20_000_000
COMMENTS = ("#", "%", "//")
SEPARATORS = re.compile(r"[\s,;|]+")
MATRIX_MARKET = "%%MatrixMarket"


class UnreadableFile(ValueError):
    """What is wrong with a file, in a sentence."""


def read_graph(path: Path, seed: int = 0) -> CsrGraph:
    """Return the undirected graph of an edge list. Raises UnreadableFile.

    Members are numbered from 1 in random order, so that no ranking gains from the file's order where it breaks ties by id.
    """
    try:
        with path.open("rb") as file:
            is_gzip = file.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rt", encoding="utf-8") if is_gzip else path.open(encoding="utf-8") as lines:
            ends = _number(_pairs(lines))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"{path} cannot be read: {error}") from error
    except UnreadableFile as error:
        raise UnreadableFile(f"{path}: {error}") from error
    return shuffled(ends, seed)


def shuffled(ends: NDArray[np.int64], seed: int) -> CsrGraph:
    """Return the graph of friendships, [m, 2], whose members are numbered from 1 in random order."""
    names, rows = np.unique(ends[ends[:, 0] != ends[:, 1]], return_inverse=True)
    numbers = np.random.default_rng(seed).permutation(len(names)) + 1
    both = numbers[rows.reshape(-1, 2)]
    return CsrGraph.from_edges(both[:, 0], both[:, 1])


def of_networkx(network: "nx.Graph[object]", seed: int = 0) -> CsrGraph:
    """Return a networkx graph as `read_graph` would, had it been a file."""
    return shuffled(_number((str(u), str(v)) for u, v in network.edges), seed)


def _pairs(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the first two words of each line that is not empty, a comment, a header, or a matrix's size."""
    is_matrix, first = False, True
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        is_matrix = is_matrix or (number == 1 and text.startswith(MATRIX_MARKET))
        if not text or text.startswith(COMMENTS):
            continue
        words = [word.strip("\"'") for word in SEPARATORS.split(text.strip(",;|")) if word]
        if len(words) < 2:
            raise UnreadableFile(f"line {number} does not name two members: {text[:60]!r}")
        is_first, first = first, False
        if is_first and (is_matrix or (_is_header(words[0]) and _is_header(words[1]))):
            continue
        yield words[0], words[1]


def _is_header(word: str) -> bool:
    return (
        re.fullmatch(r"(?i)(source|target|from|to|node|id|user|src|dst|u|v|a|b)[\s_-]*(id|node)?[\s_-]*[0-9ab]?", word)
        is not None
    )


def _number(pairs: Iterable[tuple[str, str]]) -> NDArray[np.int64]:
    numbers: dict[str, int] = {}
    ends: list[int] = []
    for pair in pairs:
        for name in pair:
            ends.append(numbers.setdefault(name, len(numbers)))
        if len(ends) > 2 * MAX_FRIENDSHIPS:
            raise UnreadableFile(f"there are more than {MAX_FRIENDSHIPS:,} lines, more than this benchmark takes")
    if not ends:
        raise UnreadableFile("there is no friendship in it")
    return np.array(ends, dtype=np.int64).reshape(-1, 2)
