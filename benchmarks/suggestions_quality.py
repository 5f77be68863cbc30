"""How many hidden friends are found: Kodama's suggestions beside the rankings of others, on any friend graph.

A part of the friendships is hidden. Kodama tunes itself on the rest, as it does in a network, and never sees what is hidden. Then each
member who lost a friend gets a list of strangers, and it counts which of the lost friends are on it.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import networkx as nx
import numpy as np
import typer
from numpy.typing import NDArray
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from benchmarks.edge_lists import UnreadableFile, of_networkx, read_graph
from benchmarks.report import console, host_facts, write_json
from benchmarks.suggestion_rankings import Rankings
from services.social_graph.suggestions import CsrGraph, Model, Prepared, prepare, suggest_members, tune

PLACES = 20
BASELINE = "resource_allocation"
MIN_FRIENDSHIPS = 10
METRICS = ("recall_at_10", "recall_at_20", "map_at_10")
Ints = NDArray[np.int64]
Scores = dict[str, dict[str, NDArray[np.float64]]]
"""By metric and ranking: a value per member."""


def hide(graph: CsrGraph, fraction: float, seed: int) -> tuple[CsrGraph, dict[int, Ints]]:
    """Return the graph without a random part of its friendships, and each member's hidden friends, all as rows."""
    ends = np.repeat(np.arange(len(graph), dtype=np.int64), np.diff(graph.indptr))
    once = ends < graph.indices
    left, right = ends[once], graph.indices[once].astype(np.int64)
    chosen = np.random.default_rng(seed).permutation(len(left))[: max(1, round(fraction * len(left)))]
    left, right = left[chosen], right[chosen]
    owners, friends = np.concatenate((left, right)), np.concatenate((right, left))
    order = np.argsort(owners, kind="stable")
    members, starts = np.unique(owners[order], return_index=True)
    hidden = dict(zip(members.tolist(), np.split(friends[order], starts[1:]), strict=True))
    return graph.without(left, right), hidden


def judge(best: Ints, hidden: Ints) -> tuple[float, float, float]:
    """Return the recall at 10 and 20 and the average precision at 10 of a list."""
    found = np.isin(best, hidden)
    hits = found[:10]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return (
        hits.sum() / len(hidden),
        found[:20].sum() / len(hidden),
        (precision * hits).sum() / min(10, len(hidden)),
    )


def measure(
    graph: CsrGraph, fraction: float, seed: int, most: int, progress: Progress
) -> tuple[Scores, dict[str, Any]]:
    """Hide, tune, rank and judge once; return the scores, and what to know of the run."""
    visible, hidden = hide(graph, fraction, seed)
    chance = np.random.default_rng(seed)
    members = np.sort(chance.permutation(np.array(list(hidden), dtype=np.int64))[:most])
    began = time.perf_counter()
    tuning = tune(visible, seed=seed)
    seconds = time.perf_counter() - began
    lists = {
        "kodama": _kodama(prepare(visible, tuning.model), members),
        "kodama_kernel_only": _kodama(prepare(visible, Model(tuning.model.a, tuning.model.b)), members),
    }
    values: dict[str, list[tuple[float, float, float]]] = {}
    task = progress.add_task(f"seed {seed}", total=len(members))
    for i, best in enumerate(Rankings(visible).best(members, PLACES)):
        for name, ranked in {**{name: rows[i] for name, rows in lists.items()}, **best}.items():
            values.setdefault(name, []).append(judge(ranked, hidden[int(members[i])]))
        progress.advance(task)
    progress.remove_task(task)
    scores = {metric: {name: np.array(each)[:, i] for name, each in values.items()} for i, metric in enumerate(METRICS)}
    about = {
        "seed": seed,
        "members_judged": len(members),
        "members_with_hidden_friends": len(hidden),
        "hidden_friendships": sum(map(len, hidden.values())) // 2,
        "tuned": {"a": tuning.model.a, "b": tuning.model.b, "is_reranked": tuning.model.reranking is not None},
        "tuning_seconds": round(seconds, 2),
    }
    return scores, about


def _kodama(prepared: Prepared, members: Ints) -> list[Ints]:
    rows = suggest_members(prepared, members, k=PLACES, samples=0)
    places = np.searchsorted(prepared.graph.account_ids, rows.suggested)
    return [places[i, : rows.counts[i]] for i in range(len(members))]


