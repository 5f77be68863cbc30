"""Our graph as a backend of networkx (entry point networkx.backends): the same call runs on the kernel for a CsrGraph.

networkx loads this module by its name when it first meets a graph with __networkx_backend__ = "kodama".
"""

from collections.abc import Hashable, Iterable, Iterator
from typing import Any

import networkx as nx
import numpy as np
from networkx.utils.backends import _dispatchable

from services.social_graph.suggestions import pairs
from services.social_graph.suggestions.around import as_suggestions
from services.social_graph.suggestions.graphs import CsrGraph
from services.social_graph.suggestions.model import Model, Suggestion
from services.social_graph.suggestions.pairs import Pair, score_pairs
from services.social_graph.suggestions.plain import Plain
from services.social_graph.suggestions.ranking import prepare, suggest_members

MAX_ROWS = 4096
"""Members at a time whose suggestions become Python objects."""


@_dispatchable
def suggest(
    G: Any,  # noqa: N803 - networkx dispatches on arguments of this name
    members: Iterable[Hashable] | None = None,
    *,
    model: Model | None = None,
    k: int = 50,
) -> dict[Any, list[Suggestion]]:
    """Return at most k suggestions for each of the members of a graph, or for all, the best first.

    Plain networkx for a networkx graph, the kernel for a CsrGraph; both give the same. Without a model, it is resource
    allocation. Raises KeyError for who is not in the graph.
    """
    plain = Plain(G, model or Model.default())
    return {node: plain.suggest(plain.place_of[node], k) for node in (plain.nodes if members is None else members)}


def suggest_on_kernel(
    graph: CsrGraph, members: Iterable[int] | None = None, *, model: Model | None = None, k: int = 50
) -> dict[int, list[Suggestion]]:
    """Do what `suggest` does, on the kernel."""
    prepared = prepare(graph, model or Model.default())
    rows = np.arange(len(graph)) if members is None else graph.rows_of(list(members))
    suggestions: dict[int, list[Suggestion]] = {}
    for start in range(0, len(rows), MAX_ROWS):
        block = suggest_members(prepared, rows[start : start + MAX_ROWS], k=k)
        ids = block.account_ids.tolist()
        suggestions.update((account_id, as_suggestions(block, i)) for i, account_id in enumerate(ids))
    return suggestions


class KodamaBackend:
    """What networkx calls instead of its own functions, by their names."""

    suggest = staticmethod(suggest_on_kernel)

    @staticmethod
    def resource_allocation_index(
        graph: CsrGraph, ebunch: Iterable[Pair] | None = None
    ) -> Iterator[tuple[int, int, float]]:
        """Do what networkx.resource_allocation_index does."""
        return score_pairs(graph, ebunch, pairs.resource_allocation)

    @staticmethod
    def adamic_adar_index(graph: CsrGraph, ebunch: Iterable[Pair] | None = None) -> Iterator[tuple[int, int, float]]:
        """Do what networkx.adamic_adar_index does."""
        return score_pairs(graph, ebunch, pairs.adamic_adar)

    @staticmethod
    def jaccard_coefficient(graph: CsrGraph, ebunch: Iterable[Pair] | None = None) -> Iterator[tuple[int, int, float]]:
        """Do what networkx.jaccard_coefficient does."""
        return score_pairs(graph, ebunch, pairs.jaccard)

    @staticmethod
    def preferential_attachment(
        graph: CsrGraph, ebunch: Iterable[Pair] | None = None
    ) -> Iterator[tuple[int, int, float]]:
        """Do what networkx.preferential_attachment does."""
        return score_pairs(graph, ebunch, pairs.preferential_attachment)

    @staticmethod
    def convert_from_nx(graph: "nx.Graph[int]", **_: Any) -> CsrGraph:
        """Return a networkx graph as ours. Attributes other than `friends_count` are left behind."""
        return CsrGraph.from_networkx(graph)

    @staticmethod
    def convert_to_nx(result: Any, **_: Any) -> Any:
        """Return a graph of ours as one of networkx, and anything else as it is."""
        return result.to_networkx() if isinstance(result, CsrGraph) else result


backend = KodamaBackend()
