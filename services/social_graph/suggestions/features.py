"""What the re-ranking looks at: how a member's candidates hang together with the member's friends.

With u the member, v the candidate, M their mutual friends, d the numbers of friends:

    kernel                                log d_v^-b · Σ d_w^-a                       (a, b as tuned)
    mutual_friends                        log |M|
    resource_allocation                   log Σ 1 / d_w                               (Zhou, Lü, Zhang 2009)
    tie_strength                          log Σ (|N(u) ∩ N(w)| + 1) / |N(u) ∪ N(w)|   (Jaccard of the member and the mutual friend)
    edges_among_mutual_friends            log(1 + E), E friendships inside of M
    weighted_edges_among_mutual_friends   log(1 + Σ e_w / d_w), e_w friendships of w inside of M
    density_among_mutual_friends          2E / (|M| (|M| - 1))
    candidate_friends                     log d_v
    union_of_friends                      log(d_u + d_v - |M|)
    strongest_tie                         log max (|N(u) ∩ N(w)| + 1) / |N(u) ∪ N(w)|
    paths_through_two_friends             log(1 / 1000 + Σ_w Σ_x 1 / (d_w d_x)), x the friends of w in N(u): the way u, x, w, v

All of it is known from the rows of the member's friends and from degrees, so that ego graphs give the same numbers as the whole
network. Sums run over mutual friends in one order, those with the fewest friends first, here and in plain networkx, to give the
same last digit.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from services.social_graph.suggestions.compiling import Array, Whole, compiled, inlined
from services.social_graph.suggestions.kernel import MEMBER, Network
from services.social_graph.suggestions.model import CANDIDATES, FEATURES, MAX_EGO
from services.social_graph.suggestions.selecting import Best
from services.social_graph.suggestions.tables import Table

COUNT = len(FEATURES)
NO_PATHS = 1e-3
"""What is added to paths, of which there may be none."""
LOGARITHMS = np.array([0.0, *(math.log(number) for number in range(1, 4096))])
"""Looked up, as most numbers are small and a logarithm takes long; that of 0 is not used."""


class Ego(NamedTuple):
    """A member's friends, in the order of their slots, and their candidates."""

    friends: Array
    """uint64[friends, words]: who of the friends are friends of each other, a bit each."""
    mutual: Array
    """uint64[candidates, words]: who of the friends are friends of each candidate, a bit each."""
    ties: Array
    """float64[friends]: the member's tie strength with each."""
    inverses: Array
    """float64[friends]: one divided by each one's number of friends."""
    paths: Array
    """float64[friends]: Σ 1 / (d_w d_x) over the mutual friends x of the member and each friend w."""
    log_ties: Array
    log_inverses: Array
    log_paths: Array


@compiled
def make_ego(network: Network, members: Array, describes: bool) -> Ego:
    """Return room for each of the members; where nothing is described, for the mutual friends only."""
    widest = 1
    for u in members:
        widest = max(widest, network.indptr[u + 1] - network.indptr[u])
    size = min(widest, MAX_EGO) if describes else 0
    return Ego(
        np.zeros((size, (size + 63) >> 6), dtype=np.uint64),
        np.zeros((CANDIDATES, (widest + 63) >> 6), dtype=np.uint64),
        np.empty(size),
        np.empty(size),
        np.empty(size),
        np.empty(size),
        np.empty(size),
        np.empty(size),
    )


@inlined
def ones(word: Whole) -> Whole:
    """Return how many bits of a 64-bit word are set."""
    x = np.uint64(word)
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))


@inlined
def lowest(word: Whole) -> Whole:
    """Return the place of the lowest bit that is set."""
    x = np.uint64(word)
    return ones((x & (~x + np.uint64(1))) - np.uint64(1))


@inlined
def log_of(number: Whole) -> Any:
    """Return the logarithm of a positive whole number."""
    return LOGARITHMS[number] if number < len(LOGARITHMS) else math.log(number)