def summary(runs: Sequence[Scores]) -> dict[str, dict[str, float]]:
    """Return the means over members, then over seeds, by metric and ranking."""
    return {
        metric: {name: float(np.mean([run[metric][name].mean() for run in runs])) for name in runs[0][metric]}
        for metric in METRICS
    }


def paired(runs: Sequence[Scores]) -> dict[str, dict[str, float]]:
    """Return, per ranking, Kodama's recall at 10 less the ranking's, member by member, and the standard error of that."""
    result = {}
    for name in runs[0]["recall_at_10"]:
        gains = np.concatenate([run["recall_at_10"]["kodama"] - run["recall_at_10"][name] for run in runs])
        result[name] = {
            "gain": float(gains.mean()),
            "standard_error": float(gains.std() / np.sqrt(max(1, len(gains) - 1))),
        }
    return result


def mean_of(graphs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the means over graphs, each counting once."""
    first = next(iter(graphs.values()))
    return {
        metric: {name: float(np.mean([graph[metric][name] for graph in graphs.values()])) for name in first[metric]}
        for metric in METRICS
    }


def over(values: Mapping[str, float], name: str) -> str:
    """Return how much more Kodama finds than a ranking does, as a percentage."""
    return f"{values['kodama'] / values[name] - 1:+.1%}" if values[name] else "–"


def table_of(metric: str, graphs: Mapping[str, Mapping[str, Any]], mean: Mapping[str, Mapping[str, float]]) -> Table:
    """Return a table of one metric: a row per graph, and the mean."""
    names = list(mean[metric])
    table = Table(
        "graph", *(name.replace("_", " ") for name in names), "over RA", "over Mastodon", title=metric.replace("_", " ")
    )
    for graph, values in (*((name, each[metric]) for name, each in graphs.items()), ("mean", mean[metric])):
        cells = (f"{values[name]:.3f}" for name in names)
        table.add_row(graph, *cells, over(values, BASELINE), over(values, "mastodon_order"))
    return table


def load(files: Sequence[Path]) -> dict[str, CsrGraph]:
    """Return the graphs of files, by name; without files, a real one that ships with networkx. Raises UnreadableFile."""
    if not files:
        return {"les miserables (networkx)": of_networkx(nx.les_miserables_graph())}
    graphs: dict[str, CsrGraph] = {}
    for path in files:
        graph = read_graph(path)
        if graph.edge_count < MIN_FRIENDSHIPS:
            raise UnreadableFile(f"{path}: {graph.edge_count} friendships are too few to hide some of them")
        name = path.name.removesuffix(".gz").rsplit(".", 1)[0]
        graphs[name if name not in graphs else str(path)] = graph
    return graphs


def main(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Edge lists, plain or gzip; without any, a small graph of networkx.")
    ] = None,
    hide_fraction: Annotated[
        float, typer.Option("--hide", min=0.001, max=0.9, help="The part of friendships to hide.")
    ] = 0.1,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="How many times, with other friendships hidden.")] = 2,
    members: Annotated[int, typer.Option(min=10, help="At most so many members are judged, chosen at random.")] = 5000,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write everything to this file.")] = None,
) -> None:
    """Hide friendships, suggest from the rest, count what is found."""
    try:
        loaded = load(files or [])
    except UnreadableFile as error:
        console.print(str(error), style="red")
        raise typer.Exit(2) from error
    graphs: dict[str, dict[str, Any]] = {}
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("graphs", total=len(loaded) * seeds)
        for name, graph in loaded.items():
            runs, about = [], []
            for seed in range(seeds):
                progress.update(task, description=name)
                scores, facts = measure(graph, hide_fraction, seed, members, progress)
                runs.append(scores)
                about.append(facts)
                progress.advance(task)
            size = {"members": len(graph), "friendships": graph.edge_count}
            graphs[name] = {**size, **summary(runs), "paired_gain_at_10": paired(runs), "runs": about}
    mean = mean_of(graphs)
    for metric in METRICS:
        console.print(table_of(metric, graphs, mean))
    for name, graph_figures in graphs.items():
        for run in graph_figures["runs"]:
            if run["members_judged"] < run["members_with_hidden_friends"]:
                console.print(
                    f"{name}, seed {run['seed']}: {run['members_judged']:,} of {run['members_with_hidden_friends']:,} judged."
                )
    result = {"machine": host_facts(), "hide": hide_fraction, "seeds": seeds, "graphs": graphs, "mean": mean}
    write_json(json_path, result)


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
