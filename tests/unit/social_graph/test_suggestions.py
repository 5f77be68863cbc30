"""Suggestions: the kernel against plain networkx, and both against a brute force that knows nothing of either."""

import math
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.social_graph.suggestions import (
    FEATURES,
    CsrGraph,
    Model,
    Prepared,
    Reranking,
    Source,
    Suggestion,
    cut_blocks,
    explain,
    prepare,
    suggest,
    suggest_around,
    suggest_members,
    suggest_rows,
)
from services.social_graph.suggestions.tables import put_back, take_table

Network = nx.Graph
GRAPHS: dict[str, "Network[Any]"] = {
    "karate": nx.Graph(nx.karate_club_graph().edges),
    "les miserables": nx.Graph(nx.convert_node_labels_to_integers(nx.les_miserables_graph()).edges),
    "davis": nx.convert_node_labels_to_integers(nx.davis_southern_women_graph()),
    "random": nx.gnp_random_graph(80, 0.1, seed=3),
    "hubs": nx.barabasi_albert_graph(120, 4, seed=5),
    "cliques": nx.relaxed_caveman_graph(12, 8, 0.2, seed=7),
    "a tree": nx.balanced_tree(3, 4),
    "a star": nx.star_graph(70),
    "alone": nx.disjoint_union(nx.path_graph(3), nx.empty_graph(2)),
}
COUNT = len(FEATURES)
MODELS = {
    "resource allocation": Model.default(),
    "kernel": Model(0.5, 0.2),
    "re-ranked": Model(
        0.75, -0.1, Reranking(tuple((np.arange(COUNT) - 4) / 10), tuple((4 - np.arange(COUNT)) / 40), 2.5)
    ),
}
members = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
graphs = pytest.mark.parametrize("network", GRAPHS.values(), ids=GRAPHS)


@graphs
@members
def test_the_kernel_is_plain_networkx(network: "Network[Any]", model: Model) -> None:
    csr = CsrGraph.from_networkx(network)
    for k in (1, 10, 50):
        assert suggest(csr, model=model, k=k) == suggest(network, model=model, k=k)


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.tuples(st.integers(0, 25), st.integers(0, 25)).filter(lambda ends: ends[0] < ends[1]), max_size=90),
    st.sampled_from(list(MODELS.values())),
    st.integers(1, 30),
)
def test_the_kernel_is_plain_networkx_on_any_graph(edges: set[tuple[int, int]], model: Model, k: int) -> None:
    network = nx.Graph([(u * 1000 + 1, v * 1000 + 1) for u, v in edges])
    assert suggest(CsrGraph.from_networkx(network), model=model, k=k) == suggest(network, model=model, k=k)


@graphs
def test_resource_allocation_is_that_of_a_brute_force(network: "Network[Any]") -> None:
    friends = {node: set(network[node]) - {node} for node in network}
    for member, best in suggest(CsrGraph.from_networkx(network)).items():
        found = []
        for other in set(network) - {member} - friends[member]:
            mutual = friends[member] & friends[other]
            if mutual:
                score = sum(Fraction(1, len(friends[friend])) for friend in mutual)
                samples = sorted(mutual, key=lambda friend: (len(friends[friend]), friend))[:3]
                found.append((-score, -len(mutual), other, tuple(samples)))
        found.sort()
        shown = [s for s in best if s.source is Source.FRIENDS_OF_FRIENDS]
        assert [s.score for s in shown] == pytest.approx([float(-each[0]) for each in found[:50]], rel=1e-6)
        details = {each[2]: (-each[1], each[3], float(-each[0])) for each in found}
        for s in shown:
            assert (s.mutual_count, s.sample_friends) == details[s.account_id][:2]
            assert s.score == pytest.approx(details[s.account_id][2], rel=1e-6)


@graphs
@members
def test_a_list_is_as_long_as_it_can_be(network: "Network[Any]", model: Model) -> None:
    for member, best in suggest(CsrGraph.from_networkx(network), model=model, k=50).items():
        others = set(network) - {member} - set(network[member])
        ids = [suggestion.account_id for suggestion in best]
        assert len(ids) == len(set(ids)) == min(50, len(others))
        assert set(ids) <= others
        assert [s.source for s in best] == sorted(s.source for s in best)
        assert [s.score for s in best] == sorted((s.score for s in best), reverse=True)


