"""The order that rows are computed in: who has friends in common is near in memory, so that one member's rows serve the next."""

from typing import NamedTuple

import numpy as np

from services.social_graph.suggestions.compiling import compiled
from services.social_graph.suggestions.graphs import CsrGraph, Int32s, Int64s
from services.social_graph.suggestions.memory import let_go

STEP_ROWS = 1 << 16
"""So many rows of a graph at a time are moved or copied, and then, in a mapped file, let out of memory."""


class Layout(NamedTuple):
    """A graph with its rows in another order. Within a row, friends stay in the order of their ids."""

    order: Int32s
    """[n] the graph's row of each row; it is also the row's place in the order of ids."""
    rows: Int32s
    """[n] where each of the graph's rows is."""
    indptr: Int64s
    """[n + 1]"""
    indices: Int32s
    degrees: Int32s
    """[n]"""


def as_it_is(graph: CsrGraph) -> Layout:
    """Return the graph in its own order."""
    order = np.arange(len(graph), dtype=np.int32)
    return Layout(order, order, graph.indptr, graph.indices, graph.degrees)


def lay_out(graph: CsrGraph, order: Int32s, indices: Int32s | None = None) -> Layout:
    """Return the graph with its rows in this order; what is as large as the graph is written into `indices`, where given."""
    moved = np.empty(len(graph.indices), dtype=np.int32) if indices is None else indices
    rows = np.empty(len(order), dtype=np.int32)
    rows[order] = np.arange(len(order), dtype=np.int32)
    indptr = np.zeros(len(order) + 1, dtype=np.int64)
    np.cumsum(np.diff(graph.indptr)[order], out=indptr[1:])
    for start in range(0, len(order), STEP_ROWS):
        some = order[start : start + STEP_ROWS]
        _move(graph.indptr, graph.indices, some, rows, moved[indptr[start] : indptr[start + len(some)]])
        let_go(moved)
    return Layout(order, rows, indptr, moved, graph.degrees[order])


@compiled
def _move(indptr: Int64s, indices: Int32s, order: Int32s, rows: Int32s, moved: Int32s) -> None:
    """Fill in these rows in the new order, and by their new numbers."""
    at = 0
    for u in order:
        for p in range(indptr[u], indptr[u + 1]):
            moved[at] = rows[indices[p]]
            at += 1
