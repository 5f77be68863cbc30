"""From a graph and its model to the suggestions of a block of members: kernel, re-ranking, filling."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.social_graph.suggestions.ahead import look_ahead
from services.social_graph.suggestions.compiling import Array, Whole, compiled
from services.social_graph.suggestions.features import COUNT, Ego, describe, look_around, lowest, make_ego, measure_ties
from services.social_graph.suggestions.filling import Surroundings, surround, take_popular, walk_on
from services.social_graph.suggestions.graphs import CsrGraph, Int32s, Int64s, read_only
from services.social_graph.suggestions.kernel import Network, accumulate, network_of, row_wedges
from services.social_graph.suggestions.layout import Layout, as_it_is
from services.social_graph.suggestions.model import CANDIDATES, MAX_EGO, Model, Reranking, Source
from services.social_graph.suggestions.selecting import Best, comes_before, make_best, select_best
from services.social_graph.suggestions.tables import FRIEND_SLOT, Table, clear, put_back, take_table

FRIENDS_OF_FRIENDS, NEARBY, COMMUNITY, POPULAR = (int(source) for source in Source)
NOBODY: Int32s = np.zeros(0, dtype=np.int32)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A graph, its model, and what is computed once for all blocks."""

    graph: CsrGraph
    model: Model
    arrays: Mapping[str, NDArray[Any]]
    """The fields of `layout.Layout` and `filling.Surroundings` by name, to be kept beside the graph.

    None around single members: rows are then the graph's, and nothing is filled.
    """

    @cached_property
    def layout(self) -> Layout:
        """The graph in the order of its blocks."""
        if not self.arrays:
            return as_it_is(self.graph)
        return Layout(*(read_only(self.arrays[name]) for name in Layout._fields))

    @cached_property
    def network(self) -> Network:
        """The graph with the model's weights."""
        return network_of(self.layout, self.model.a, self.model.b)

    @cached_property
    def surroundings(self) -> Surroundings:
        """Who is popular where, by the rows of `layout`."""
        return Surroundings(*(read_only(self.arrays.get(name, NOBODY)) for name in Surroundings._fields))


class Rows(NamedTuple):
    """The suggestions of a range of r members; a row per member, the best first, 0 where there are no more."""

    account_ids: Int64s
    """[r] whose they are."""
    counts: Int32s
    """[r] how many suggestions there are."""
    suggested: Int64s
    """[r, k] ids."""
    scores: NDArray[np.float32]
    """[r, k] never ascending; 0 for who is just popular."""
    mutual_counts: Int32s
    """[r, k]"""
    sample_friends: Int64s
    """[r, k, samples] ids of mutual friends, those with the fewest friends first."""
    sources: NDArray[np.uint8]
    """[r, k] `Source`."""


def prepare(graph: CsrGraph, model: Model, indices: Int32s | None = None) -> Prepared:
    """Compute what all blocks share. It takes a few seconds for a million members.

    Into `indices`, where given, goes what is as large as the graph: 4 bytes for each of its `indices`, in a mapped file for instance.
    """
    layout, surroundings = surround(graph, indices)
    return Prepared(graph, model, layout._asdict() | surroundings._asdict())


def cut_blocks(prepared: Prepared, wedges: int = 100_000_000) -> list[tuple[int, int]]:
    """Return row ranges, [start, stop), of about so many wedges each: how long a member takes is linear in them."""
    if wedges < 1:
        raise ValueError("A block has at least one wedge.")
    if len(prepared.graph) == 0:
        return []
    starts = _cut(network_of(prepared.layout, 0.0, 0.0), wedges)
    return [(start, stop) for start, stop in pairwise([*starts, len(prepared.graph)])]


@compiled
def _cut(network: Network, wedges: Whole) -> list[int]:
    """Return where blocks start: each goes on until so many wedges, or a multiple of them, have been passed."""
    starts = [0]
    reached = row_wedges(network, 0)
    part = (reached - 1) // wedges
    for u in range(1, len(network.degrees)):
        reached += row_wedges(network, u)
        if (reached - 1) // wedges > part:
            part = (reached - 1) // wedges
            starts.append(u)
    return starts


