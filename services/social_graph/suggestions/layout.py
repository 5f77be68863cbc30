"""The order that rows are computed in: who has friends in common is near in memory, so that one member's rows serve the next."""

from typing import NamedTuple

import numpy as np

from services.social_graph.suggestions.compiling import compiled
from services.social_graph.suggestions.graphs import CsrGraph, Int32s, Int64s


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


def lay_out(graph: CsrGraph, order: Int32s) -> Layout:
    """Return the graph with its rows in this order."""
    rows = np.empty(len(order), dtype=np.int32)
    rows[order] = np.arange(len(order), dtype=np.int32)
    indptr = np.zeros(len(order) + 1, dtype=np.int64)
    np.cumsum(np.diff(graph.indptr)[order], out=indptr[1:])
    return Layout(order, rows, indptr, _move(graph.indptr, graph.indices, order, rows), graph.degrees[order])


@compiled
def _move(indptr: Int64s, indices: Int32s, order: Int32s, rows: Int32s) -> Int32s:
    """Return all rows in the new order, and by their new numbers."""
    moved = np.empty(len(indices), dtype=np.int32)
    at = 0
    for u in order:
        for p in range(indptr[u], indptr[u + 1]):
            moved[at] = rows[indices[p]]
            at += 1
    return moved
