"""Choosing the best of a member's candidates, exactly, without putting all of them in order."""

from typing import Any, NamedTuple

import numpy as np

from services.social_graph.suggestions.compiling import Array, Whole, compiled, inlined
from services.social_graph.suggestions.kernel import COUNT_SHIFT, SUM_MASK, Network
from services.social_graph.suggestions.model import CANDIDATES
from services.social_graph.suggestions.tables import Table

LAST_PLACE = (1 << 31) - 1
"""No place is above it."""
LOOKS = 40
"""How often it is looked whether a bound is right: each look halves what it may be off by."""
FEW = 256
"""So many or fewer are put in order by comparing all with all, several at a time: nothing is decided that could not be foreseen."""


class Best(NamedTuple):
    """The best candidates, the best first, and room for what it takes to find them."""

    scores: Array
    mutuals: Array
    rows: Array
    firsts: Array
    seconds: Array
    """int64: what the few that are left are compared by, first and second, the higher the better."""


@compiled
def make_best() -> Best:
    """Return room for CANDIDATES."""
    return Best(
        np.empty(CANDIDATES),
        np.empty(CANDIDATES, dtype=np.int64),
        np.empty(CANDIDATES, dtype=np.int64),
        np.empty(FEW, dtype=np.int64),
        np.empty(FEW, dtype=np.int64),
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
    """Put the best candidates of the slots from start to stop - 1, at most `most`, into `best`; return how many they are."""
    _score(network, table, start, stop)
    patterns = table.scores.view(np.int64)  # scores are in the order of the whole numbers that have the same bits
    least = _find_bound(patterns[start:stop], most)
    count = 0
    for i in range(start, stop):
        table.chosen[count] = i
        count += patterns[i] >= least
    if count <= FEW:
        return _rank(network, table, table.chosen[:count], most, best)
    size = 0
    for i in table.chosen[:count]:  # many with the same score, of whom ids that rise leave out most at once
        size = _insert(network.places, best, size, most, table.scores[i], table.words[i] >> COUNT_SHIFT, table.rows[i])
    return size


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
def _find_bound(patterns: Array, most: Whole) -> Whole:
    """Return a bound, not below zero, that the `most` highest patterns reach, and few others do unless many are the same."""
    if len(patterns) <= most:
        return np.int64(0)
    least, above = patterns[0], patterns[0]
    for i in range(len(patterns)):  # by their places: several at a time then
        least, above = min(least, patterns[i]), max(above, patterns[i])
    least, above = max(np.int64(0), least), above + 1
    for _ in range(LOOKS):
        middle = least + ((above - least) >> 1)
        count = 0
        for i in range(len(patterns)):
            count += patterns[i] >= middle
        if count < most:
            above = middle
        else:
            least = middle
            if count <= most + (most >> 3):
                break
    return least


@compiled
def _rank(network: Network, table: Table, slots: Array, most: Whole, best: Best) -> Whole:
    """Put the best of a few slots in order; return how many they are."""
    firsts, seconds = best.firsts[: len(slots)], best.seconds[: len(slots)]
    patterns = table.scores.view(np.int64)
    for i in range(len(slots)):
        slot = slots[i]
        firsts[i] = patterns[slot]
        seconds[i] = (table.words[slot] >> COUNT_SHIFT) << 32 | (LAST_PLACE - network.places[table.rows[slot]])
    for i in range(len(slots)):
        first, second, before = firsts[i], seconds[i], 0
        for j in range(len(slots)):
            before += (firsts[j] > first) | ((firsts[j] == first) & (seconds[j] > second))
        if before < most:
            slot = slots[i]
            best.scores[before] = table.scores[slot]
            best.mutuals[before] = table.words[slot] >> COUNT_SHIFT
            best.rows[before] = table.rows[slot]
    return min(most, len(slots))


@inlined
def _insert(places: Array, best: Best, size: Whole, most: Whole, score: Any, mutual: Whole, x: Whole) -> Whole:
    """Put a candidate where it belongs among so many best, at most `most`; return how many they are then."""
    scores, mutuals, rows = best.scores, best.mutuals, best.rows
    if size == most:
        size -= 1
        if not comes_before(places, score, mutual, x, scores[size], mutuals[size], rows[size]):
            return most
    i = size
    while i > 0 and comes_before(places, score, mutual, x, scores[i - 1], mutuals[i - 1], rows[i - 1]):
        scores[i], mutuals[i], rows[i] = scores[i - 1], mutuals[i - 1], rows[i - 1]
        i -= 1
    scores[i], mutuals[i], rows[i] = score, mutual, x
    return size + 1