class Weights(NamedTuple):
    """A `Reranking` for compiled code; without any weights nothing is re-ranked."""

    plain: Array
    by_friends: Array
    centre: float

    @classmethod
    def of(cls, reranking: Reranking | None) -> "Weights":
        """Return the weights of a model."""
        if reranking is None:
            return cls(np.empty(0), np.empty(0), 0.0)
        return cls(np.array(reranking.plain), np.array(reranking.by_friends), reranking.centre)


class Results(NamedTuple):
    """The arrays of `Rows` with rows in the place of ids, -1 for nobody."""

    counts: Array
    suggested: Array
    scores: Array
    mutual_counts: Array
    sample_friends: Array
    sources: Array


def suggest_rows(prepared: Prepared, start: int, stop: int, *, k: int = 50, samples: int = 3) -> Rows:
    """Return the suggestions of rows start to stop - 1 of the prepared layout. Raises ValueError for a range or k that cannot be."""
    if not 0 <= start <= stop <= len(prepared.graph):
        raise ValueError(f"There are no rows {start} to {stop}; there are {len(prepared.graph)} members.")
    return _suggest_all(prepared, np.arange(start, stop, dtype=np.int64), k, samples)


def suggest_members(prepared: Prepared, members: Int64s, *, k: int = 50, samples: int = 3) -> Rows:
    """Return the suggestions of members, given as rows of the graph, which exist. Raises ValueError for a k that cannot be."""
    return _suggest_all(prepared, prepared.layout.rows[members].astype(np.int64), k, samples)


def _suggest_all(prepared: Prepared, members: Int64s, k: int, samples: int) -> Rows:
    if not 1 <= k <= CANDIDATES:
        raise ValueError(f"A member gets from 1 to {CANDIDATES} suggestions.")
    graph, model, size = prepared.graph, prepared.model, len(members)
    results = Results(
        np.zeros(size, dtype=np.int32),
        np.full((size, k), -1, dtype=np.int32),
        np.zeros((size, k), dtype=np.float32),
        np.zeros((size, k), dtype=np.int32),
        np.full((size, k, samples), -1, dtype=np.int32),
        np.zeros((size, k), dtype=np.uint8),
    )
    table = take_table(len(graph))
    _suggest(prepared.network, Weights.of(model.reranking), prepared.surroundings, members, table, results)
    put_back(table)
    return Rows(
        graph.account_ids[prepared.layout.order[members]],
        results.counts,
        _ids(prepared, results.suggested),
        results.scores,
        results.mutual_counts,
        _ids(prepared, results.sample_friends),
        results.sources,
    )


def _ids(prepared: Prepared, rows: Int32s) -> Int64s:
    """Return the ids in the place of rows, 0 in the place of nobody."""
    ids = prepared.graph.account_ids
    return np.where(rows < 0, 0, ids[prepared.layout.order[rows]]) if len(ids) else rows.astype(np.int64)


@compiled
def _suggest(
    network: Network, weights: Weights, surroundings: Surroundings, members: Array, table: Table, results: Results
) -> None:
    """Fill the results' rows, one for each of the members."""
    k, samples = results.suggested.shape[1], results.sample_friends.shape[2]
    reranks = len(weights.plain) > 0
    ego, best = make_ego(network, members, reranks), make_best()
    ranks, places = np.empty(CANDIDATES), np.arange(CANDIDATES)
    for i in range(len(members)):
        look_ahead(network.indptr, network.indices, network.degrees, members, i)
        u = members[i]
        first = FRIEND_SLOT + network.indptr[u + 1] - network.indptr[u]
        friends = table.rows[FRIEND_SLOT:first]
        looks = reranks and len(friends) <= MAX_EGO
        most = CANDIDATES if looks else k
        used = accumulate(network, u, table, most)
        size = select_best(network, table, first, used, most, best)
        if looks or samples > 0:
            look_around(network, table, friends, best, size, ego, looks)
        if looks:
            _rerank(network, weights, network.degrees[u], friends, ego, best, size, ranks, places)
        elif reranks:
            places[:size] = np.arange(size)
        _put(friends, ego, best, places, min(k, size), i, results)
        if looks:
            for j in range(results.counts[i]):
                results.scores[i, j] = math.exp(ranks[places[j]])
        if size < k and len(surroundings.popular_order) > 0:
            _fill(network, surroundings, u, table, used, best, i, results)
        clear(table, used)


