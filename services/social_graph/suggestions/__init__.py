"""Who might know whom: the one place where the friend graph is a networkx graph.

Works on graphs of ids alone: no database, no tasks, no RPC. Reading order: `memory` (what a process does not keep), `graphs` (the
graph), `layout` (its rows in another order), `model` (what is chosen per network), `tables` and `kernel` (one pass over friends of
friends), `ahead` (what the next pass needs), `selecting` (the best of whom it found), `features` and `filling`, `ranking` (from rows to
suggestions), `hiding`, `learning` and `tuning` (how the model is chosen), `around` (single members, online), `plain` (the same in plain
networkx), `explaining`, `pairs` and `networkx_backend`.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from services.social_graph.suggestions.around import suggest_around
from services.social_graph.suggestions.explaining import Part, Parts, explain
from services.social_graph.suggestions.graphs import CsrGraph
from services.social_graph.suggestions.memory import free_at_once, give_back, leave_out_blas, let_go
from services.social_graph.suggestions.model import FEATURES, Model, Reranking, Source, Suggestion
from services.social_graph.suggestions.ranking import Prepared, Rows, cut_blocks, prepare, suggest_members, suggest_rows
from services.social_graph.suggestions.tuning import Tuning, tune

if TYPE_CHECKING:
    from services.social_graph.suggestions.networkx_backend import suggest


def __getattr__(name: str) -> Any:
    """Import what needs networkx, 12 MB, when it is asked for."""
    if name == "suggest":
        from services.social_graph.suggestions.networkx_backend import suggest

        return suggest
    raise AttributeError(name)


def warm_up() -> None:
    """Compile everything, or load what was compiled before, so that no member waits for it: from a second to half a minute."""
    ends = np.arange(1, 81)
    graph = CsrGraph.from_edges(np.concatenate((ends, ends)), np.concatenate((ends + 1, ends + 2)))
    model = tune(graph, seed=1).model
    prepared = prepare(graph, Model(model.a, model.b, Reranking((0.0,) * len(FEATURES), (0.0,) * len(FEATURES), 0.0)))
    cut_blocks(prepared)
    suggest_rows(prepared, 0, len(graph))
    give_back()


__all__ = [
    "FEATURES",
    "CsrGraph",
    "Model",
    "Part",
    "Parts",
    "Prepared",
    "Reranking",
    "Rows",
    "Source",
    "Suggestion",
    "Tuning",
    "cut_blocks",
    "explain",
    "free_at_once",
    "give_back",
    "leave_out_blas",
    "let_go",
    "prepare",
    "suggest",
    "suggest_around",
    "suggest_members",
    "suggest_rows",
    "tune",
    "warm_up",
]
