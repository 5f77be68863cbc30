"""Friendships of a network hidden from itself, to see how a model would have found them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from services.social_graph.suggestions.ahead import look_ahead
from services.social_graph.suggestions.compiling import Array, Whole, compiled
from services.social_graph.suggestions.features import COUNT, describe, look_around, make_ego, measure_ties
from services.social_graph.suggestions.graphs import CsrGraph, Int32s, Int64s
from services.social_graph.suggestions.kernel import COUNT_SHIFT, SUM_MASK, Network, accumulate, network_of
from services.social_graph.suggestions.layout import STEP_ROWS, Layout, as_it_is
from services.social_graph.suggestions.model import CANDIDATES, MAX_EGO
from services.social_graph.suggestions.selecting import comes_before, make_best, select_best
from services.social_graph.suggestions.tables import FRIEND_SLOT, Table, clear, put_back, take_table

UNRANKED = 100
"""The rank of who is no candidate, or far behind."""
STEP_CANDIDATES = 128
"""After so many candidates it is looked whether enough of them come before."""


@dataclass(frozen=True, eq=False)
class Trial:
    """A network without some of its friendships, and members whose hidden friends should be found."""

    graph: CsrGraph
    """Of the rest, the rows of the members and their friends; those of all others are empty. Degrees are those of the whole rest."""
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
    """Hide a fraction of the friendships; choose so many of the members that lost some, and fewer where they have more wedges.

    Of a large network, a fraction of the memory is needed that it takes itself.
    """
    lost = draw(graph, max(1, round(graph.edge_count * fraction)), chance)
    candidates = chance.permutation(np.flatnonzero(lost.degrees))[:members].copy()
    arrays = (graph.indptr, graph.indices, lost.indptr, lost.indices)
    friends = np.empty(int(graph.degrees.max(initial=0)), dtype=np.int32)
    reach = np.cumsum(_reach(*arrays, candidates, friends))
    chosen = np.sort(candidates[: max(1, int(np.searchsorted(reach, wedges)))])
    is_near = _mark_near(*arrays, chosen, friends)
    graph.let_go()
    rest = CsrGraph.of(graph.account_ids, *_keep(graph, lost, is_near), graph.degrees - lost.degrees)
    starts = np.concatenate(([0], np.cumsum(lost.degrees[chosen]))).astype(np.int64)
    hidden = np.concatenate([lost.indices[lost.indptr[u] : lost.indptr[u + 1]] for u in chosen])
    graph.let_go()
    return Trial(rest, chosen, starts, hidden)


def draw(graph: CsrGraph, count: int, chance: np.random.Generator) -> CsrGraph:
    """Return the same members with so many of the friendships, any so many as likely as any others. Raises ValueError for too many."""
    if not 0 <= count <= graph.edge_count:
        raise ValueError(f"{count} of {graph.edge_count} friendships cannot be drawn.")
    left, right = _draw(graph.indptr, graph.indices, count, chance)
    graph.let_go()
    return CsrGraph.of(graph.account_ids, *_rows_of_pairs(left, right, len(graph)))


@compiled
def _draw(indptr: Array, indices: Array, count: Whole, chance: np.random.Generator) -> tuple[Array, Array]:
    """Return the ends of friendships in ascending order: each is taken as likely as is still needed (Knuth, TAOCP 2, 3.4.2, S)."""
    left, right = np.empty(count, dtype=np.int32), np.empty(count, dtype=np.int32)
    taken, remaining = 0, len(indices) // 2
    for u in range(len(indptr) - 1):
        for p in range(indptr[u], indptr[u + 1]):
            if indices[p] < u:
                continue  # seen from the other end
            if taken < count and chance.random() * remaining < count - taken:
                left[taken], right[taken] = u, indices[p]
                taken += 1
            remaining -= 1
    return left[:taken], right[:taken]


@compiled
def _rows_of_pairs(left: Array, right: Array, n: Whole) -> tuple[Array, Array]:
    """Return the compressed rows of friendships that are in ascending order, each once, the lower end left."""
    indptr = np.zeros(n + 2, dtype=np.int64)
    for i in range(len(left)):
        indptr[left[i] + 2] += 1
        indptr[right[i] + 2] += 1
    for u in range(n):
        indptr[u + 2] += indptr[u + 1]
    indices = np.empty(2 * len(left), dtype=np.int32)
    for i in range(len(left)):  # who is below a member comes before who is above: all their own pairs are later
        u, v = left[i], right[i]
        indices[indptr[u + 1]], indices[indptr[v + 1]] = v, u
        indptr[u + 1] += 1  # from where u's row begins to where it ends, which is where the next one begins
        indptr[v + 1] += 1
    return indptr[:-1], indices


@compiled
def _rest_of_row(indptr: Array, indices: Array, lost_indptr: Array, lost: Array, u: Whole, out: Array) -> Whole:
    """Put the friends of u that are not lost into `out`, in order; return how many they are."""
    size, q = 0, lost_indptr[u]
    for p in range(indptr[u], indptr[u + 1]):
        if q < lost_indptr[u + 1] and lost[q] == indices[p]:
            q += 1
        else:
            out[size] = indices[p]
            size += 1
    return size


@compiled
def _reach(indptr: Array, indices: Array, lost_indptr: Array, lost: Array, members: Array, friends: Array) -> Array:
    """Return how many rows each member's pass comes by (`row_wedges`) without what is lost; `friends` has room for a row."""
    reach = np.empty(len(members), dtype=np.int64)
    for i in range(len(members)):
        size = _rest_of_row(indptr, indices, lost_indptr, lost, members[i], friends)
        reach[i] = 1 + size
        for j in range(size):
            w = friends[j]
            reach[i] += indptr[w + 1] - indptr[w] - (lost_indptr[w + 1] - lost_indptr[w])
    return reach


