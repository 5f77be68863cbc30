"""The kernel: what all friends of a member's friends add up to, in one pass over their rows.

Weights are whole numbers of 1 / ONE: their sums do not depend on their order, so equal scores are equal wherever and however they are
computed, and a sum and the number of mutual friends fit into one word. The words are in a small open hash table, which fits a
processor's cache where an array over all members would not; small networks have that array.

Friends with the fewest friends come first: they weigh most and bring the fewest. As soon as all the others together could lift no
new candidate among the best, these only add to candidates that are there (MaxScore: Turtle, Flood 1995). The best stay exact.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.social_graph.suggestions.compiling import compiled, inlined
from services.social_graph.suggestions.layout import Layout

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
CLASSES = 512
CLASS_BITS = 46
"""Scores are of one class when their 64 bits, without the last 46, are the same: 64 classes from one power of two to the next."""
LIKELY = 1
"""It is looked whether the best are decided when all that is left weighs less than so many of the mutual friends who brought the first."""
SLACK = 1 + 1e-12
"""What products of floats may be off by, and more."""

Array = NDArray[Any]
Whole = Any
"""A whole number: Python's, numpy's, or a compiled one."""


class Network(NamedTuple):
    """A graph's arrays, and what a mutual friend and a candidate weigh by their numbers of friends."""

    indptr: Array
    indices: Array
    degrees: Array
    places: Array
    """Each row's place in the order of ids, which breaks ties."""
    weights: Array
    """`weight_table`"""
    factors: Array
    """`factor_table`"""
    highest: float
    """The highest of `factors`."""
    is_flat: bool
    """Whether all factors are the same."""
    is_falling: bool
    """Whether weights and factors fall with the number of friends, factors not faster than that rises."""


class Table(NamedTuple):
    """A word for the member, for each friend and for each candidate; empty between members."""

    keys: Array
    """int32: the row of each slot, plus one, 0 for an empty slot; of no use where there is a slot per row."""
    words: Array
    """int64: of candidates above zero, of the member and their friends below, 0 for nobody."""
    touched: Array
    """int32: the slots in use, the member's first, then the friends', then the candidates'."""
    friends: Array
    """int64: the member's friends, those with the fewest friends first, then in the order of ids."""
    scores: Array
    """float64: of the slots in use, as far as they were computed."""
    starts: Array
    ends: Array
    """int64: where each class of scores begins among the best, and how far it has come."""


class Best(NamedTuple):
    """The best candidates, the best first."""

    scores: Array
    mutuals: Array
    rows: Array


def network_of(layout: Layout, a: float, b: float) -> Network:
    """Return a graph with the kernel's weights."""
    most = (1 << int(layout.degrees.max(initial=0)).bit_length()) - 1  # few tables for many graphs around members
    return Network(
        layout.indptr,
        layout.indices,
        layout.degrees,
        layout.order,
        weight_table(a, most),
        factor_table(b, most),
        max(1.0, float(most) ** -b) / ONE if most else 1.0 / ONE,
        b == 0,
        a >= 0 and 0 <= b <= 1,
    )


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
    """Return how many rows a member's pass comes by: theirs, their friends', and all of their friends' friends, once per path.

    It looks at where each friend's row begins: all of them are on their way from memory at once then, before the pass needs them.
    """
    indptr, indices = network.indptr, network.indices
    wedges = 1
    touched = np.int32(0)
    for p in range(indptr[u], indptr[u + 1]):
        w = indices[p]
        start = indptr[w]
        wedges += 1 + indptr[w + 1] - start
        touched |= indices[start]
    return wedges + (touched < 0)


