"""Choosing a model on a network's own hidden friendships."""

from collections import Counter
from dataclasses import replace

import msgspec
import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray

from services.social_graph.suggestions import (
    FEATURES,
    CsrGraph,
    Model,
    Reranking,
    Tuning,
    hiding,
    prepare,
    suggest,
    suggest_members,
    tune,
)
from services.social_graph.suggestions.hiding import UNRANKED, Trial, describe_trial, draw, hide, rank
from services.social_graph.suggestions.learning import Lists, _evaluate, fit, rate_lists
from services.social_graph.suggestions.tuning import error_of, make_lists

NETWORK = CsrGraph.from_networkx(nx.powerlaw_cluster_graph(600, 6, 0.5, seed=2))


@pytest.fixture(scope="module")
def tuned() -> Tuning:
    return tune(NETWORK, seed=3)


def test_the_same_seed_gives_the_same_model_and_it_survives_json(tuned: Tuning) -> None:
    first, again = tuned, tune(NETWORK, seed=3)
    assert first.model == again.model
    assert msgspec.json.decode(msgspec.json.encode(first.model), type=Model) == first.model
    assert first.gain > 0
    assert not first.is_previous_kept
    assert first.figures["chosen"] > first.figures["resource_allocation"]


def test_a_good_previous_model_is_kept_and_a_bad_one_is_not(tuned: Tuning) -> None:
    good = tuned.model
    kept = tune(NETWORK, seed=5, previous=good)
    assert kept.is_previous_kept
    assert kept.model == good
    bad = Model(0.0, 2.0)
    replaced = tune(NETWORK, seed=5, previous=bad)
    assert not replaced.is_previous_kept
    assert replaced.model != bad
    assert replaced.gain > 2 * replaced.gain_error


def test_too_small_a_network_tells_nothing() -> None:
    networks: list[nx.Graph[int]] = [nx.path_graph(10), nx.Graph(nx.karate_club_graph().edges)]
    for few in networks:
        assert tune(CsrGraph.from_networkx(few), seed=1).figures == {}
    small = CsrGraph.from_networkx(nx.path_graph(10))
    assert tune(small, seed=1).model == Model.default()
    assert tune(small, seed=1, previous=Model(0.3, 0.3)).model == Model(0.3, 0.3)
    assert tune(CsrGraph.from_edges([], []), seed=1).model == Model.default()


@pytest.mark.parametrize(
    "network",
    [nx.star_graph(140), nx.complete_graph(20), nx.balanced_tree(2, 6), nx.complete_bipartite_graph(10, 12)],
    ids=["star", "complete", "tree", "bipartite"],
)
def test_where_nothing_can_be_found_it_is_resource_allocation(network: "nx.Graph[int]") -> None:
    tuning = tune(CsrGraph.from_networkx(network), seed=1)
    if tuning.figures["resource_allocation"] in (0.0, 1.0):
        assert (tuning.model.a, tuning.model.b) == (1.0, 0.0)
    assert np.isfinite([tuning.gain, tuning.gain_error]).all()


def test_what_a_member_contributes_again_tells_nothing_new() -> None:
    members, values = np.arange(50), np.random.default_rng(1).normal(size=(3, 50))
    once = error_of(values, members)
    assert once == pytest.approx(values.std(axis=1) / np.sqrt(49))
    again = error_of(np.concatenate((values, values), axis=1), np.concatenate((members, members)))
    assert again == pytest.approx(once)
    others = error_of(np.concatenate((values, values), axis=1), np.arange(100))
    assert others == pytest.approx(values.std(axis=1) / np.sqrt(99))


SPARSE: dict[str, "nx.Graph[int]"] = {
    "a tree": nx.random_labeled_tree(400, seed=1),
    "bipartite": nx.bipartite.random_graph(60, 60, 0.05, seed=1),
    "a grid": nx.convert_node_labels_to_integers(nx.grid_2d_graph(12, 12)),
    "random": nx.gnp_random_graph(60, 0.08, seed=3),
    "cliques": nx.relaxed_caveman_graph(20, 6, 0.15, seed=1),
    "in space": nx.random_geometric_graph(150, 0.11, seed=1),
    "a small world": nx.watts_strogatz_graph(120, 6, 0.2, seed=1),
    "hubs": nx.barabasi_albert_graph(150, 2, seed=1),
    "karate": nx.Graph(nx.karate_club_graph().edges),
}