@compiled
def _rerank(
    network: Network,
    weights: Weights,
    d_u: Whole,
    friends: Array,
    ego: Ego,
    best: Best,
    size: Whole,
    ranks: Array,
    places: Array,
) -> None:
    """Compute the re-ranked scores of the candidates, and their places in the order of these."""
    measure_ties(network, d_u, friends, ego)
    features = np.empty(COUNT)
    words = (len(friends) + 63) >> 6
    z = math.log(max(1, d_u)) - weights.centre
    factors = weights.plain + weights.by_friends * z
    for r in range(size):
        describe(ego, words, best.mutuals[r], d_u, network.degrees[best.rows[r]], best.scores[r], r, features)
        total = features[0]
        for f in range(COUNT):
            total += factors[f] * features[f]
        ranks[r] = total
        j = r
        while j > 0 and comes_before(
            network.places, total, best.mutuals[r], best.rows[r],
            ranks[places[j - 1]], best.mutuals[places[j - 1]], best.rows[places[j - 1]],
        ):  # fmt: skip
            places[j] = places[j - 1]
            j -= 1
        places[j] = r


@compiled
def _put(friends: Array, ego: Ego, best: Best, places: Array, kept: Whole, i: Whole, results: Results) -> None:
    """Write the first friends of friends down, with the mutual friends that say most."""
    words = (len(friends) + 63) >> 6
    results.counts[i] = kept
    for j in range(kept):
        r = places[j]
        results.suggested[i, j] = best.rows[r]
        results.scores[i, j] = best.scores[r]
        results.mutual_counts[i, j] = best.mutuals[r]
        results.sources[i, j] = FRIENDS_OF_FRIENDS
        if results.sample_friends.shape[2] > 0:
            _sample(friends, ego.mutual[r, :words], results.sample_friends[i, j])


@compiled
def _fill(
    network: Network,
    surroundings: Surroundings,
    u: Whole,
    table: Table,
    used: Whole,
    best: Best,
    i: Whole,
    results: Results,
) -> None:
    """Complete a short list. No score is above the one before it."""
    suggested, scores, sources = results.suggested[i], results.scores[i], results.sources[i]
    size, k = results.counts[i], len(suggested)
    found, found_scores = np.empty(k, dtype=np.int64), np.empty(k)
    near = size + walk_on(network, table, used, best, size, k - size, found, found_scores)
    for j in range(size, near):
        suggested[j], scores[j], sources[j] = found[j - size], found_scores[j - size], NEARBY
        if j > 0:
            scores[j] = min(scores[j], scores[j - 1])
    community = surroundings.communities[u]
    start, stop = surroundings.community_starts[community], surroundings.community_starts[community + 1]
    both = take_popular(range(start, stop), table, suggested, near)
    sources[near:both] = COMMUNITY
    results.counts[i] = take_popular(surroundings.popular_order, table, suggested, both)
    sources[both : results.counts[i]] = POPULAR


@compiled
def _sample(friends: Array, mutual: Array, out: Array) -> None:
    """Put the first mutual friends into `out`: those with the fewest friends."""
    size = 0
    for k in range(len(mutual)):
        word = mutual[k]
        while word != np.uint64(0) and size < len(out):
            out[size] = friends[(k << 6) + lowest(word)]
            word &= word - np.uint64(1)
            size += 1