@compiled
def make_table(wedges: Whole, n: Whole) -> Table:
    """Return a table for rows of so many wedges or fewer, among n members."""
    bits = table_bits(wedges, n)
    size = 1 << bits if bits > 0 else n
    return Table(
        np.zeros(size if n > SMALL else 0, dtype=np.int32),  # of a hub's array too: other rows still take keys
        np.zeros(size, dtype=np.int64),
        np.empty(min(wedges, n) + 2, dtype=np.int32),  # one to spare: the next is written before it is known to be new
        np.empty(min(wedges, n) + 1, dtype=np.int64),
        np.empty(min(wedges, n) + 1, dtype=np.float64),
        np.zeros(CLASSES + 1, dtype=np.int64),
        np.zeros(CLASSES, dtype=np.int64),
    )


@compiled
def grown(table: Table, wedges: Whole, n: Whole) -> Table:
    """Return an empty table that is large enough for a row: the same where it is."""
    if len(table.friends) > min(wedges, n):
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


@inlined
def order_friends(network: Network, u: Whole, friends: Array) -> Whole:
    """List the friends of u, those with the fewest friends first; return how many they are."""
    first = network.indptr[u]
    size = network.indptr[u + 1] - first
    for i in range(size):
        friends[i] = np.int64(network.degrees[network.indices[first + i]]) << 32 | i
    friends[:size].sort()
    for i in range(size):
        friends[i] = network.indices[first + (friends[i] & 0xFFFFFFFF)]
    return size


@compiled
def accumulate(network: Network, u: Whole, bits: Whole, table: Table, most: Whole) -> Whole:
    """Sum up the wedges of row u in an empty table; return how many slots are in use then.

    All of those who are among the `most` best candidates are there, and who is there has the whole sum. Nobody is left out for 0.
    """
    size = order_friends(network, u, table.friends)
    h = find(table, bits, u)
    count = enter(table, bits, h, u, 0)
    table.words[h] = MEMBER
    rest = 0
    for i in range(size):
        h = find(table, bits, table.friends[i])
        count = enter(table, bits, h, table.friends[i], count)
        table.words[h] = MEMBER  # stays below zero whatever is added
        rest += network.weights[network.degrees[table.friends[i]]]
    done, next_look, enough = 0, 2 * most, 0
    for i in range(size):
        w = table.friends[i]
        weight = network.weights[network.degrees[w]]
        if most > 0 and done >= next_look and rest < LIKELY * enough and count - size > most:
            if _are_decided(network, bits, table, size + 1, count, most, _bound(network, rest, weight)):
                _add_to_known(network, bits, table, i, size)
                break
            next_look = done + done // 2
        count = _add(network, w, (1 << COUNT_SHIFT) + weight, bits, table, count)
        rest -= weight
        if done < most:
            enough = weight  # what about so many candidates have at least
        done += network.indptr[w + 1] - network.indptr[w]
    for i in range(size):
        table.words[table.touched[i + 1]] = -1 - i
    table.words[table.touched[0]] = MEMBER
    return count


@inlined
def _add(network: Network, w: Whole, added: Whole, bits: Whole, table: Table, count: Whole) -> Whole:
    """Add to all friends of w; return how many slots are in use then. Nothing is decided per wedge: it could not be foreseen."""
    for q in range(np.uint64(network.indptr[w]), np.uint64(network.indptr[w + 1])):
        x = network.indices[q]
        h = find(table, bits, x)
        word = table.words[h]
        if bits > 0:
            table.keys[h] = x + 1
        table.touched[count] = h
        count += word == 0
        table.words[h] = word + added
    return count


@compiled
def _add_to_known(network: Network, bits: Whole, table: Table, start: Whole, size: Whole) -> None:
    """Add what the friends from `start` weigh to those of their friends that are there."""
    for i in range(start, size):
        w = table.friends[i]
        added = (1 << COUNT_SHIFT) + network.weights[network.degrees[w]]
        for q in range(np.uint64(network.indptr[w]), np.uint64(network.indptr[w + 1])):
            h = find(table, bits, network.indices[q])
            word = table.words[h]
            if word != 0:
                table.words[h] = word + added


