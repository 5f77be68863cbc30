"""The kernel: what all friends of a member's friends add up to, in one pass over their rows.

Weights are whole numbers of 2^-40: their sums do not depend on their order, so equal scores are equal wherever and however they are
computed. Sums are kept in a small open hash table, which fits a processor's cache where an array over all members would not.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from services.social_graph.suggestions.graphs import CsrGraph

ONE = 1 << 40
"""A weight of 1."""
SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""2^64 divided by the golden ratio: multiplying by it spreads neighbouring rows over the table (Knuth, TAOCP 3, 6.4)."""
MEMBER = -(1 << 62)
"""Marks the member's own slot."""

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
    """The hash table of one member's candidates; empty between members."""

    slots: Array
    """int64[2^bits, 2]: (row + 1) << 32 | mutual friends, and the sum of weights. 0 is an empty slot.

    The member and their friends have negative sums: MEMBER, and -1 - their place among the friends.
    """
    touched: Array
    """int64: the slots in use, the member's first, then the friends', then the candidates'."""


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
    """Return d^-a in units of 2^-40 for each number of friends d up to `most`; d = 0 counts as 1."""
    return np.array([round(max(d, 1) ** -a * ONE) for d in range(most + 1)], dtype=np.int64)


@lru_cache(maxsize=64)
def factor_table(b: float, most: int) -> NDArray[np.float64]:
    """Return d^-b / 2^40 for each number of friends d up to `most`; d = 0 counts as 1."""
    return np.array([max(d, 1) ** -b / ONE for d in range(most + 1)], dtype=np.float64)


@njit(cache=True, nogil=True)
def table_bits(wedges: Whole, n: Whole) -> Whole:
    """Return the table's size as a power of two: twice as many slots as there can be candidates."""
    bits = 6
    while (1 << bits) < 2 * min(wedges, n):
        bits += 1
    return bits


@njit(cache=True, nogil=True)
def row_wedges(network: Network, u: Whole) -> Whole:
    """Return how many rows a member's pass comes by: theirs, their friends', and all of their friends' friends, once per path."""
    indptr, indices = network.indptr, network.indices
    wedges = 1
    for p in range(indptr[u], indptr[u + 1]):
        w = indices[p]
        wedges += 1 + indptr[w + 1] - indptr[w]
    return wedges


@njit(cache=True, nogil=True)
def make_table(network: Network, members: Array) -> Table:
    """Return a table that is large enough for each of the members."""
    most, n = 1, len(network.degrees)
    for u in members:
        most = max(most, row_wedges(network, u))
    return Table(np.zeros((1 << table_bits(most, n), 2), dtype=np.int64), np.empty(min(most, n) + 1, dtype=np.int64))


@njit(cache=True, nogil=True, inline="always")
def find(slots: Array, bits: Whole, x: Whole) -> Whole:
    """Return the slot of a row, or the empty one where it belongs."""
    h = np.int64((np.uint64(x) * SPREAD) >> np.uint64(64 - bits))
    mask = (1 << bits) - 1
    key = x + 1
    while True:
        stored = slots[h, 0] >> 32
        if stored == key or stored == 0:
            return h
        h = (h + 1) & mask


@njit(cache=True, nogil=True)
def accumulate(network: Network, u: Whole, bits: Whole, table: Table, ego: Array) -> Whole:
    """Sum up all wedges of row u in an empty table; return how many slots are in use then.

    `ego`, where it has rows, becomes the friends' adjacency among themselves: a row per friend, a bit per friend.
    """
    indptr, indices = network.indptr, network.indices
    slots, touched = table
    first = indptr[u]
    count = _mark(network, u, bits, table)
    with_ego = ego.shape[0] > 0
    for p in range(first, indptr[u + 1]):
        w = indices[p]
        weight = network.weights[network.degrees[w]]
        for q in range(indptr[w], indptr[w + 1]):
            x = indices[q]
            h = find(slots, bits, x)
            if slots[h, 0] == 0:
                slots[h, 0] = (np.int64(x + 1) << 32) + 1
                slots[h, 1] = weight
                touched[count] = h
                count += 1
            elif slots[h, 1] >= 0:
                slots[h, 0] += 1
                slots[h, 1] += weight
            elif with_ego and slots[h, 1] != MEMBER:
                j = -1 - slots[h, 1]
                ego[p - first, j >> 6] |= np.uint64(1) << np.uint64(j & 63)
    return count


@njit(cache=True, nogil=True)
def _mark(network: Network, u: Whole, bits: Whole, table: Table) -> Whole:
    """Enter the member and their friends, who are no candidates."""
    slots, touched = table
    first, stop = network.indptr[u], network.indptr[u + 1]
    h = find(slots, bits, u)
    slots[h, 0], slots[h, 1], touched[0] = np.int64(u + 1) << 32, MEMBER, h
    for p in range(first, stop):
        w = network.indices[p]
        h = find(slots, bits, w)
        slots[h, 0], slots[h, 1], touched[p - first + 1] = np.int64(w + 1) << 32, first - p - 1, h
    return stop - first + 1


@njit(cache=True, nogil=True)
def clear(table: Table, count: Whole) -> None:
    """Empty the slots in use."""
    for i in range(count):
        table.slots[table.touched[i], 0] = 0
        table.slots[table.touched[i], 1] = 0


@njit(cache=True, nogil=True, inline="always")
def comes_before(score: Any, mutual: Whole, x: Whole, other_score: Any, other_mutual: Whole, other: Whole) -> Any:
    """Order by score, then mutual friends, then id."""
    if score != other_score:
        return score > other_score
    if mutual != other_mutual:
        return mutual > other_mutual
    return x < other


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def select_best(network: Network, table: Table, start: Whole, stop: Whole, most: Whole, best: Best) -> Whole:
    """Put the best candidates of the slots touched[start:stop], at most `most`, into `best`; return how many they are."""
    scores, mutuals, rows = best
    size = 0
    highest = network.factors.max()
    for i in range(start, stop):
        total = table.slots[table.touched[i], 1]
        if size == most and total * highest < scores[0]:
            continue
        key = table.slots[table.touched[i], 0]
        x, mutual = (key >> 32) - 1, key & 0xFFFFFFFF
        score = total * network.factors[network.degrees[x]]
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
