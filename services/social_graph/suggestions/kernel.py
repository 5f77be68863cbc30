"""The kernel: what all friends of a member's friends add up to, in one pass over their rows.

Weights are whole numbers of 1 / ONE: their sums do not depend on their order, so equal scores are equal wherever and however they are
computed, and a sum and the number of mutual friends fit into one word. The words are in a small open hash table, which fits a
processor's cache where an array over all members would not; small networks have that array.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.social_graph.suggestions.compiling import compiled, inlined
from services.social_graph.suggestions.graphs import CsrGraph

ONE = 36 * 232_792_560
"""A weight of 1, about 2^33. It can be divided by every number up to 22, so that a third and a sixth are exactly a half."""
SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio: multiplying by it spreads neighbouring rows over the table (Knuth, TAOCP 3, 6.4)."""
COUNT_SHIFT = 48
SUM_MASK = (1 << COUNT_SHIFT) - 1
"""A candidate's word is mutual friends << 48 | sum of weights: up to 32,767 mutual friends, above which nobody is suggested."""
MEMBER = -(1 << 63)
"""The word of the member. That of their i-th friend is -1 - i."""
SMALL = 1 << 17
"""Up to so many members have an array of words: 1 MB, which stays near the processor."""
FIRST_WEDGES = 4096
"""What a table has room for at first; it grows with the rows."""

Array = NDArray[Any]
Whole = Any
"""A whole number: Python's, numpy's, or a compiled one."""


class Network(NamedTuple):
    """A graph's arrays, and what a mutual friend and a candidate weigh by their numbers of friends."""

    indptr: Array
    indices: Array
    degrees: Array
    weights: Array
    """`weight_table`"""
    factors: Array
    """`factor_table`"""


class Table(NamedTuple):
    """A word for the member, for each friend and for each candidate; empty between members."""

    keys: Array
    """int32: the row of each slot, plus one, 0 for an empty slot; of no use where there is a slot per row."""
    words: Array
    """int64: of candidates above zero, of the member and their friends below, 0 for nobody."""
    touched: Array
    """int32: the slots in use, the member's first, then the friends', then the candidates'."""


class Best(NamedTuple):
    """The best candidates, the best first."""

    scores: Array
    mutuals: Array
    rows: Array


def network_of(graph: CsrGraph, a: float, b: float) -> Network:
    """Return a graph with the kernel's weights."""
    most = int(graph.degrees.max(initial=0))
    return Network(graph.indptr, graph.indices, graph.degrees, weight_table(a, most), factor_table(b, most))


@lru_cache(maxsize=64)
def weight_table(a: float, most: int) -> NDArray[np.int64]:
    """Return d^-a in units of 1 / ONE for each number of friends d up to `most`; d = 0 counts as 1."""
    return np.array([round(max(d, 1) ** -a * ONE) for d in range(most + 1)], dtype=np.int64)


@lru_cache(maxsize=64)
def factor_table(b: float, most: int) -> NDArray[np.float64]:
    """Return d^-b / ONE for each number of friends d up to `most`; d = 0 counts as 1."""
    return np.array([max(d, 1) ** -b / ONE for d in range(most + 1)], dtype=np.float64)


@compiled
def table_bits(wedges: Whole, n: Whole) -> Whole:
    """Return the table's size as a power of two, twice as many slots as there can be candidates; 0 where there is a slot per row."""
    bits = 6
    while (1 << bits) < 2 * wedges:
        bits += 1
    return bits if n > SMALL and (1 << bits) < n else 0


@compiled
def row_wedges(network: Network, u: Whole) -> Whole:
    """Return how many rows a member's pass comes by: theirs, their friends', and all of their friends' friends, once per path."""
    indptr, indices = network.indptr, network.indices
    wedges = 1
    for p in range(indptr[u], indptr[u + 1]):
        w = indices[p]
        wedges += 1 + indptr[w + 1] - indptr[w]
    return wedges


@compiled
def make_table(wedges: Whole, n: Whole) -> Table:
    """Return a table for rows of so many wedges or fewer, among n members."""
    bits = table_bits(wedges, n)
    size = 1 << bits if bits > 0 else n
    return Table(
        np.zeros(size if n > SMALL else 0, dtype=np.int32),  # of a hub's array too: other rows still take keys
        np.zeros(size, dtype=np.int64),
        np.empty(min(wedges, n) + 1, dtype=np.int32),
    )


@compiled
def grown(table: Table, wedges: Whole, n: Whole) -> Table:
    """Return an empty table that is large enough for a row: the same where it is."""
    if len(table.touched) > min(wedges, n):
        return table
    return make_table(2 * wedges, n)


@inlined
def find(table: Table, bits: Whole, x: Whole) -> Whole:
    """Return the slot of a row, or the empty one where it belongs: unsigned, which spares every access a look at its sign."""
    if bits == 0:
        return np.uint64(x)
    h = (np.uint64(x) * SPREAD) >> np.uint64(64 - bits)
    mask = np.uint64((1 << bits) - 1)
    key = x + 1
    while True:
        stored = table.keys[h]
        if stored == key or stored == 0:
            return h
        h = (h + np.uint64(1)) & mask


@inlined
def row_of(table: Table, bits: Whole, h: Whole) -> Whole:
    """Return the row of a slot."""
    return table.keys[h] - 1 if bits > 0 else h