def test_who_has_few_friends_of_friends_gets_who_is_near_then_who_is_popular() -> None:
    network = nx.path_graph(6)
    network.add_edges_from([(10, 11), (10, 12), (10, 13), (11, 12)])
    best = suggest(CsrGraph.from_networkx(network))[0]
    assert [(s.account_id, s.source) for s in best[:2]] == [(2, Source.FRIENDS_OF_FRIENDS), (3, Source.NEARBY)]
    assert {s.source for s in best[2:]} <= {Source.COMMUNITY, Source.POPULAR}
    assert {s.account_id for s in best} == {2, 3, 4, 5, 10, 11, 12, 13}


def test_a_network_of_two_has_nobody_to_suggest_and_an_empty_one_nobody_at_all() -> None:
    assert suggest(CsrGraph.from_edges([5], [7])) == {5: [], 7: []}
    empty = CsrGraph.from_edges([], [])
    assert suggest(empty) == {}
    assert cut_blocks(prepare(empty, Model.default())) == []


@pytest.mark.parametrize("wedges", [1, 50, 300, 10**9])
def test_blocks_together_are_the_whole(wedges: int) -> None:
    graph = CsrGraph.from_networkx(GRAPHS["hubs"])
    prepared = prepare(graph, MODELS["re-ranked"])
    blocks = cut_blocks(prepared, wedges)
    assert [start for start, _ in blocks] == [0, *(stop for _, stop in blocks[:-1])]
    assert blocks[-1][1] == len(graph)
    parts = [suggest_rows(prepared, start, stop) for start, stop in blocks]
    for name, whole in suggest_rows(prepared, 0, len(graph))._asdict().items():
        assert np.array_equal(np.concatenate([getattr(part, name) for part in parts]), whole), name


def test_what_does_not_fit_is_refused() -> None:
    graph = CsrGraph.from_networkx(GRAPHS["karate"])
    prepared = prepare(graph, Model.default())
    for start, stop, k in [(-1, 3, 50), (3, 2, 50), (0, 35, 50), (0, 3, 0), (0, 3, 101)]:
        with pytest.raises(ValueError, match=r"rows|suggestions"):
            suggest_rows(prepared, start, stop, k=k)
    with pytest.raises(ValueError, match="wedge"):
        cut_blocks(prepared, 0)
    with pytest.raises(ValueError, match="fit together"):
        CsrGraph.of([1, 2], [0, 1], [1])
    with pytest.raises(ValueError, match="two ends"):
        CsrGraph.from_edges([1, 2], [3])
    with pytest.raises(KeyError, match="999"):
        suggest(graph, [0, 999])
    unfit: Any
    for unfit in (nx.DiGraph([(1, 2)]), nx.Graph([("a", "b")])):
        with pytest.raises(TypeError):
            CsrGraph.from_networkx(unfit)


def around(graph: CsrGraph, ids: list[int]) -> CsrGraph:
    """What the online path reads: all friends of each of the members' friends, and everybody's number of friends."""
    network = graph.to_networkx()
    part = nx.Graph([(w, x) for u in ids for w in network[u] for x in network[w]])
    counts = {node: network.nodes[node]["friends_count"] for node in part}
    nx.set_node_attributes(part, counts, "friends_count")
    return CsrGraph.from_networkx(part)


@graphs
@members
def test_around_two_members_everything_is_as_in_the_whole_network(network: "Network[Any]", model: Model) -> None:
    graph = CsrGraph.from_networkx(network)
    whole = suggest(graph, model=model)
    for u, v in list(network.edges)[::7]:
        ego = around(graph, [u, v])
        for member, best in suggest_around(ego, [u, v], model).items():
            assert best == [s for s in whole[member] if s.source is Source.FRIENDS_OF_FRIENDS]


def test_short_lists_around_members_are_filled_with_who_is_popular() -> None:
    graph = CsrGraph.from_networkx(GRAPHS["a tree"])
    ego = around(graph, [50])
    [near] = suggest_around(ego, [50], Model.default(), popular=[50, 999, 16, 51], k=20).values()
    assert [s.account_id for s in near if s.source is Source.POPULAR] == [999]
    [filled] = suggest_around(ego, [50], prepare(graph, Model.default()), popular=[0], k=20).values()
    assert {s.source for s in filled} >= {Source.FRIENDS_OF_FRIENDS, Source.COMMUNITY}
    [stranger] = suggest_around(ego, [12345], Model.default(), popular=[7, 8], k=20).values()
    assert stranger == [Suggestion(7, 0.0, 0, (), Source.POPULAR), Suggestion(8, 0.0, 0, (), Source.POPULAR)]
    [left] = suggest_around(ego, [50], Model.default(), left_out={50: [51]}, popular=[7], k=20).values()
    assert 51 not in {s.account_id for s in left}


