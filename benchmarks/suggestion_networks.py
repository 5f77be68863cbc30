"""Friend networks that are made, to measure speed on: heavy-tailed numbers of friends, communities, ids in no order."""

import numpy as np
from numpy.typing import NDArray

from services.social_graph.suggestions import CsrGraph

COMMUNITY = 200
INSIDE = 0.7
"""The part of friendships inside of communities."""
SPREAD = 1.1
"""Of the logarithm of how sociable members are."""
MOST_FRIENDS = 5000
TOO_MANY = 1.08
"""Repeats and loops are dropped, so that more friendships are drawn than are wanted."""


def make_network(members: int, friends: int, seed: int = 1) -> CsrGraph:
    """Return a network in which members have about so many friends on the mean.

    Members are drawn in proportion to how sociable they are (Chung, Lu 2002), which is log-normal: the best known have fifty
    times the friends of most. Ids are shuffled: neighbours in the network are far from each other in memory, as after years of sign-ups.
    """
    chance = np.random.default_rng(seed)
    weights = np.minimum(np.exp(chance.normal(0, SPREAD, members)), MOST_FRIENDS / friends)
    wanted = int(members * friends / 2 * TOO_MANY)
    left = _draw(weights, wanted, chance)
    right = _draw(weights, wanted, chance)
    inside = chance.random(wanted) < INSIDE
    right[inside] = np.minimum(left[inside] // COMMUNITY * COMMUNITY + right[inside] % COMMUNITY, members - 1)
    ids = chance.permutation(members) + 1
    return CsrGraph.from_edges(ids[left], ids[right])


def _draw(weights: NDArray[np.float64], count: int, chance: np.random.Generator) -> NDArray[np.int64]:
    """Return rows, each as likely as its weight."""
    reached = np.cumsum(weights)
    rows = np.searchsorted(reached, chance.random(count) * reached[-1])
    return np.asarray(np.minimum(rows, len(weights) - 1), dtype=np.int64)
