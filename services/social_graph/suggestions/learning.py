"""A small conditional logistic regression: which of a member's candidates is a hidden friend (McFadden 1974).

Each member's candidates compete with each other only, so what all of them share drops out. The score starts as the logarithm of the
kernel; regularisation draws the weights to zero, and so the order to the kernel's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.social_graph.suggestions.compiling import Array, compiled
from services.social_graph.suggestions.model import Reranking

MAX_STEPS = 15
MAX_HALVINGS = 10
TOLERANCE = 1e-6
SMALLEST_SPREAD = 1e-9
NEGLIGIBLE = 1e-10
"""Candidates with less of a member's odds than this add nothing to where the loss falls, and how fast."""
STRENGTH = 20.0
"""Of the regularisation, on scaled features: as much as some twenty members have to say."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Lists:
    """Candidates of members, and which are hidden friends."""

    features: Floats
    """[members, candidates, features]"""
    exists: NDArray[np.bool_]
    """[members, candidates]: False where a member has fewer candidates."""
    is_friend: NDArray[np.bool_]
    """[members, candidates]"""
    log_friends: Floats
    """[members] the logarithm of each member's number of friends."""
    hidden_counts: NDArray[np.int64]
    """[members] how many hidden friends there are, candidates or not."""

    def of(self, members: NDArray[np.int64]) -> "Lists":
        """Return the lists of some of the members."""
        return Lists(
            self.features[members],
            self.exists[members],
            self.is_friend[members],
            self.log_friends[members],
            self.hidden_counts[members],
        )


def join(lists: Sequence[Lists]) -> Lists:
    """Return all members' lists in one."""
    if len(lists) == 1:
        return lists[0]
    return Lists(
        np.concatenate([each.features for each in lists]),
        np.concatenate([each.exists for each in lists]),
        np.concatenate([each.is_friend for each in lists]),
        np.concatenate([each.log_friends for each in lists]),
        np.concatenate([each.hidden_counts for each in lists]),
    )


def fit(lists: Lists, members: NDArray[np.int64] | None = None, strength: float = STRENGTH) -> Reranking:
    """Return the weights that tell the hidden friends of these members best, or of all.

    By Newton's method on a convex loss, which takes a handful of steps.
    """
    telling = np.asarray(lists.is_friend.any(axis=1))
    members = np.flatnonzero(telling) if members is None else members[telling[members]]
    count = lists.features.shape[2]
    centre = float(lists.log_friends[members].mean()) if len(members) else 0.0
    z = lists.log_friends - centre
    scale = _spread(lists.features, lists.exists, members, z)
    weights = np.zeros(2 * count)
    data = (lists.features, lists.exists, lists.is_friend, members, z, scale)  # not a copy for the members: it is large
    loss, slope, curve = _evaluate(*data, weights, strength)
    for _ in range(MAX_STEPS):
        step = np.linalg.solve(curve, slope)
        if step @ slope < TOLERANCE:
            break
        for _ in range(MAX_HALVINGS):
            after = _evaluate(*data, weights - step, strength)
            if after[0] <= loss:
                break
            step /= 2
        else:
            break
        weights = weights - step
        loss, slope, curve = after
    weights = weights / scale
    return Reranking(tuple(weights[:count].tolist()), tuple(weights[count:].tolist()), centre)


@compiled
def _spread(features: Array, exists: Array, members: Array, z: Array) -> Array:
    """Return how far features, and features times z, spread within members: the root mean square, 1 for what does not vary."""
    count = features.shape[2]
    squares, total = np.zeros(2 * count), 0
    for m in members:
        size = exists[m].sum()
        total += size
        for f in range(count):
            mean = features[m, :size, f].sum() / max(1, size)
            square = ((features[m, :size, f] - mean) ** 2).sum()
            squares[f] += square
            squares[count + f] += square * z[m] ** 2
    spread = np.sqrt(squares / max(1, total))
    return np.where(spread < SMALLEST_SPREAD, 1.0, spread)


@compiled
def _evaluate(
    features: Array,
    exists: Array,
    is_friend: Array,
    members: Array,
    z: Array,
    scale: Array,
    weights: Array,
    strength: float,
) -> tuple[float, Array, Array]:
    """Return the loss, its gradient and its Hessian; candidates that exist come first in each list."""
    count = features.shape[2]
    loss, slope, curve = 0.5 * strength * (weights**2).sum(), strength * weights, strength * np.eye(2 * count)
    inputs, odds = np.empty((features.shape[1], count)), np.empty(features.shape[1])
    plain, by_friends = weights[:count] / scale[:count], weights[count:] / scale[count:]
    for m in members:
        size = exists[m].sum()
        highest = -np.inf
        for c in range(size):
            odds[c] = features[m, c, 0]
            for f in range(count):
                odds[c] += features[m, c, f] * (plain[f] + by_friends[f] * z[m])
            highest = max(highest, odds[c])
        share = 1.0 / is_friend[m].sum()
        total = 0.0
        for c in range(size):
            loss -= share * (odds[c] - highest) if is_friend[m, c] else 0.0
            odds[c] = math.exp(odds[c] - highest)
            total += odds[c]
        loss += math.log(total)
        kept = 0
        for c in range(size):
            if odds[c] > NEGLIGIBLE * total or is_friend[m, c]:
                odds[kept] = odds[c] / total
                for f in range(count):
                    inputs[kept, f] = features[m, c, f] / scale[f]
                    slope[f] -= share * inputs[kept, f] if is_friend[m, c] else 0.0
                    slope[count + f] -= share * z[m] * features[m, c, f] / scale[count + f] if is_friend[m, c] else 0.0
                kept += 1
        _add_derivatives(inputs[:kept], odds[:kept], z[m] * scale[:count] / scale[count:], slope, curve)
    for f in range(2 * count):
        for g in range(f):
            curve[f, g] = curve[g, f]
    return loss, slope, curve


@compiled
def _add_derivatives(inputs: Array, odds: Array, times: Array, slope: Array, curve: Array) -> None:
    """Add what one member's odds add to the gradient, and to the upper half of the Hessian: the spread of the inputs under the odds.

    A feature's second weight has the first one's input times a number, `times`, that all of a member's candidates share.
    """
    count = inputs.shape[1]
    mean, spread = np.zeros(count), np.zeros((count, count))
    for c in range(len(inputs)):
        for f in range(count):
            mean[f] += odds[c] * inputs[c, f]
    for c in range(len(inputs)):
        for f in range(count):
            weighted = odds[c] * (inputs[c, f] - mean[f])
            for g in range(f, count):
                spread[f, g] += weighted * (inputs[c, g] - mean[g])
    for f in range(count):
        slope[f] += mean[f]
        slope[count + f] += mean[f] * times[f]
        for g in range(count):
            both = spread[min(f, g), max(f, g)]
            curve[f, g] += both
            curve[f, count + g] += both * times[g]
            curve[count + f, count + g] += both * times[f] * times[g]


def rate_lists(lists: Lists, reranking: Reranking) -> Floats:
    """Return the re-ranked scores, [members, candidates], minus infinity for nobody."""
    z = lists.log_friends - reranking.centre
    weights = np.asarray(reranking.plain) + np.asarray(reranking.by_friends) * z[:, None]
    scores = lists.features[:, :, 0] + np.einsum("mcf,mf->mc", lists.features, weights)
    return np.where(lists.exists, scores, -np.inf)