@compiled
def _mark_near(indptr: Array, indices: Array, lost_indptr: Array, lost: Array, members: Array, friends: Array) -> Array:
    """Return, for each row, whether it is a member's or, without what is lost, a member's friend's."""
    is_near = np.zeros(len(indptr) - 1, dtype=np.bool_)
    for u in members:
        is_near[u] = True
        for j in range(_rest_of_row(indptr, indices, lost_indptr, lost, u, friends)):
            is_near[friends[j]] = True
    return is_near


def _keep(graph: CsrGraph, lost: CsrGraph, is_near: NDArray[np.bool_]) -> tuple[Int64s, Int32s]:
    """Return the compressed rows that are near, without what is lost; the others are empty."""
    starts = _count_kept(graph.indptr, lost.indptr, is_near)
    kept = np.empty(starts[-1], dtype=np.int32)
    for start in range(0, len(is_near), STEP_ROWS):
        some = np.flatnonzero(is_near[start : start + STEP_ROWS]) + start
        _copy_kept(graph.indptr, graph.indices, lost.indptr, lost.indices, some, starts, kept)
        graph.let_go()
    return starts, kept


@compiled
def _count_kept(indptr: Array, lost_indptr: Array, is_near: Array) -> Array:
    """Return where the rows that are near begin, one after the other, without what is lost."""
    starts = np.zeros(len(indptr), dtype=np.int64)
    for u in range(len(is_near)):
        size = indptr[u + 1] - indptr[u] - (lost_indptr[u + 1] - lost_indptr[u])
        starts[u + 1] = starts[u] + (size if is_near[u] else 0)
    return starts


@compiled
def _copy_kept(
    indptr: Array,
    indices: Array,
    lost_indptr: Array,
    lost: Array,
    rows: Array,
    starts: Array,
    kept: Array,
) -> None:
    """Copy these rows without what is lost."""
    for u in rows:
        _rest_of_row(indptr, indices, lost_indptr, lost, u, kept[starts[u] : starts[u + 1]])


