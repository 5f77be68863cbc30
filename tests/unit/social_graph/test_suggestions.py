"""Suggestions against a brute force that knows nothing of networkx's scores."""

from fractions import Fraction

import networkx as nx
import pytest

from services.social_graph.domain import Suggestion
from services.social_graph.suggestions import SCORE_DIGITS, make_graph, suggest

GRAPHS = {
    "karate": nx.karate_club_graph(),
    "les miserables": nx.convert_node_labels_to_integers(nx.les_miserables_graph()),
    "davis": nx.convert_node_labels_to_integers(nx.davis_southern_women_graph()),
    "random": nx.gnp_random_graph(80, 0.1, seed=3),
    "hubs": nx.barabasi_albert_graph(120, 4, seed=5),
    "a star": nx.star_graph(70),
}


def brute_force(network: "nx.Graph[int]", member: int) -> list[Suggestion]:
    friends = {node: set(network[node]) for node in network}
    found = []
    for other in set(network) - {member} - friends[member]:
        mutual = friends[member] & friends[other]
        if mutual:
            score = round(float(sum(Fraction(1, len(friends[friend])) for friend in mutual)), SCORE_DIGITS)
            weightiest = sorted(mutual, key=lambda friend: (len(friends[friend]), friend))[:3]
            found.append(Suggestion(other, score, len(mutual), tuple(weightiest)))
    found.sort(key=lambda suggestion: (-suggestion.score, -suggestion.mutual_friends_count, suggestion.account_id))
    return found[:50]


def around(network: "nx.Graph[int]", members: list[int]) -> "nx.Graph[int]":
    """What the store reads: all friends of each friend of the members, and nobody else's."""
    return make_graph({friend: list(network[friend]) for member in members for friend in network[member]})


@pytest.mark.parametrize("name", GRAPHS)
def test_each_member_alone(name: str) -> None:
    network = GRAPHS[name]
    for member in network:
        left_out = {member: list(network[member])}
        assert suggest(around(network, [member]), left_out) == {member: brute_force(network, member)}


@pytest.mark.parametrize("name", GRAPHS)
def test_members_together(name: str) -> None:
    network = GRAPHS[name]
    for start in range(0, len(network), 17):
        members = list(network)[start : start + 17]
        suggestions = suggest(around(network, members), {member: list(network[member]) for member in members})
        assert suggestions == {member: brute_force(network, member) for member in members}


def test_the_part_around_a_member_is_smaller_than_the_network_and_has_true_degrees() -> None:
    network = GRAPHS["random"]
    part = around(network, [0])
    assert part.number_of_edges() < network.number_of_edges() / 2
    assert all(part.degree(friend) == network.degree(friend) for friend in network[0])
    two_hops = nx.ego_graph(network, 0, radius=1)  # what would be wrong: the friends without their other friends
    assert any(two_hops.degree(friend) != network.degree(friend) for friend in network[0])


def test_equal_scores_are_ordered_by_mutual_friends_then_by_id() -> None:
    # 10 through one friend of degree 2; 11 and 12 through two friends of degree 4 each.
    network = nx.Graph([(1, 2), (2, 10), (1, 3), (1, 4)])
    network.add_edges_from((hub, other) for hub in (3, 4) for other in (11, 12, 20 + hub))
    best = suggest(make_graph({friend: list(network[friend]) for friend in network[1]}), {1: list(network[1])})[1]
    assert [(suggestion.account_id, suggestion.score) for suggestion in best[:3]] == [(11, 0.5), (12, 0.5), (10, 0.5)]


def test_at_most_fifty_and_nobody_without_friends() -> None:
    star = GRAPHS["a star"]
    [best] = suggest(around(star, [1]), {1: [0]}).values()
    assert [suggestion.account_id for suggestion in best] == list(range(2, 52))
    assert suggest(make_graph({}), {1: []}) == {1: []}


def test_whom_to_leave_out_is_left_out() -> None:
    network = nx.path_graph(4)
    assert suggest(around(network, [0]), {0: [1, 2]}) == {0: []}
