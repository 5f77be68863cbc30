"""A small conditional logistic regression: which of a member's candidates is a hidden friend (McFadden 1974).

Each member's candidates compete with each other only, so what all of them share drops out. The score starts as the logarithm of the
kernel; regularisation draws the weights to zero, and so the order to the kernel's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from services.social_graph.suggestions.model import Reranking

MAX_ITERATIONS = 60
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
    return Lists(
        np.concatenate([each.features for each in lists]),
        np.concatenate([each.exists for each in lists]),
        np.concatenate([each.is_friend for each in lists]),
        np.concatenate([each.log_friends for each in lists]),
        np.concatenate([each.hidden_counts for each in lists]),
    )


def fit(lists: Lists, strength: float) -> Reranking:
    """Return the weights that tell the hidden friends best; `strength` is that of the regularisation, on scaled features."""
    lists = lists.of(np.flatnonzero(lists.is_friend.any(axis=1)))
    count = lists.features.shape[2]
    if len(lists.features) == 0:
        return Reranking((0.0,) * count, (0.0,) * count, 0.0)
    centre = float(lists.log_friends.mean())
    inputs, scale = _inputs(lists, centre)
    offset = np.where(lists.exists, lists.features[:, :, 0], -np.inf)
    shares = lists.is_friend / lists.is_friend.sum(axis=1, keepdims=True)
    flat = inputs.reshape(-1, 2 * count)

    def loss(weights: Floats) -> tuple[float, Floats]:
        scores = offset + (flat @ weights).reshape(offset.shape)
        scores -= scores.max(axis=1, keepdims=True)
        odds = np.exp(scores)
        total = odds.sum(axis=1, keepdims=True)
        logs = np.where(lists.exists, scores - np.log(total), 0.0)
        slope = flat.T @ (odds / total - shares).ravel()
        return float(-(shares * logs).sum() + strength / 2 * weights @ weights), slope + strength * weights

    found = minimize(loss, np.zeros(2 * count), jac=True, method="L-BFGS-B", options={"maxiter": MAX_ITERATIONS})
    weights = found.x / scale
    return Reranking(tuple(weights[:count].tolist()), tuple(weights[count:].tolist()), centre)


def _inputs(lists: Lists, centre: float) -> tuple[Floats, Floats]:
    """Return features and features times the member's log friends, scaled to a spread of one within members, and the spreads."""
    features = lists.features
    sizes = np.maximum(lists.exists.sum(axis=1), 1)[:, None]
    means = (features * lists.exists[:, :, None]).sum(axis=1) / sizes
    inner = (features - means[:, None, :]) * lists.exists[:, :, None]
    both = np.concatenate((inner, inner * (lists.log_friends - centre)[:, None, None]), axis=2)
    spread = np.sqrt((both**2).sum(axis=(0, 1)) / max(1, int(lists.exists.sum())))
    spread[spread < 1e-9] = 1.0
    both /= spread
    return both, spread


def rate_lists(lists: Lists, reranking: Reranking) -> Floats:
    """Return the re-ranked scores, [members, candidates], minus infinity for nobody."""
    z = lists.log_friends - reranking.centre
    weights = np.asarray(reranking.plain) + np.asarray(reranking.by_friends) * z[:, None]
    scores = lists.features[:, :, 0] + np.einsum("mcf,mf->mc", lists.features, weights)
    return np.where(lists.exists, scores, -np.inf)