@inlined
def enter(table: Table, bits: Whole, h: Whole, x: Whole, count: Whole) -> Whole:
    """Take an empty slot into use; return how many are in use then."""
    if bits > 0:
        table.keys[h] = x + 1
    table.touched[count] = h
    return count + 1


@compiled
def accumulate(network: Network, u: Whole, bits: Whole, table: Table, ego: Array) -> Whole:
    """Sum up all wedges of row u in an empty table; return how many slots are in use then.

    `ego`, where it has rows, becomes the friends' adjacency among themselves: a row per friend, a bit per friend.
    """
    indptr, indices = network.indptr, network.indices
    first, stop = indptr[u], indptr[u + 1]
    h = find(table, bits, u)
    count = enter(table, bits, h, u, 0)
    table.words[h] = MEMBER
    for p in range(first, stop):
        h = find(table, bits, indices[p])
        count = enter(table, bits, h, indices[p], count)
        table.words[h] = first - p - 1
    if ego.shape[0] > 0:
        return _add_and_look(network, u, bits, table, count, ego)
    for i in range(1, count):
        table.words[table.touched[i]] = MEMBER  # stays below zero whatever is added
    for p in range(first, stop):
        w = indices[p]
        added = (1 << COUNT_SHIFT) + network.weights[network.degrees[w]]
        for q in range(np.uint64(indptr[w]), np.uint64(indptr[w + 1])):
            h = find(table, bits, indices[q])
            word = table.words[h]
            if word == 0:
                count = enter(table, bits, h, indices[q], count)
            table.words[h] = word + added
    for i in range(stop - first):
        table.words[table.touched[i + 1]] = -1 - i
    table.words[table.touched[0]] = MEMBER
    return count


@compiled
def _add_and_look(network: Network, u: Whole, bits: Whole, table: Table, count: Whole, ego: Array) -> Whole:
    """Add all wedges up, and note who of the friends are friends of each other."""
    indptr, indices = network.indptr, network.indices
    first = indptr[u]
    for p in range(first, indptr[u + 1]):
        w = indices[p]
        added = (1 << COUNT_SHIFT) + network.weights[network.degrees[w]]
        for q in range(indptr[w], indptr[w + 1]):
            h = find(table, bits, indices[q])
            word = table.words[h]
            if word >= 0:
                if word == 0:
                    count = enter(table, bits, h, indices[q], count)
                table.words[h] = word + added
            elif word != MEMBER:
                j = -1 - word
                ego[p - first, j >> 6] |= np.uint64(1) << np.uint64(j & 63)
    return count


@compiled
def clear(table: Table, bits: Whole, count: Whole) -> None:
    """Empty the slots in use."""
    for i in range(count):
        h = table.touched[i]
        table.words[h] = 0
        if bits > 0:
            table.keys[h] = 0


@inlined
def comes_before(score: Any, mutual: Whole, x: Whole, other_score: Any, other_mutual: Whole, other: Whole) -> Any:
    """Order by score, then mutual friends, then id."""
    if score != other_score:
        return score > other_score
    if mutual != other_mutual:
        return mutual > other_mutual
    return x < other


@compiled
def _sift_down(best: Best, i: Whole, size: Whole) -> None:
    """Restore a heap whose root is the last in order."""
    scores, mutuals, rows = best
    while True:
        child = 2 * i + 1
        if child >= size:
            return
        right = child + 1
        if right < size and comes_before(
            scores[child], mutuals[child], rows[child], scores[right], mutuals[right], rows[right]
        ):
            child = right
        if not comes_before(scores[i], mutuals[i], rows[i], scores[child], mutuals[child], rows[child]):
            return
        scores[i], scores[child] = scores[child], scores[i]
        mutuals[i], mutuals[child] = mutuals[child], mutuals[i]
        rows[i], rows[child] = rows[child], rows[i]
        i = child


@compiled
def select_best(
    network: Network, table: Table, bits: Whole, start: Whole, stop: Whole, most: Whole, best: Best
) -> Whole:
    """Put the best candidates of the slots touched[start:stop], at most `most`, into `best`; return how many they are."""
    scores, mutuals, rows = best
    size = 0
    highest = network.factors.max()
    is_flat = network.factors.min() == highest  # spares a look at each candidate's degree
    for i in range(start, stop):
        word = table.words[table.touched[i]]
        total = word & SUM_MASK
        if word < 0 or (size == most and total * highest < scores[0]):
            continue
        x, mutual = row_of(table, bits, table.touched[i]), word >> COUNT_SHIFT
        score = total * (highest if is_flat else network.factors[network.degrees[x]])
        if size < most:
            scores[size], mutuals[size], rows[size] = score, mutual, x
            size += 1
            if size == most:
                for j in range(most // 2 - 1, -1, -1):
                    _sift_down(best, j, size)
        elif comes_before(score, mutual, x, scores[0], mutuals[0], rows[0]):
            scores[0], mutuals[0], rows[0] = score, mutual, x
            _sift_down(best, 0, size)
    if size < most:
        for j in range(size // 2 - 1, -1, -1):
            _sift_down(best, j, size)
    for last in range(size - 1, 0, -1):
        scores[0], scores[last] = scores[last], scores[0]
        mutuals[0], mutuals[last] = mutuals[last], mutuals[0]
        rows[0], rows[last] = rows[last], rows[0]
        _sift_down(best, 0, last)
    return size