@compiled
def look_around(
    network: Network, table: Table, friends: Array, best: Best, count: Whole, ego: Ego, describes: bool
) -> None:
    """Set the bits of `ego` for a member's friends, `size` in all, and the first candidates, in one more pass over the friends' rows.

    In `paths` there is Σ 1 / d_x then, not divided by d_w yet.

    The sums in the table are not needed any more: the slots of candidates say who they are, as those of friends do.
    """
    size = len(friends)
    words = (size + 63) >> 6
    ego.mutual[:count, :words] = 0
    if describes:
        ego.friends[:size, :words] = 0
        ego.paths[:size] = 0.0
    for r in range(count):
        table.words[table.slots[best.rows[r]]] = -1 - size - r
    for i in range(size):
        w = friends[i]
        bit = np.uint64(1) << np.uint64(i & 63)
        inverse = 1.0 / network.degrees[w]
        if describes:
            ego.inverses[i] = inverse
        for q in range(np.uint64(network.indptr[w]), np.uint64(network.indptr[w + 1])):
            word = table.words[np.uint64(table.slots[np.uint64(network.indices[q])])]
            if word >= 0 or word == MEMBER:
                continue
            j = -1 - word
            if j >= size:
                ego.mutual[j - size, i >> 6] |= bit
            elif describes:
                ego.friends[j, i >> 6] |= bit
                ego.paths[j] += inverse


@compiled
def measure_ties(network: Network, d_u: Whole, friends: Array, ego: Ego) -> None:
    """Compute what is known of each friend alone, after `look_around`: tie strength, paths by way of them, and logarithms."""
    words = (len(friends) + 63) >> 6
    for i in range(len(friends)):
        common = 0
        for k in range(words):
            common += ones(ego.friends[i, k])
        ego.ties[i] = (common + 1.0) / (d_u + network.degrees[friends[i]] - common)
        ego.paths[i] *= ego.inverses[i]
        ego.log_ties[i] = math.log(ego.ties[i])
        ego.log_inverses[i] = math.log(ego.inverses[i])
        ego.log_paths[i] = math.log(NO_PATHS + ego.paths[i])


@compiled
def describe(ego: Ego, words: Whole, m: Whole, d_u: Whole, d_v: Whole, score: Any, r: Whole, out: Array) -> None:
    """Put the features of the r-th candidate, who has m mutual friends, into `out`, in the order of FEATURES."""
    out[0] = math.log(score)
    out[1] = log_of(m)
    out[7] = log_of(d_v)
    out[8] = log_of(max(1, d_u + d_v - m))
    if m == 1:  # most have one, and nothing to add up
        k = 0
        while ego.mutual[r, k] == np.uint64(0):
            k += 1
        i = (k << 6) + lowest(ego.mutual[r, k])
        out[2], out[3] = ego.log_inverses[i], ego.log_ties[i]
        out[4], out[5], out[6] = 0.0, 0.0, 0.0
        out[9], out[10] = ego.log_ties[i], ego.log_paths[i]
    else:
        _describe_many(ego, words, m, ego.mutual[r], out)


@compiled
def _describe_many(ego: Ego, words: Whole, m: Whole, mutual: Array, out: Array) -> None:
    """Put what is a sum over mutual friends into `out`."""
    edges, allocation, tie, weighted, strongest, paths = 0, 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(words):
        word = mutual[k]
        while word != np.uint64(0):
            i = (k << 6) + lowest(word)
            word &= word - np.uint64(1)
            inside = 0
            for j in range(words):
                inside += ones(ego.friends[i, j] & mutual[j])
            allocation += ego.inverses[i]
            tie += ego.ties[i]
            paths += ego.paths[i]
            strongest = max(strongest, ego.ties[i])
            edges += inside
            weighted += inside * ego.inverses[i]
    out[2] = math.log(allocation)
    out[3] = math.log(tie)
    out[4] = log_of(1 + edges // 2)
    out[5] = math.log(1.0 + weighted) if edges > 0 else 0.0
    out[6] = edges / (m * (m - 1.0)) if edges > 0 else 0.0
    out[9] = math.log(strongest)
    out[10] = math.log(NO_PATHS + paths)
