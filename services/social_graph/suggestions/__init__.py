"""Who might know whom: the one place where the friend graph is a networkx graph.

Works on graphs of ids alone: no database, no tasks, no RPC. Reading order: `graphs` (the graph), `layout` (its rows in another
order), `model` (what is chosen per network), `kernel` (one pass over friends of friends), `features` and `filling`, `ranking` (from
rows to suggestions), `hiding`, `learning` and `tuning` (how the model is chosen), `around` (single members, online), `plain` (the
same in plain networkx), `explaining`, `pairs` and `networkx_backend`.
"""

import numpy as np

from services.social_graph.suggestions.around import suggest_around
from services.social_graph.suggestions.explaining import Part, Parts, explain
from services.social_graph.suggestions.graphs import CsrGraph
from services.social_graph.suggestions.model import FEATURES, Model, Reranking, Source, Suggestion
from services.social_graph.suggestions.networkx_backend import suggest
from services.social_graph.suggestions.ranking import Prepared, Rows, cut_blocks, prepare, suggest_members, suggest_rows
from services.social_graph.suggestions.tuning import Tuning, tune


def warm_up() -> None:
    """Compile everything, or load what was compiled before, so that no member waits for it: from a second to half a minute."""
    ends = np.arange(1, 41)
    graph = CsrGraph.from_edges(np.concatenate((ends, ends)), np.concatenate((ends + 1, ends + 2)))
    model = tune(graph, seed=1).model
    prepared = prepare(graph, Model(model.a, model.b, Reranking((0.0,) * len(FEATURES), (0.0,) * len(FEATURES), 0.0)))
    cut_blocks(prepared)
    suggest_rows(prepared, 0, len(graph))


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
    "prepare",
    "suggest",
    "suggest_around",
    "suggest_members",
    "suggest_rows",
    "tune",
    "warm_up",
]
