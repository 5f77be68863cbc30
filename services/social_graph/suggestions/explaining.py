"""Why somebody is suggested to a member, or is not: the parts that their score is made of."""

import math

import msgspec
import numpy as np

from services.social_graph.suggestions.graphs import CsrGraph
from services.social_graph.suggestions.model import FEATURES, MAX_EGO, Model
from services.social_graph.suggestions.plain import SAMPLES, Plain


class Part(msgspec.Struct, frozen=True):
    """One feature of a pair, and what it adds to the logarithm of the score."""

    feature: str
    value: float
    contribution: float


class Parts(msgspec.Struct, frozen=True):
    """What a score is made of: score = e^(Σ contributions)."""

    mutual_count: int
    sample_friends: tuple[int, ...]
    """At most three mutual friends, those with the fewest friends first."""
    kernel_score: float
    """0 without a mutual friend."""
    score: float
    """What the pair is ranked by; that of the kernel where nothing is re-ranked."""
    parts: tuple[Part, ...]
    """Empty without a mutual friend, and where nothing is re-ranked."""


def explain(graph: CsrGraph, model: Model, u: int, v: int) -> Parts:
    """Return what makes the score of v for u, friends or not, suggested or not. Raises KeyError for who is not in the graph."""
    around = _surroundings(graph, u, v)
    plain = Plain(around.to_networkx(), model)
    row_u, row_v = plain.place_of[u], plain.place_of[v]
    mutual = plain.mutual_friends(row_u, row_v)
    sample = sorted(mutual, key=lambda w: (plain.degree(w), w))[:SAMPLES]
    kernel = plain.kernel_score(row_u, row_v)
    sampled = tuple(int(around.account_ids[w]) for w in sample)
    row = int(graph.rows_of([u])[0])
    if not mutual or model.reranking is None or graph.indptr[row + 1] - graph.indptr[row] > MAX_EGO:
        return Parts(len(mutual), sampled, kernel, kernel, ())
    features = plain.describe(row_u, row_v, kernel)
    contributions = list(model.reranking.parts(features, plain.degree(row_u)))
    contributions[0] += features[0]
    score = math.exp(plain.rate(row_u, row_v, kernel))
    parts = (Part(*part) for part in zip(FEATURES, features, contributions, strict=True))
    return Parts(len(mutual), sampled, kernel, score, tuple(parts))


def _surroundings(graph: CsrGraph, u: int, v: int) -> CsrGraph:
    """Return the part of the graph that a pair's score depends on: u, v, and u's friends with the friendships among them."""
    row_u, row_v = graph.rows_of([u, v]).tolist()
    friends = graph.indices[graph.indptr[row_u] : graph.indptr[row_u + 1]]
    inside = np.unique(np.concatenate((friends, np.array([row_u, row_v], dtype=np.int32))))
    left, right = [], []
    for place, row in enumerate(inside.tolist()):
        others = np.intersect1d(graph.indices[graph.indptr[row] : graph.indptr[row + 1]], inside, assume_unique=True)
        right.append(np.searchsorted(inside, others))
        left.append(np.full(len(others), place))
    return CsrGraph.from_rows(
        graph.account_ids[inside], np.concatenate(left), np.concatenate(right), graph.degrees[inside]
    )
