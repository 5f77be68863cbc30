"""Edge lists of all kinds, and how lists of suggestions are judged."""

import gzip
import json
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from benchmarks.edge_lists import UnreadableFile, of_networkx, read_graph
from benchmarks.suggestion_rankings import Rankings
from benchmarks.suggestions_quality import hide, judge, main

TRIANGLE = {
    "plain": "1 2\n2 3\n1 3\n",
    "tabs, a comment, blank lines": "# nodes: 3\n\n1\t2\n2\t3\n\n3\t1\n",
    "a header and commas": "id_1,id_2\n1,2\n2,3\n1,3\n",
    "names, weights, quotes": '"ann";"bob";0.5\n"bob";"cy";2\n"cy";"ann";1\n',
    "repeats, loops, both directions": "7 8\n8 7\n8 9\n9 7\n7 8\n9 9\n",
    "a matrix": "%%MatrixMarket matrix coordinate pattern symmetric\n% made\n3 3 3\n2 1\n3 1\n3 2\n",
}


@pytest.mark.parametrize("text", TRIANGLE.values(), ids=TRIANGLE)
@pytest.mark.parametrize("is_gzip", [False, True])
def test_an_edge_list_of_any_kind_is_read(tmp_path: Path, text: str, is_gzip: bool) -> None:
    path = tmp_path / "edges.txt"
    path.write_bytes(gzip.compress(text.encode()) if is_gzip else text.encode())
    graph = read_graph(path)
    assert (len(graph), graph.edge_count) == (3, 3)
    assert graph.account_ids.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "no friendship"),
        (b"1 2\n3\n", "line 2"),
        (b"\x80\x81\xff\n", "cannot be read"),
        (b"\x1f\x8b\x08oops", "cannot be read"),
    ],
)
def test_a_file_that_is_none_is_refused_with_a_sentence(tmp_path: Path, content: bytes, fault: str) -> None:
    path = tmp_path / "edges"
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match=fault):
        read_graph(path)
    with pytest.raises(UnreadableFile, match="cannot be read"):
        read_graph(tmp_path / "absent")


def test_a_list_is_judged_by_hand() -> None:
    best = np.array([5, 1, 7, 2, *range(100, 116)])
    assert judge(best, np.array([1, 2, 115, 900])) == (0.5, 0.75, (1 / 2 + 2 / 4) / 4)
    assert judge(best[:0], np.array([1])) == (0.0, 0.0, 0.0)


def test_rankings_are_those_of_networkx() -> None:
    graph = of_networkx(nx.les_miserables_graph())
    network = graph.to_networkx()
    members = np.arange(len(graph), dtype=np.int64)
    for u, orders in zip(members, Rankings(graph).best(members, 20), strict=True):
        account_id = int(graph.account_ids[u])
        strangers = [(account_id, v) for v in network if v != account_id and v not in network[account_id]]
        mutual = {v: len(list(nx.common_neighbors(network, account_id, v))) for _, v in strangers}
        for name, index in (
            ("resource_allocation", nx.resource_allocation_index),
            ("adamic_adar", nx.adamic_adar_index),
        ):
            scores = {v: score for _, v, score in index(network, strangers)}
            best = [scores[int(v)] for v in graph.account_ids[orders[name]]]
            assert best == pytest.approx(sorted(scores.values(), reverse=True)[:20])
        keys = [(mutual[int(v)], network.degree(int(v))) for v in graph.account_ids[orders["mastodon_order"]]]
        near = [key for key in keys if key[0]]
        assert near == sorted(((m, network.degree(v)) for v, m in mutual.items() if m), reverse=True)[:20]
        popular = [network.degree(int(v)) for v in graph.account_ids[orders["preferential_attachment"]]]
        assert popular == sorted((network.degree(v) for _, v in strangers), reverse=True)[:20]
        assert {len(order) for order in orders.values()} == {min(20, len(strangers))}


def test_hidden_friendships_are_hidden_from_both() -> None:
    graph = of_networkx(nx.les_miserables_graph())
    visible, hidden = hide(graph, 0.3, 1)
    assert visible.edge_count == graph.edge_count - round(0.3 * graph.edge_count)
    assert sum(map(len, hidden.values())) == 2 * round(0.3 * graph.edge_count)
    network = visible.to_networkx()
    ids = graph.account_ids
    assert not any(network.has_edge(int(ids[u]), int(ids[v])) for u, friends in hidden.items() for v in friends)


def test_the_whole_of_it(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(main)
    out, edges = tmp_path / "out.json", tmp_path / "ba.txt"
    edges.write_text("\n".join(f"{u} {v}" for u, v in nx.powerlaw_cluster_graph(80, 4, 0.6, seed=1).edges))
    result = CliRunner().invoke(app, [str(edges), "--hide", "0.2", "--seeds", "1", "--json", str(out)])
    assert result.exit_code == 0, result.output
    figures = json.loads(out.read_text())
    for metric in ("recall_at_10", "recall_at_20", "map_at_10"):
        for values in (figures["mean"][metric], figures["graphs"]["ba"][metric]):
            assert {"kodama", "resource_allocation", "adamic_adar", "mutual_friends", "mastodon_order"} <= set(values)
            assert all(0 <= value <= 1 for value in values.values())
    assert figures["mean"]["recall_at_10"]["kodama"] > 0
    refused = CliRunner().invoke(app, [str(tmp_path / "absent")])
    assert refused.exit_code == 2
    assert "cannot be read" in refused.output
