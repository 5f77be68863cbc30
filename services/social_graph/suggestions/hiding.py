"""Friendships of a network hidden from itself, to see how a model would have found them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from services.social_graph.suggestions.compiling import compiled
from services.social_graph.suggestions.features import COUNT, describe, look_around, make_ego, measure_ties
from services.social_graph.suggestions.graphs import CsrGraph, Int32s, Int64s
from services.social_graph.suggestions.kernel import (
    COUNT_SHIFT,
    FIRST_WEDGES,
    SUM_MASK,
    Array,
    Best,
    Network,
    Table,
    Whole,
    accumulate,
    clear,
    comes_before,
    find,
    grown,
    make_table,
    network_of,
    row_of,
    row_wedges,
    select_best,
    table_bits,
)
from services.social_graph.suggestions.layout import Layout, as_it_is
from services.social_graph.suggestions.model import CANDIDATES, MAX_EGO

UNRANKED = 100
"""The rank of who is no candidate, or far behind."""


@dataclass(frozen=True, eq=False)
class Trial:
    """A network without some of its friendships, and members whose hidden friends should be found."""

    graph: CsrGraph
    members: Int64s
    """Rows, those with the most hidden friends not favoured."""
    starts: Int64s
    """Member i's hidden friends are `hidden[starts[i]:starts[i + 1]]`, rows."""
    hidden: Int32s

    @cached_property
    def layout(self) -> Layout:
        """The network in its own order."""
        return as_it_is(self.graph)

    def mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return, per member, the mean over their hidden friends of values given for each of these."""
        return np.add.reduceat(values, self.starts[:-1], axis=-1) / np.diff(self.starts)


def hide(graph: CsrGraph, fraction: float, members: int, wedges: int, chance: np.random.Generator) -> Trial:
    """Hide a fraction of the friendships; choose so many of the members that lost some, and fewer where they have more wedges."""
    ends = np.repeat(np.arange(len(graph), dtype=np.int64), np.diff(graph.indptr))
    once = ends < graph.indices
    left, right = ends[once], graph.indices[once].astype(np.int64)
    chosen = chance.choice(len(left), max(1, round(len(left) * fraction)), replace=False)
    left, right = left[chosen], right[chosen]
    rest = graph.without(left, right)
    owners, friends = np.concatenate((left, right)), np.concatenate((right, left))
    candidates = chance.permutation(np.unique(owners))[:members]
    network = network_of(as_it_is(rest), 0.0, 0.0)
    reach = np.array([row_wedges(network, int(u)) for u in candidates])
    candidates = np.sort(candidates[: max(1, int(np.searchsorted(np.cumsum(reach), wedges)))])
    place = np.minimum(np.searchsorted(candidates, owners), len(candidates) - 1)
    wanted = candidates[place] == owners
    order = np.lexsort((friends[wanted], owners[wanted]))
    counts = np.bincount(place[wanted], minlength=len(candidates))
    starts = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    return Trial(rest, candidates.astype(np.int64), starts, friends[wanted][order].astype(np.int32))


def rank(trial: Trial, exponents_a: Sequence[float], exponents_b: Sequence[float]) -> NDArray[np.int32]:
    """Return at which place, from 0, each hidden friend comes by each kernel: [a, b, hidden]."""
    ranks = np.empty((len(exponents_a), len(exponents_b), len(trial.hidden)), dtype=np.int32)
    factors = np.stack([network_of(trial.layout, 0.0, b).factors for b in exponents_b])
    for i, a in enumerate(exponents_a):
        _rank(network_of(trial.layout, a, 0.0), factors, trial.members, trial.starts, trial.hidden, ranks[i])
    return ranks


@compiled
def _rank(network: Network, factors: Array, members: Array, starts: Array, hidden: Array, ranks: Array) -> None:
    """Fill the ranks: how many candidates come before each hidden friend, by each row of `factors`."""
    n = len(network.degrees)
    table = make_table(FIRST_WEDGES, n)
    for i in range(len(members)):
        u = members[i]
        wedges = row_wedges(network, u)
        bits, table = table_bits(wedges, n), grown(table, wedges, n)
        used = accumulate(network, u, bits, table, 0)
        first = network.indptr[u + 1] - network.indptr[u] + 1
        for p in range(starts[i], starts[i + 1]):
            for f in range(len(factors)):
                ranks[f, p] = _place_of(network, hidden[p], bits, table, first, used, factors[f])
        clear(table, bits, used)


@compiled
def _place_of(
    network: Network, v: Whole, bits: Whole, table: Table, first: Whole, used: Whole, factors: Array
) -> Whole:
    """Return how many candidates come before v, counted as far as it matters."""
    own = table.words[find(table, bits, v)]
    if own <= 0:
        return UNRANKED
    score, mutual = (own & SUM_MASK) * factors[network.degrees[v]], own >> COUNT_SHIFT
    before = 0
    for i in range(first, used):
        word, x = table.words[table.touched[i]], row_of(table, bits, table.touched[i])
        other = (word & SUM_MASK) * factors[network.degrees[x]]
        if comes_before(network.places, other, word >> COUNT_SHIFT, x, score, mutual, v):
            before += 1
            if before >= UNRANKED:
                break
    return before


def describe_trial(trial: Trial, a: float, b: float) -> tuple[Int32s, NDArray[np.float64]]:
    """Return the members' best candidates, [members, candidates], -1 for nobody, and their features, [members, candidates, features]."""
    rows = np.full((len(trial.members), CANDIDATES), -1, dtype=np.int32)
    features = np.zeros((*rows.shape, COUNT))
    _describe(network_of(trial.layout, a, b), trial.members, rows, features)
    return rows, features


@compiled
def _describe(network: Network, members: Array, rows: Array, features: Array) -> None:
    """Fill, per member, the rows of their best candidates by the kernel, and the features of these; none above MAX_EGO friends."""
    n, ego = len(network.degrees), make_ego(network, members, True)
    table = make_table(FIRST_WEDGES, n)
    best = Best(np.empty(CANDIDATES), np.empty(CANDIDATES, np.int64), np.empty(CANDIDATES, np.int64))
    for i in range(len(members)):
        u = members[i]
        friends = network.indptr[u + 1] - network.indptr[u]
        if friends > MAX_EGO:
            continue
        words = (friends + 63) >> 6
        wedges = row_wedges(network, u)
        bits, table = table_bits(wedges, n), grown(table, wedges, n)
        used = accumulate(network, u, bits, table, CANDIDATES)
        size = select_best(network, table, bits, friends + 1, used, CANDIDATES, best)
        look_around(network, bits, table, friends, best, size, ego, True)
        measure_ties(network, network.degrees[u], table.friends[:friends], ego)
        for r in range(size):
            rows[i, r] = best.rows[r]
            d_v = network.degrees[best.rows[r]]
            describe(ego, words, best.mutuals[r], network.degrees[u], d_v, best.scores[r], r, features[i, r])
        clear(table, bits, used)