@pytest.mark.parametrize("network", SPARSE.values(), ids=SPARSE)
def test_small_and_sparse_networks_find_no_less_than_by_resource_allocation(network: "nx.Graph[int]") -> None:
    """What is hidden here is hidden from the tuning too, which hides other friendships of the rest."""
    graph = CsrGraph.from_networkx(network)
    found = np.zeros(2)
    for seed in range(12):
        trial = whole(graph, hide(graph, 0.1, 10**6, 10**9, np.random.default_rng(100 + seed)))
        models = (tune(trial.graph, seed=seed).model, Model.default())
        found += [recall(trial, model) for model in models]
    assert found[0] >= 0.98 * found[1]


def whole(graph: CsrGraph, trial: Trial) -> Trial:
    """A trial of everybody who lost a friend, with all rows of the rest."""
    owners = np.repeat(trial.members, np.diff(trial.starts))
    return replace(trial, graph=graph.without(owners, trial.hidden.astype(np.int64)))


def recall(trial: Trial, model: Model) -> float:
    """The mean part of the members' hidden friends among the ten best suggestions."""
    best = suggest_members(prepare(trial.graph, model), trial.members, k=10, samples=0).suggested
    owners = np.repeat(np.arange(len(best)), np.diff(trial.starts))
    return float(trial.mean((best[owners] == trial.graph.account_ids[trial.hidden][:, None]).any(axis=1)).mean())


def test_ranks_are_the_places_in_the_lists_of_plain_networkx() -> None:
    trial = whole(NETWORK, hide(NETWORK, 0.1, 10**6, 10**9, np.random.default_rng(1)))
    ranks = rank(trial, (0.5,), (0.2,))[0, 0]
    lists = suggest(trial.graph.to_networkx(), model=Model(0.5, 0.2), k=100)
    found = 0
    for i, member in enumerate(trial.graph.account_ids[trial.members].tolist()):
        places = {s.account_id: place for place, s in enumerate(lists[member]) if s.mutual_count}
        for p in range(trial.starts[i], trial.starts[i + 1]):
            hidden = int(trial.graph.account_ids[trial.hidden[p]])
            assert hidden not in trial.graph.to_networkx()[member] if p < 3 else True
            if ranks[p] < 100:
                found += 1
                assert places[hidden] == ranks[p]
            else:
                assert hidden not in places
                assert ranks[p] <= UNRANKED
    assert found > 10


def test_candidates_without_a_chance_change_no_weights() -> None:
    """They may be a million orders of magnitude behind the best, where floats have no digits left."""
    trial = hide(NETWORK, 0.1, 300, 10**9, np.random.default_rng(3))
    lists = make_lists([trial], Model.default())
    last = lists.exists.sum(axis=1)
    room = np.flatnonzero((last > 0) & (last < lists.exists.shape[1]))
    assert len(room) > 20
    exists, features = lists.exists.copy(), lists.features.copy()
    exists[room, last[room]] = True
    features[room, last[room]] = features[room, 0]
    features[room, last[room], 0] = -1e6
    few, more = _slopes(lists), _slopes(replace(lists, exists=exists, features=features))
    for a, b in zip(few, more, strict=True):
        assert b == pytest.approx(a, rel=1e-9, abs=1e-9)


def _slopes(lists: Lists) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """The loss, gradient and Hessian of lists where no weights are given yet, unscaled."""
    telling = np.flatnonzero(lists.is_friend.any(axis=1))
    count = 2 * lists.features.shape[2]
    data = (lists.features, lists.exists, lists.is_friend, telling, lists.log_friends, np.ones(count))
    return _evaluate(*data, np.zeros(count), 1.0)