def rank(trial: Trial, exponents_a: Sequence[float], exponents_b: Sequence[float]) -> NDArray[np.int32]:
    """Return at which place, from 0, each hidden friend comes by each kernel: [a, b, hidden]."""
    ranks = np.empty((len(exponents_a), len(exponents_b), len(trial.hidden)), dtype=np.int32)
    factors = np.stack([network_of(trial.layout, 0.0, b).factors for b in exponents_b], axis=1)
    table = take_table(len(trial.graph))
    for i, a in enumerate(exponents_a):
        _rank(network_of(trial.layout, a, 0.0), factors, trial.members, trial.starts, trial.hidden, table, ranks[i])
    put_back(table)
    return ranks


@compiled
def _rank(
    network: Network, factors: Array, members: Array, starts: Array, hidden: Array, table: Table, ranks: Array
) -> None:
    """Fill the ranks: how many candidates come before each hidden friend, by each column of `factors`, a row per number of friends."""
    scores, before = np.empty(factors.shape[1]), np.empty(factors.shape[1], np.int64)
    for i in range(len(members)):
        look_ahead(network.indptr, network.indices, network.degrees, members, i)
        u = members[i]
        used = accumulate(network, u, table, 0)
        first = FRIEND_SLOT + network.indptr[u + 1] - network.indptr[u]
        for p in range(starts[i], starts[i + 1]):
            _count_before(network, hidden[p], table, first, used, factors, scores, before)
            for f in range(len(before)):
                ranks[f, p] = min(before[f], UNRANKED)
        clear(table, used)


@compiled
def _count_before(
    network: Network, v: Whole, table: Table, first: Whole, used: Whole, factors: Array, scores: Array, before: Array
) -> None:
    """Count the candidates that come before v by each of the factors, as far as it matters; each candidate is looked up once."""
    own = table.words[table.slots[v]]
    before[:] = 0 if own > 0 else UNRANKED
    if own <= 0:
        return
    mutual = own >> COUNT_SHIFT
    for f in range(len(scores)):
        scores[f] = (own & SUM_MASK) * factors[network.degrees[v], f]
    for start in range(first, used, STEP_CANDIDATES):
        if before.min() >= UNRANKED:
            break
        for i in range(start, min(used, start + STEP_CANDIDATES)):
            word, x = table.words[i], table.rows[i]
            total, d = word & SUM_MASK, network.degrees[x]
            wins_ties = comes_before(network.places, 0.0, word >> COUNT_SHIFT, x, 0.0, mutual, v)
            for f in range(len(scores)):
                score = total * factors[d, f]
                before[f] += (score > scores[f]) | ((score == scores[f]) & wins_ties)


def describe_trial(trial: Trial, a: float, b: float) -> tuple[Int32s, NDArray[np.float64]]:
    """Return the members' best candidates, [members, candidates], -1 for nobody, and their features, [members, candidates, features]."""
    rows = np.full((len(trial.members), CANDIDATES), -1, dtype=np.int32)
    features = np.zeros((*rows.shape, COUNT))
    table = take_table(len(trial.graph))
    _describe(network_of(trial.layout, a, b), trial.members, table, rows, features)
    put_back(table)
    return rows, features


@compiled
def _describe(network: Network, members: Array, table: Table, rows: Array, features: Array) -> None:
    """Fill, per member, the rows of their best candidates by the kernel, and the features of these; none above MAX_EGO friends."""
    ego, best = make_ego(network, members, True), make_best()
    for i in range(len(members)):
        look_ahead(network.indptr, network.indices, network.degrees, members, i)
        u = members[i]
        first = FRIEND_SLOT + network.indptr[u + 1] - network.indptr[u]
        friends = table.rows[FRIEND_SLOT:first]
        if len(friends) > MAX_EGO:
            continue
        words = (len(friends) + 63) >> 6
        used = accumulate(network, u, table, CANDIDATES)
        size = select_best(network, table, first, used, CANDIDATES, best)
        look_around(network, table, friends, best, size, ego, True)
        measure_ties(network, network.degrees[u], friends, ego)
        for r in range(size):
            rows[i, r] = best.rows[r]
            d_v = network.degrees[best.rows[r]]
            describe(ego, words, best.mutuals[r], network.degrees[u], d_v, best.scores[r], r, features[i, r])
        clear(table, used)
