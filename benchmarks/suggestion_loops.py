"""What the kernel's speed is compared with: a loop over networkx, and sparse_dot_topn. Both give the same exact best strangers."""

from heapq import nlargest
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags_array, eye_array, hstack, vstack
from sparse_dot_topn import sp_matmul_topn

from services.social_graph.suggestions import CsrGraph

NEVER = 1e6
"""More than any score: what is taken from members themselves and their friends."""


def network_around(graph: CsrGraph, members: NDArray[np.int64] | None) -> "nx.Graph[int]":
    """Return the part of the graph that a loop over members reads, in networkx: all friends of each of their friends.

    Without members it is the whole graph.
    """
    network: nx.Graph[int] = nx.Graph()
    friends = np.arange(len(graph))
    if members is not None:
        friends = np.unique(np.concatenate([graph.indices[graph.indptr[u] : graph.indptr[u + 1]] for u in members]))
    for w in friends.tolist():
        network.add_edges_from((w, x) for x in graph.indices[graph.indptr[w] : graph.indptr[w + 1]].tolist())
    return network


def loop_over(network: "nx.Graph[int]", members: list[int], k: int) -> dict[int, list[tuple[float, int]]]:
    """Return each member's k best strangers by resource allocation, as anybody would write it on networkx's adjacency."""
    adjacency = network.adj
    best = {}
    for u in members:
        friends = adjacency[u]
        scores: dict[int, float] = {}
        for w in friends:
            second = adjacency[w]
            weight = 1 / len(second)
            for v in second:
                scores[v] = scores.get(v, 0.0) + weight
        for known in (u, *friends):
            scores.pop(known, None)
        best[u] = nlargest(k, ((score, -v) for v, score in scores.items()))
    return best


class SparseTopN:
    """sparse_dot_topn, exact: C = [A_r | -NEVER (A_r + I_r)] × [[diag(1/d) A]; [I]] leaves strangers above zero."""

    def __init__(self, graph: CsrGraph) -> None:
        n = len(graph)
        values = np.ones(len(graph.indices), np.float32)
        self._matrix: Any = csr_matrix((values, graph.indices, graph.indptr.astype(np.int32)), shape=(n, n))
        weights = diags_array(1 / np.maximum(np.diff(graph.indptr), 1).astype(np.float32))
        self._right = _narrow(vstack((weights @ self._matrix, eye_array(n, dtype=np.float32))))

    def best(self, start: int, stop: int, k: int, threads: int) -> Any:
        """Return the scores of the k best strangers of the members of a range of rows, as a sparse matrix."""
        rows = self._matrix[start:stop]
        own = eye_array(stop - start, rows.shape[1], k=start, dtype=np.float32, format="csr")
        left = _narrow(hstack((rows, -NEVER * (rows + own))))
        return sp_matmul_topn(left, self._right, top_n=k, threshold=0.0, sort=True, n_threads=threads)


def _narrow(matrix: Any) -> Any:
    """Return a sparse matrix in the form that sparse_dot_topn takes, with indices of 32 bits."""
    rows: Any = csr_matrix(matrix)
    rows.indices, rows.indptr = rows.indices.astype(np.int32), rows.indptr.astype(np.int32)
    return rows


def same(loop: dict[int, list[tuple[float, int]]], members: list[int], scores: NDArray[np.float32]) -> bool:
    """Tell whether a loop's scores are those of the kernel, a row per member."""
    return all(
        np.allclose([score for score, _ in loop[u]], row[: len(loop[u])], rtol=1e-4)
        for u, row in zip(members, scores, strict=True)
    )