def test_slope_and_curve_are_what_the_loss_changes_by() -> None:
    lists = make_lists([hide(NETWORK, 0.1, 200, 10**9, np.random.default_rng(3))], Model(0.5, 0.1))
    telling = np.flatnonzero(lists.is_friend.any(axis=1))
    count = 2 * lists.features.shape[2]
    chance = np.random.default_rng(1)
    scale, weights = chance.uniform(0.5, 2, count), chance.normal(0, 0.1, count)
    data = (lists.features, lists.exists, lists.is_friend, telling, lists.log_friends, scale)
    _, slope, curve = _evaluate(*data, weights, 2.0)
    assert np.array_equal(curve, curve.T)
    for f in range(count):
        step = np.eye(count)[f] * 1e-4
        more, less = (_evaluate(*data, weights + sign * step, 2.0) for sign in (1, -1))
        assert slope[f] == pytest.approx((more[0] - less[0]) / 2e-4, rel=1e-4, abs=1e-5)
        assert curve[f] == pytest.approx((more[1] - less[1]) / 2e-4, rel=1e-4, abs=1e-4)


def test_a_model_of_before_has_no_weight_for_later_features() -> None:
    stored = b'{"a":0.5,"b":0.1,"reranking":{"plain":[0.1,0.2],"by_friends":[0.3,0.4],"centre":1.5},"version":1}'
    reranking = msgspec.json.decode(stored, type=Model).reranking
    assert reranking is not None
    assert reranking.plain == (0.1, 0.2, *(0.0,) * (len(FEATURES) - 2))
    assert reranking.by_friends == (0.3, 0.4, *(0.0,) * (len(FEATURES) - 2))
    too_many = (0.0,) * (len(FEATURES) + 1)
    with pytest.raises(ValueError, match="features"):
        Reranking(too_many, too_many, 0.0)


def test_what_is_hidden_is_gone_from_both_sides() -> None:
    trial = hide(NETWORK, 0.2, 10**6, 10**9, np.random.default_rng(2))
    assert len(trial.hidden) == 2 * round(0.2 * NETWORK.edge_count)
    assert int(trial.graph.degrees.sum()) == 2 * NETWORK.edge_count - len(trial.hidden)
    network = trial.graph.to_networkx()
    owners = np.repeat(trial.members, np.diff(trial.starts))
    assert not any(network.has_edge(u, v) for u, v in zip(owners.tolist(), trial.hidden.tolist(), strict=True))


