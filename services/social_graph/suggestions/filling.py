"""Whom to suggest to members with few friends of friends: who is three steps away, popular in their community, or popular."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from services.social_graph.suggestions.compiling import Array, Whole, compiled
from services.social_graph.suggestions.graphs import CsrGraph, Int32s
from services.social_graph.suggestions.kernel import Network
from services.social_graph.suggestions.layout import Layout, lay_out
from services.social_graph.suggestions.model import Source
from services.social_graph.suggestions.selecting import Best, comes_before
from services.social_graph.suggestions.tables import Table

ROUNDS = 4
MAX_STEPS = 100_000
"""How many friends of candidates are looked at for one member."""
SCRAMBLE = 0x9E3779B1
NEARBY, COMMUNITY, POPULAR = (int(source) for source in (Source.NEARBY, Source.COMMUNITY, Source.POPULAR))


class Surroundings(NamedTuple):
    """Who is popular where; all int32."""

    communities: Array
    """[n] each row's community."""
    community_starts: Array
    """[communities + 1] where each begins: a community's rows follow each other, those with the most friends first."""
    popular_order: Array
    """[n] all rows, those with the most friends first."""


def surround(graph: CsrGraph, indices: Int32s | None = None) -> tuple[Layout, Surroundings]:
    """Find the communities of a graph, and who is popular in them; lay it out by these, into `indices` where given."""
    communities = _number(find_communities(graph.indptr, graph.indices, ROUNDS))
    graph.let_go()
    layout = lay_out(graph, np.lexsort((-graph.degrees, communities)).astype(np.int32), indices)
    graph.let_go()
    sizes = np.bincount(communities, minlength=0)
    return layout, Surroundings(
        communities[layout.order],
        np.concatenate(([0], np.cumsum(sizes))).astype(np.int32),
        np.lexsort((layout.order, -layout.degrees)).astype(np.int32),
    )


def _number(labels: Int32s) -> Int32s:
    """Return labels, which are rows, numbered from 0 without gaps, in their order."""
    is_used = np.zeros(len(labels), dtype=np.bool_)
    is_used[labels] = True
    return (np.cumsum(is_used, dtype=np.int32) - 1)[labels]


@compiled
def find_communities(indptr: Array, indices: Array, rounds: Whole) -> Array:
    """Return a label per row: each in turn takes the one most frequent among its friends (Raghavan, Albert, Kumara 2007).

    Among equally frequent ones it is the one with the least scrambled number, so that low ids do not flood the network.
    """
    n = len(indptr) - 1
    labels = np.arange(np.int32(n), dtype=np.int32)
    counts = np.zeros(n, dtype=np.int32)
    for _ in range(rounds):
        changed = False
        for u in range(n):
            best, most, rank = labels[u], 0, np.int64(0)
            for p in range(indptr[u], indptr[u + 1]):
                counts[labels[indices[p]]] += 1
            for p in range(indptr[u], indptr[u + 1]):
                label = labels[indices[p]]
                frequency = counts[label]
                if frequency > 0:
                    scrambled = (np.int64(label) * SCRAMBLE) & 0xFFFFFFFF
                    if frequency > most or (frequency == most and scrambled < rank):
                        best, most, rank = label, frequency, scrambled
                    counts[label] = 0
            changed = changed or best != labels[u]
            labels[u] = best
        if not changed:
            break
    return labels


@compiled
def walk_on(
    network: Network, table: Table, used: Whole, best: Best, count: Whole, room: Whole, found: Array, scores: Array
) -> Whole:
    """Let the kernel go one step further, each candidate weighing their own score times d^-a.

    Whom it finds has the table's next slots meanwhile, and their sums are where scores are. Put at most `room` of them, and their
    scores, into the last two arrays, the best first; return how many they are.
    """
    indptr, indices = network.indptr, network.indices
    steps, taken = 0, 0
    while taken < count:
        steps += indptr[best.rows[taken] + 1] - indptr[best.rows[taken]]
        if steps > MAX_STEPS:
            break
        taken += 1
    slots, rows, sums = table.slots, table.rows, table.scores
    end = used
    for r in range(taken):
        x = best.rows[r]
        weight = best.scores[r] * network.weights[network.degrees[x]]
        for q in range(indptr[x], indptr[x + 1]):
            slot = slots[indices[q]]
            if slot == 0:
                slot = end
                slots[indices[q]], rows[end], sums[end] = end, indices[q], 0.0
                end += 1
            if slot >= used:
                sums[slot] += weight
    kept = 0
    for i in range(used, end):
        v = rows[i]
        kept = _keep(network.places, found, scores, kept, room, v, sums[i] * network.factors[network.degrees[v]])
        slots[v] = 0
    return kept


@compiled
def _keep(places: Array, found: Array, scores: Array, kept: Whole, room: Whole, v: Whole, score: Any) -> Whole:
    """Put v where it belongs into a short list in order; return how long that is then."""
    if kept == room:
        if not comes_before(places, score, 0, v, scores[kept - 1], 0, found[kept - 1]):
            return kept
        kept -= 1
    i = kept
    while i > 0 and comes_before(places, score, 0, v, scores[i - 1], 0, found[i - 1]):
        found[i], scores[i] = found[i - 1], scores[i - 1]
        i -= 1
    found[i], scores[i] = v, score
    return kept + 1


@compiled
def take_popular(order: Iterable[Whole], table: Table, chosen: Array, size: Whole) -> Whole:
    """Add rows of an order that are neither in the table nor chosen yet, until `chosen` is full; return how many are chosen then."""
    for v in order:
        if size == len(chosen):
            break
        if table.slots[v] != 0:
            continue
        is_new = True
        for j in range(size):
            if chosen[j] == v:
                is_new = False
                break
        if is_new:
            chosen[size] = v
            size += 1
    return size