@inlined
def _bound(network: Network, rest: Whole, heaviest: Whole) -> Any:
    """Return what somebody can score at most whose mutual friends are among those that weigh `rest` together, none above `heaviest`.

    It takes rest / heaviest mutual friends for all of `rest`, and who has so many has as many friends.
    """
    if not network.is_falling:
        return rest * network.highest * SLACK
    fewest = min(max(1, rest // max(1, heaviest)), len(network.factors) - 1)
    return rest * network.factors[fewest] * SLACK


@compiled
def _are_decided(
    network: Network, bits: Whole, table: Table, start: Whole, stop: Whole, most: Whole, bound: Any
) -> Any:
    """Tell whether so many candidates score above a bound already."""
    above = 0
    for i in range(start, stop):
        h = table.touched[i]
        factor = network.highest if network.is_flat else network.factors[network.degrees[row_of(table, bits, h)]]
        above += (table.words[h] & SUM_MASK) * factor > bound
    return above >= most


@compiled
def clear(table: Table, bits: Whole, count: Whole) -> None:
    """Empty the slots in use."""
    for i in range(count):
        h = table.touched[i]
        table.words[h] = 0
        if bits > 0:
            table.keys[h] = 0


@inlined
def comes_before(
    places: Array, score: Any, mutual: Whole, x: Whole, other_score: Any, other_mutual: Whole, other: Whole
) -> Any:
    """Order by score, then mutual friends, then id."""
    if score != other_score:
        return score > other_score
    if mutual != other_mutual:
        return mutual > other_mutual
    return places[x] < places[other]


@compiled
def select_best(
    network: Network, table: Table, bits: Whole, start: Whole, stop: Whole, most: Whole, best: Best
) -> Whole:
    """Put the best candidates of the slots touched[start:stop], at most `most`, into `best`; return how many they are.

    They are counted by classes of nearly equal scores, and only those of the classes that are needed are put in order.
    """
    _score(network, table, bits, start, stop)
    scores, patterns, starts, ends = table.scores, table.scores.view(np.int64), table.starts, table.ends
    starts[:] = 0
    top = patterns[start:stop].max() if start < stop else np.int64(0)
    for i in range(start, stop):
        starts[1 + min(CLASSES - 1, (top - patterns[i]) >> CLASS_BITS)] += patterns[i] >= 0
    for c in range(CLASSES):
        starts[c + 1] = min(most, starts[c + 1] + starts[c])
        ends[c] = starts[c]
    for i in range(start, stop):
        c = min(CLASSES - 1, (top - patterns[i]) >> CLASS_BITS)
        if starts[c] < starts[c + 1] and patterns[i] >= 0:
            h = table.touched[i]
            word = table.words[h]
            x = row_of(table, bits, h)
            ends[c] = _insert(
                network.places, best, starts[c], ends[c], starts[c + 1], scores[i], word >> COUNT_SHIFT, x
            )
    return starts[CLASSES]


@compiled
def _score(network: Network, table: Table, bits: Whole, start: Whole, stop: Whole) -> None:
    """Compute the scores of the slots touched[start:stop]: -1 for who has too many mutual friends."""
    for i in range(start, stop):
        h = table.touched[i]
        word = table.words[h]
        factor = network.highest if network.is_flat else network.factors[network.degrees[row_of(table, bits, h)]]
        table.scores[i] = (word & SUM_MASK) * factor if word > 0 else -1.0


@inlined
def _insert(
    places: Array, best: Best, start: Whole, end: Whole, stop: Whole, score: Any, mutual: Whole, x: Whole
) -> Whole:
    """Put a candidate where it belongs into best[start:end], whose room is up to `stop`; return where that ends then."""
    scores, mutuals, rows = best
    i = end
    if end == stop:
        i = end - 1
        if not comes_before(places, score, mutual, x, scores[i], mutuals[i], rows[i]):
            return end
    end = i + 1
    while i > start and comes_before(places, score, mutual, x, scores[i - 1], mutuals[i - 1], rows[i - 1]):
        scores[i], mutuals[i], rows[i] = scores[i - 1], mutuals[i - 1], rows[i - 1]
        i -= 1
    scores[i], mutuals[i], rows[i] = score, mutual, x
    return end
