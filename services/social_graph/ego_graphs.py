"""Graphs around a few members, from what PostgreSQL says of their surroundings."""

import numpy as np

from services.social_graph.suggestions import CsrGraph
from services.social_graph.surroundings_store import Surroundings


def make_graph(surroundings: Surroundings) -> CsrGraph:
    """Return what is around some members as a graph, in which everybody has the number of friends of the whole network."""
    ids = np.array(sorted(surroundings.friends_counts), dtype=np.int64)
    counts = np.array([surroundings.friends_counts[account_id] for account_id in ids.tolist()], dtype=np.int32)
    sizes = [len(friends) for friends in surroundings.friends_of.values()]
    left = np.repeat(np.array(list(surroundings.friends_of), dtype=np.int64), sizes)
    right = np.array([an_id for friends in surroundings.friends_of.values() for an_id in friends], dtype=np.int64)
    return CsrGraph.from_rows(ids, np.searchsorted(ids, left), np.searchsorted(ids, right), counts)
