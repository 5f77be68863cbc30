"""networkx's link prediction indices of single pairs, on our graph."""

import math
from collections.abc import Callable, Iterable, Iterator

import networkx as nx
import numpy as np

from services.social_graph.suggestions.graphs import CsrGraph, Int32s

Pair = tuple[int, int]
Index = Callable[[Int32s, int, int], float]
"""What a pair scores, from the numbers of friends of the mutual friends, and of both ends."""


def resource_allocation(shared: Int32s, _d_u: int, _d_v: int) -> float:
    """Zhou, Lü, Zhang 2009."""
    return float(sum(1 / d for d in shared.tolist()))


def adamic_adar(shared: Int32s, _d_u: int, _d_v: int) -> float:
    """Adamic, Adar 2003."""
    return sum(1 / math.log(d) for d in shared.tolist())


def jaccard(shared: Int32s, d_u: int, d_v: int) -> float:
    """The part of both ends' friends that is mutual."""
    union = d_u + d_v - len(shared)
    return len(shared) / union if union else 0


def preferential_attachment(_shared: Int32s, d_u: int, d_v: int) -> float:
    """The product of the numbers of friends."""
    return d_u * d_v


def score_pairs(graph: CsrGraph, pairs: Iterable[Pair] | None, index: Index) -> Iterator[tuple[int, int, float]]:
    """Yield each pair with its score; without pairs, all who are not friends. Raises NodeNotFound for who is not in the graph."""
    for u, v in _all_others(graph) if pairs is None else pairs:
        for end in (u, v):
            if end not in graph:
                raise nx.NodeNotFound(f"Node {end} not in G.")
        friends_u, friends_v = (_friends(graph, int(row)) for row in graph.rows_of([u, v]))
        mutual = np.intersect1d(friends_u, friends_v, assume_unique=True)
        yield u, v, index(_counts(graph, mutual), len(friends_u), len(friends_v))


def _friends(graph: CsrGraph, row: int) -> Int32s:
    return graph.indices[graph.indptr[row] : graph.indptr[row + 1]]


def _counts(graph: CsrGraph, rows: Int32s) -> Int32s:
    return (graph.indptr[rows + 1] - graph.indptr[rows]).astype(np.int32)


def _all_others(graph: CsrGraph) -> Iterator[Pair]:
    ids = graph.account_ids.tolist()
    for row, account_id in enumerate(ids):
        friends = set(_friends(graph, row).tolist())
        yield from ((account_id, ids[other]) for other in range(row + 1, len(ids)) if other not in friends)
