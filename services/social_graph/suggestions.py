"""Who might know whom: the one place where the friend graph is a networkx graph.

A candidate is a friend of a friend. The score is networkx's resource allocation index: every mutual friend counts for one
divided by the number of their friends, so that somebody with three friends says far more than somebody with a thousand.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from heapq import nsmallest
from itertools import chain

import networkx as nx

from services.social_graph.domain import MAX_SAMPLES, MAX_SUGGESTIONS, Suggestion

SCORE_DIGITS = 12  # a sum of fractions depends on its order in the last digits, and the order of equals must not

Graph = nx.Graph  # of account ids


def make_graph(friends_of: Mapping[int, Iterable[int]]) -> "Graph[int]":
    """Return the graph around some members: all friends of each of their friends, who are the keys.

    The degree of those friends is then the one they have in the whole network, which the score needs; that of the others is
    not, and is never looked at.
    """
    graph: Graph[int] = nx.Graph()
    graph.add_edges_from((account_id, friend_id) for account_id, ids in friends_of.items() for friend_id in ids)
    return graph


def suggest(graph: "Graph[int]", members: Mapping[int, Collection[int]]) -> dict[int, list[Suggestion]]:
    """Return the best suggestions for each member, at most 50, the best first: by score, mutual friends, then id.

    `members` maps each to whom to leave out besides themselves: all their friends. The members' neighbours in the graph must be
    there with all of their friends (`make_graph`).
    """
    return {account_id: _suggest_to(graph, account_id, left_out) for account_id, left_out in members.items()}


def _suggest_to(graph: "Graph[int]", account_id: int, left_out: Collection[int]) -> list[Suggestion]:
    if account_id not in graph:
        return []
    mutual_counts = Counter(chain.from_iterable(graph.neighbors(friend) for friend in graph.neighbors(account_id)))
    candidates = mutual_counts.keys() - {account_id, *left_out}
    scored = nx.resource_allocation_index(graph, [(account_id, candidate) for candidate in candidates])
    best = nsmallest(
        MAX_SUGGESTIONS,
        ((-round(score, SCORE_DIGITS), -mutual_counts[candidate], candidate) for _, candidate, score in scored),
    )
    friends = set(graph.neighbors(account_id))
    return [
        Suggestion(candidate, -score, -mutuals, _weightiest(graph, friends.intersection(graph.neighbors(candidate))))
        for score, mutuals, candidate in best
    ]


def _weightiest(graph: "Graph[int]", mutual_friends: Collection[int]) -> tuple[int, ...]:
    return tuple(nsmallest(MAX_SAMPLES, mutual_friends, key=lambda friend: (graph.degree(friend), friend)))
