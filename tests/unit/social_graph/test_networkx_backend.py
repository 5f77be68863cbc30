"""networkx's own indices on our graph: the same calls, the same numbers."""

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.social_graph.backend_info import get_info
from services.social_graph.suggestions import CsrGraph, suggest
from services.social_graph.suggestions.networkx_backend import backend

Index = Callable[..., Iterable[tuple[int, int, float]]]
INDICES: list[Index] = [
    nx.resource_allocation_index,
    nx.adamic_adar_index,
    nx.jaccard_coefficient,
    nx.preferential_attachment,
]
indices = pytest.mark.parametrize("index", INDICES, ids=lambda index: index.__name__)


def values(index: Index, graph: Any, pairs: Any = None) -> dict[frozenset[int], float]:
    return {frozenset((u, v)): value for u, v, value in index(graph, pairs)}


@indices
def test_all_pairs_of_a_real_graph(index: Index) -> None:
    network: nx.Graph[int] = nx.Graph(nx.karate_club_graph().edges)
    assert values(index, CsrGraph.from_networkx(network)) == pytest.approx(values(index, network), rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.sets(st.tuples(st.integers(0, 15), st.integers(16, 40)), min_size=1, max_size=60), st.sampled_from(INDICES))
def test_any_pairs_of_any_graph(edges: set[tuple[int, int]], index: Index) -> None:
    network: nx.Graph[int] = nx.Graph(edges)
    pairs = list(zip(sorted(network), sorted(network)[1:], strict=False))
    ours = CsrGraph.from_networkx(network)
    assert values(index, ours, pairs) == pytest.approx(values(index, network, pairs), rel=1e-12)


@indices
def test_a_stranger_is_refused_as_by_networkx(index: Index) -> None:
    network: nx.Graph[int] = nx.path_graph(3)
    for graph in (network, CsrGraph.from_networkx(network)):
        with pytest.raises(nx.NodeNotFound):
            list(index(graph, [(0, 77)]))


def test_a_networkx_graph_runs_on_the_kernel_where_that_is_asked_for() -> None:
    network: nx.Graph[int] = nx.Graph(nx.karate_club_graph().edges)
    on_kernel = suggest(network, backend="kodama")
    assert on_kernel == suggest(network) == suggest(CsrGraph.from_networkx(network))


def test_a_graph_becomes_a_networkx_graph_and_comes_back() -> None:
    network: nx.Graph[int] = nx.barabasi_albert_graph(60, 3, seed=1)
    graph = CsrGraph.from_networkx(network)
    assert nx.utils.graphs_equal(nx.Graph(backend.convert_to_nx(graph).edges), nx.Graph(network.edges))
    again = backend.convert_from_nx(backend.convert_to_nx(graph))
    for name in ("account_ids", "indptr", "indices", "degrees"):
        assert getattr(again, name).tolist() == getattr(graph, name).tolist()
    assert backend.convert_to_nx(3) == 3


def test_networkx_knows_the_backend_by_its_entry_points() -> None:
    known = import_module("networkx.utils.backends")
    assert "kodama" in known.backends
    offered = set(get_info()["functions"])
    assert offered <= {name for name in dir(backend) if not name.startswith("_")}
    assert set(known.backend_info["kodama"]["functions"]) == offered