def test_a_trial_is_the_rest_of_the_network_as_far_as_its_members_see(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is hidden is the same with more members chosen, as these are drawn later."""
    monkeypatch.setattr(hiding, "STEP_ROWS", 7)
    everybody = whole(NETWORK, hide(NETWORK, 0.1, 10**6, 10**9, np.random.default_rng(7)))
    some = hide(NETWORK, 0.1, 3, 10**9, np.random.default_rng(7))
    rest, cut = everybody.graph, some.graph
    assert len(some.members) == 3
    assert cut.degrees.tolist() == rest.degrees.tolist() == np.diff(rest.indptr).tolist()
    seen = set(some.members.tolist())
    for u in some.members.tolist():
        seen |= set(rest.indices[rest.indptr[u] : rest.indptr[u + 1]].tolist())
    assert 3 < len(seen) < len(NETWORK)
    for u in range(len(NETWORK)):
        row = cut.indices[cut.indptr[u] : cut.indptr[u + 1]].tolist()
        assert row == (rest.indices[rest.indptr[u] : rest.indptr[u + 1]].tolist() if u in seen else [])
    ranks = rank(some, (0.5, 1.0), (-0.1, 0.3))
    assert np.array_equal(ranks, rank(replace(some, graph=rest), (0.5, 1.0), (-0.1, 0.3)))
    assert (ranks < UNRANKED).any()
    rows, features = describe_trial(some, 0.5, 0.1)
    rest_rows, rest_features = describe_trial(replace(some, graph=rest), 0.5, 0.1)
    assert np.array_equal(rows, rest_rows)
    assert np.array_equal(features, rest_features)


def test_no_more_members_are_chosen_than_have_so_many_wedges() -> None:
    everybody = whole(NETWORK, hide(NETWORK, 0.1, 10**6, 10**9, np.random.default_rng(7)))
    rest = everybody.graph.to_networkx()
    budget = 20_000
    some = hide(NETWORK, 0.1, 10**6, budget, np.random.default_rng(7))
    reach = [
        1 + sum(1 + rest.degree[friend] for friend in rest[account_id])
        for account_id in rest.nodes
        if account_id in set(some.graph.account_ids[some.members].tolist())
    ]
    assert 0.8 * budget < sum(reach) < budget


def test_exactly_so_many_friendships_are_drawn_each_as_likely_as_any_other() -> None:
    graph = CsrGraph.from_networkx(nx.barabasi_albert_graph(12, 2, seed=1))  # 20 friendships, hubs and members with few
    chance, drawn, draws = np.random.default_rng(1), 6, 20_000
    times: Counter[tuple[int, int]] = Counter()
    together: Counter[bool] = Counter()
    edges = sorted(graph.to_networkx().edges)
    for _ in range(draws):
        some = sorted(draw(graph, drawn, chance).to_networkx().edges)
        assert len(some) == drawn
        times.update(some)
        together[edges[0] in some and edges[1] in some] += 1
    assert sorted(times) == edges, "all friendships, and nothing else"
    share = drawn / len(edges)
    counts = np.array(list(times.values()))
    assert np.abs(counts - draws * share).max() < 4.5 * np.sqrt(draws * share * (1 - share))
    both = share * (drawn - 1) / (len(edges) - 1)
    assert abs(together[True] - draws * both) < 4.5 * np.sqrt(draws * both * (1 - both))


def test_what_is_drawn_is_a_graph_of_its_own_and_all_or_none_can_be() -> None:
    chance = np.random.default_rng(4)
    drawn = draw(NETWORK, 500, chance)
    left = np.repeat(np.arange(len(drawn)), np.diff(drawn.indptr))
    again = CsrGraph.from_rows(drawn.account_ids, left, drawn.indices)
    assert (drawn.indptr.tolist(), drawn.indices.tolist()) == (again.indptr.tolist(), again.indices.tolist())
    everything = draw(NETWORK, NETWORK.edge_count, chance)
    assert (everything.indptr.tolist(), everything.indices.tolist()) == (
        NETWORK.indptr.tolist(),
        NETWORK.indices.tolist(),
    )
    assert draw(NETWORK, 0, chance).edge_count == 0
    with pytest.raises(ValueError, match="cannot be drawn"):
        draw(NETWORK, NETWORK.edge_count + 1, chance)


def test_weights_are_where_the_loss_is_least() -> None:
    trial = hide(NETWORK, 0.1, 200, 10**9, np.random.default_rng(3))
    rows, features = describe_trial(trial, 1.0, 0.0)
    hidden = [set(trial.hidden[trial.starts[i] : trial.starts[i + 1]].tolist()) for i in range(len(rows))]
    is_friend = np.array(
        [[row in friends for row in each] for each, friends in zip(rows.tolist(), hidden, strict=True)]
    )
    friends = np.log(np.maximum(1, trial.graph.degrees[trial.members]))
    lists = Lists(features, rows >= 0, is_friend, friends, np.diff(trial.starts))

    def likelihood(reranking: Reranking) -> float:
        scores = rate_lists(lists, reranking)
        logs = scores - np.log(np.exp(scores - scores.max(1, keepdims=True)).sum(1, keepdims=True))
        logs -= scores.max(1, keepdims=True)
        shares = is_friend / np.maximum(1, is_friend.sum(1, keepdims=True))
        return float((shares * np.where(is_friend, logs, 0)).sum())

    best = fit(lists, strength=1e-6)
    zero = Reranking((0.0,) * len(FEATURES), (0.0,) * len(FEATURES), best.centre)
    assert likelihood(best) > likelihood(zero)
    for f in range(len(FEATURES)):
        for change in (0.02, -0.02):
            moved = tuple(weight + change * (i == f) for i, weight in enumerate(best.plain))
            assert likelihood(Reranking(moved, best.by_friends, best.centre)) <= likelihood(best) + 1e-6
    heavy = fit(lists, strength=1e9)
    assert max(map(abs, heavy.plain)) < 1e-3
