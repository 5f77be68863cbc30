"""The kernel: what all friends of a member's friends add up to, in one pass over their rows.

Weights are whole numbers of 1 / ONE: their sums do not depend on their order, so equal scores are equal wherever and however they are
computed, and a sum and the number of mutual friends fit into one word.

Friends with the fewest friends come first: they weigh most and bring the fewest. As soon as all the others together could lift no
new candidate among the best, these only add to candidates that are there (MaxScore: Turtle, Flood 1995). The best stay exact.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.social_graph.suggestions.compiling import Array, Whole, compiled, inlined
from services.social_graph.suggestions.layout import Layout
from services.social_graph.suggestions.tables import FRIEND_SLOT, MEMBER_SLOT, Table

ONE = 36 * 232_792_560
"""A weight of 1, about 2^33. It can be divided by every number up to 22, so that a third and a sixth are exactly a half."""
COUNT_SHIFT = 48
SUM_MASK = (1 << COUNT_SHIFT) - 1
"""A candidate's word is mutual friends << 48 | sum of weights: up to 32,767 mutual friends, above which nobody is suggested."""
MEMBER = -(1 << 63)
"""The word of the member. That of their i-th friend is -1 - i."""
FEW = 64
"""So many friends or fewer are put in order by comparing all with all, several at a time: nothing is decided that could not be foreseen."""
SLACK = 1 + 1e-12
"""What products of floats may be off by, and more."""


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
def row_wedges(network: Network, u: Whole) -> Whole:
    """Return how many rows a member's pass comes by: theirs, their friends', and all of their friends' friends, once per path."""
    indptr, indices = network.indptr, network.indices
    wedges = 1
    for p in range(indptr[u], indptr[u + 1]):
        w = indices[p]
        wedges += 1 + indptr[w + 1] - indptr[w]
    return wedges


@compiled
def _order_friends(network: Network, u: Whole, friends: Array, keys: Array) -> None:
    """List the friends of u, those with the fewest friends first, then in the order of ids. `keys` is room for as many."""
    row = network.indices[network.indptr[u] : network.indptr[u + 1]]
    for i in range(len(row)):
        keys[i] = np.int64(network.degrees[row[i]]) << 32 | i
    if len(row) > FEW:
        keys[: len(row)].sort()
        for i in range(len(row)):
            friends[i] = row[keys[i] & 0xFFFFFFFF]
        return
    for i in range(len(row)):
        before = 0
        for j in range(len(row)):
            before += keys[j] < keys[i]
        friends[before] = row[i]


@compiled
def accumulate(network: Network, u: Whole, table: Table, most: Whole) -> Whole:
    """Sum up the wedges of row u in an empty table; return where its slots in use end then.

    All of those who are among the `most` best candidates are there, and who is there has the whole sum. Nobody is left out for 0.
    """
    size = network.indptr[u + 1] - network.indptr[u]
    first = FRIEND_SLOT + size
    friends = table.rows[FRIEND_SLOT:first]
    _order_friends(network, u, friends, table.scores.view(np.int64))  # there are no scores yet
    table.rows[MEMBER_SLOT] = u
    rest = 0
    for i in range(MEMBER_SLOT, first):
        table.slots[np.uint64(table.rows[i])] = i
        table.words[i] = MEMBER  # stays below zero whatever is added
    for i in range(size):
        rest += network.weights[network.degrees[friends[i]]]
    count, done, enough = first, 0, 0
    for i in range(size):
        weight = network.weights[network.degrees[friends[i]]]
        may_be_decided = most > 0 and rest < enough and count - first >= most
        if may_be_decided and _are_decided(network, table, first, count, most, _bound(network, rest, weight)):
            _add_to_known(network, table, friends[i:])
            break
        count = _add(network, friends[i], (1 << COUNT_SHIFT) + weight, table, count)
        rest -= weight
        if done < most:
            enough = weight  # what about so many candidates have at least
        done += network.indptr[friends[i] + 1] - network.indptr[friends[i]]
    for i in range(size):
        table.words[FRIEND_SLOT + i] = -1 - i
    table.words[MEMBER_SLOT] = MEMBER
    return count


@inlined
def _add(network: Network, w: Whole, added: Whole, table: Table, count: Whole) -> Whole:
    """Add to all friends of w; return where the slots in use end then. Nothing is decided per wedge: it could not be foreseen."""
    for q in range(np.uint64(network.indptr[w]), np.uint64(network.indptr[w + 1])):
        x = np.uint64(network.indices[q])  # unsigned, which spares every access a look at its sign
        known = np.int64(table.slots[x])
        is_new = known == 0
        slot = np.uint64(count if is_new else known)
        table.slots[x] = slot
        table.rows[slot] = x
        table.words[slot] += added
        count += is_new
    return count


@compiled
def _add_to_known(network: Network, table: Table, friends: Array) -> None:
    """Add what these friends weigh to those of their friends that are there; what all others get goes into slot 0."""
    for w in friends:
        added = (1 << COUNT_SHIFT) + network.weights[network.degrees[w]]
        for q in range(np.uint64(network.indptr[w]), np.uint64(network.indptr[w + 1])):
            table.words[np.uint64(table.slots[np.uint64(network.indices[q])])] += added
    table.words[0] = 0


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
def _are_decided(network: Network, table: Table, start: Whole, stop: Whole, most: Whole, bound: Any) -> Any:
    """Tell whether so many candidates score above a bound already."""
    above = 0
    if network.is_flat:
        for i in range(start, stop):
            above += (table.words[i] & SUM_MASK) * network.highest > bound
    else:
        for i in range(start, stop):
            factor = network.factors[network.degrees[np.uint64(table.rows[i])]]
            above += (table.words[i] & SUM_MASK) * factor > bound
    return above >= most