@members
def test_a_score_is_explained_by_its_parts(model: Model) -> None:
    network = GRAPHS["hubs"]
    graph = CsrGraph.from_networkx(network)
    for member, best in suggest(graph, list(network)[::11], model=model).items():
        for suggestion in best:
            why = explain(graph, model, member, suggestion.account_id)
            assert (why.mutual_count, why.sample_friends) == (suggestion.mutual_count, suggestion.sample_friends)
            if suggestion.source is Source.FRIENDS_OF_FRIENDS:
                assert why.score == pytest.approx(suggestion.score, rel=1e-6)
            if why.parts:
                assert math.exp(sum(part.contribution for part in why.parts)) == pytest.approx(why.score)
                assert [part.feature for part in why.parts] == list(FEATURES)


def test_also_friends_and_strangers_are_explained() -> None:
    graph = CsrGraph.from_networkx(GRAPHS["karate"])
    friends = explain(graph, MODELS["re-ranked"], 0, 1)
    assert friends.mutual_count == len(list(nx.common_neighbors(GRAPHS["karate"], 0, 1)))
    strangers = explain(graph, MODELS["re-ranked"], 11, 26)
    assert (strangers.mutual_count, strangers.score, strangers.parts) == (0, 0.0, ())
    with pytest.raises(KeyError):
        explain(graph, Model.default(), 0, 999)


@pytest.mark.parametrize("model", [*MODELS.values(), Model(1.25, 0.5), Model(0.0, -0.4)])
def test_nobody_is_left_out_by_stopping_early(model: Model) -> None:
    """Among many wedges of hubs, the fewer suggestions are wanted the earlier no new candidates are taken in."""
    network = nx.barabasi_albert_graph(600, 12, seed=4)
    csr, members = CsrGraph.from_networkx(network), list(network)[::60]
    for k in (1, 3, 20):
        assert suggest(csr, members, model=model, k=k) == suggest(network, members, model=model, k=k)


@members
def test_who_is_as_good_as_hundreds_behind_a_hub_comes_in_the_order_of_ids(model: Model) -> None:
    network = nx.star_graph(600)
    network.add_edges_from([(1, 2), (3, 2), (5, 600), (599, 600), (299, 300), (301, 300)])
    csr, members = CsrGraph.from_networkx(network), [1, 2, 3, 300, 598, 600]
    for k in (1, 20, 50):
        assert suggest(csr, members, model=model, k=k) == suggest(network, members, model=model, k=k)


@members
def test_a_large_network_gives_what_a_small_one_does(model: Model) -> None:
    """Members far from each other among many who have no friends."""
    network = nx.barabasi_albert_graph(400, 5, seed=2)
    ends = np.array(network.edges, dtype=np.int64) * 500
    large = CsrGraph.from_rows(np.arange(200_001), ends[:, 0], ends[:, 1])
    rows = np.array(sorted(network), dtype=np.int64) * 500
    found = suggest_members(Prepared(large, model, {}), rows, k=20)
    for i, (member, best) in enumerate(suggest(CsrGraph.from_networkx(network), model=model, k=20).items()):
        near = [s for s in best if s.source is Source.FRIENDS_OF_FRIENDS]
        assert found.account_ids[i] == member * 500
        assert found.suggested[i, : found.counts[i]].tolist() == [s.account_id * 500 for s in near]
        assert found.scores[i, : found.counts[i]].tolist() == [s.score for s in near]
        assert found.sample_friends[i, 0].tolist() == [friend * 500 for friend in (*near[0].sample_friends, 0, 0)[:3]]


def test_threads_that_compute_at_once_find_what_one_does() -> None:
    small, large = (prepare(CsrGraph.from_networkx(GRAPHS[name]), MODELS["re-ranked"]) for name in ("karate", "hubs"))
    works = [(prepared, start) for prepared in (small, large) for start in range(0, 30, 10)] * 5
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda work: suggest_rows(work[0], work[1], work[1] + 10), works))
    for (prepared, start), rows in zip(works, found, strict=True):
        assert np.array_equal(rows.suggested, suggest_rows(prepared, start, start + 10).suggested)


@graphs
@members
def test_what_a_member_leaves_behind_is_empty(network: "Network[Any]", model: Model) -> None:
    """Memory is used again for the next member, and for the next graph."""
    suggest(CsrGraph.from_networkx(network), model=model)
    table = take_table(len(network))
    try:
        assert not table.slots.any()
        assert not table.words.any()
    finally:
        put_back(table)
