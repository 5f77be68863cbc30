"""Choosing the best of a member's candidates, exactly, without putting all of them in order."""

from typing import Any, NamedTuple

import numpy as np

from services.social_graph.suggestions.compiling import Array, Whole, compiled, inlined
from services.social_graph.suggestions.kernel import COUNT_SHIFT, SUM_MASK, Network
from services.social_graph.suggestions.model import CANDIDATES
from services.social_graph.suggestions.tables import Table

GROUPS = 128
"""More than CANDIDATES, a power of two."""
CLASSES = 128


class Best(NamedTuple):
    """The best candidates, the best first, and what it takes to find them."""

    scores: Array
    mutuals: Array
    rows: Array
    highest: Array
    """int64: the highest score of each group, as a pattern."""
    starts: Array
    ends: Array
    """int64: where each class of scores begins among the best, and how far it has come."""


@compiled
def make_best() -> Best:
    """Return room for CANDIDATES."""
    return Best(
        np.empty(CANDIDATES),
        np.empty(CANDIDATES, dtype=np.int64),
        np.empty(CANDIDATES, dtype=np.int64),
        np.empty(GROUPS, dtype=np.int64),
        np.zeros(CLASSES + 1, dtype=np.int64),
        np.zeros(CLASSES, dtype=np.int64),
    )


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
def select_best(network: Network, table: Table, start: Whole, stop: Whole, most: Whole, best: Best) -> Whole:
    """Put the best candidates of the slots from start to stop - 1, at most `most`, into `best`; return how many they are.

    Scores are compared as the whole numbers that have the same 64 bits, which are in the same order. Who is surely not among the best
    is left out. The others are counted by classes of nearly equal scores, and only within a class they are put in order.
    """
    _score(network, table, start, stop)
    patterns = table.scores.view(np.int64)
    least, top = _range(patterns[start:stop], most, best.highest)
    count = 0
    for i in range(start, stop):
        table.chosen[count] = i
        count += patterns[i] >= least
    shift = 0
    while (top - least) >> shift >= CLASSES:
        shift += 1
    starts, ends = best.starts, best.ends
    starts[:] = 0
    for i in table.chosen[:count]:
        starts[1 + ((top - patterns[i]) >> shift)] += 1
    for c in range(CLASSES):
        starts[c + 1] = min(most, starts[c + 1] + starts[c])
        ends[c] = starts[c]
    for i in table.chosen[:count]:
        c = (top - patterns[i]) >> shift
        if starts[c] < starts[c + 1]:
            mutual, x = table.words[i] >> COUNT_SHIFT, table.rows[i]
            ends[c] = _insert(network.places, best, starts[c], ends[c], starts[c + 1], table.scores[i], mutual, x)
    return starts[CLASSES]


@compiled
def _score(network: Network, table: Table, start: Whole, stop: Whole) -> None:
    """Compute the scores of slots: -1 for who has too many mutual friends."""
    words, scores = table.words, table.scores
    if network.is_flat:
        for i in range(start, stop):
            scores[i] = (words[i] & SUM_MASK) * network.highest if words[i] > 0 else -1.0
    else:
        for i in range(start, stop):
            factor = network.factors[network.degrees[np.uint64(table.rows[i])]]
            scores[i] = (words[i] & SUM_MASK) * factor if words[i] > 0 else -1.0


@compiled
def _range(patterns: Array, most: Whole, highest: Array) -> tuple[Whole, Whole]:
    """Return from where to where the best patterns are: all that are among the `most` highest, and few others. None are below zero.

    Each is in one of some more groups than are wanted. The highest of so many groups are as many patterns, so that the least of
    these is a bound that holds.
    """
    groups = 32
    while groups < most + most // 4:
        groups *= 2
    top = np.int64(0)
    for pattern in patterns:
        top = max(top, pattern)
    if len(patterns) < 2 * groups:
        least = top
        for pattern in patterns:
            least = min(least, pattern) if pattern >= 0 else least
        return least, top
    highest[:groups] = patterns[:groups]
    for start in range(groups, len(patterns) - groups + 1, groups):
        for j in range(groups):
            highest[j] = max(highest[j], patterns[start + j])
    least = top
    for i in range(groups):
        above = 0
        for j in range(groups):
            above += highest[j] > highest[i]
        if above < most:
            least = min(least, highest[i])
    return max(np.int64(0), least), top


@inlined
def _insert(
    places: Array, best: Best, start: Whole, end: Whole, stop: Whole, score: Any, mutual: Whole, x: Whole
) -> Whole:
    """Put a candidate where it belongs into best[start:end], whose room is up to `stop`; return where that ends then."""
    scores, mutuals, rows = best.scores, best.mutuals, best.rows
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
