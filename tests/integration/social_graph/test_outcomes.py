"""What becomes of suggestions is counted: shown, asked, accepted; by source and place."""

import asyncio

import pytest
from kodama.social_graph.v1 import suggestion_service_pb2 as pb
from prometheus_client import Gauge

from chassis import caller
from chassis.database import Pool
from chassis.rpc import call
from services.social_graph import outcomes as outcomes_module
from services.social_graph import watching
from services.social_graph.domain import Source, Suggestion
from services.social_graph.outcomes import Outcomes, labels
from tests.integration.social_graph.conftest import SECONDS, Graph, Sql, Work

Counts = dict[tuple[int, int], tuple[int, int, int]]


@pytest.fixture
def outcomes(pool: Pool) -> Outcomes:
    return Outcomes(pool)


def suggest(*ids: int, source: Source = Source.FRIENDS_OF_FRIENDS) -> list[Suggestion]:
    return [Suggestion(an_id, source) for an_id in ids]


async def counts(graph: Graph) -> Counts:
    return {(one.source, one.rank): (one.shown, one.sent, one.accepted) for one in (await graph.progress()).outcomes}


async def test_from_shown_to_accepted(graph: Graph, outcomes: Outcomes) -> None:
    outcomes.note_shown(1, suggest(5, 6, 7))
    outcomes.note_shown(2, [*suggest(5), *suggest(9, source=Source.POPULAR)])
    await outcomes.flush()
    assert await counts(graph) == {(1, 1): (2, 0, 0), (1, 2): (1, 0, 0), (1, 3): (1, 0, 0), (4, 2): (1, 0, 0)}
    await graph.ask(1, 6)
    await graph.ask(1, 6)
    await graph.ask(2, 9)
    await graph.ask(1, 20)  # was not suggested
    assert (await counts(graph))[1, 2] == (1, 1, 0)
    assert (await counts(graph))[4, 2] == (1, 1, 0)
    await graph.accept(6, 1)
    await graph.accept(20, 1)
    await graph.reject(9, 2)
    assert await counts(graph) == {(1, 1): (2, 0, 0), (1, 2): (1, 1, 1), (1, 3): (1, 0, 0), (4, 2): (1, 1, 0)}


async def test_a_list_that_is_looked_at_again_counts_once_and_is_remembered_whole(
    graph: Graph, outcomes: Outcomes, sql: Sql
) -> None:
    outcomes.note_shown(1, suggest(5, 6, 7))
    outcomes.note_shown(1, suggest(5, 6, 7))
    await outcomes.flush()
    outcomes.note_shown(1, suggest(8, 5))
    await outcomes.flush()
    await outcomes.flush()
    assert await counts(graph) == {(1, 1): (2, 0, 0), (1, 2): (1, 0, 0), (1, 3): (1, 0, 0)}
    assert sql.rows("SELECT suggested_ids, ranks FROM shown_suggestions") == [([8, 5, 6, 7], [1, 2, 2, 3])]
    await graph.ask(1, 7)
    assert (await counts(graph))[1, 3] == (1, 1, 0)
    sql.run("UPDATE shown_suggestions SET shown_at = now() - interval '8 days'")
    await graph.ask(1, 6)
    assert (await counts(graph))[1, 2] == (1, 0, 0), "it was too long ago"
    outcomes.note_shown(1, suggest(*range(100, 150)))
    await outcomes.flush()
    outcomes.note_shown(1, suggest(*range(200, 230)))
    await outcomes.flush()
    [(remembered,)] = sql.rows("SELECT suggested_ids FROM shown_suggestions")
    assert remembered == [*range(200, 230), *range(100, 120)]


async def test_what_a_member_reads_is_shown_and_what_an_operator_reads_is_not(
    graph: Graph, work: Work, sql: Sql
) -> None:
    await graph.form([(1, 2), (2, 3)])
    await work.drain()
    request = pb.ListSuggestionsRequest(account_id=1)
    await call(graph.suggestions.ListSuggestions, request, graph.signer(caller.OPERATOR), timeout_seconds=SECONDS)
    await graph.suggested(3)
    async with asyncio.timeout(SECONDS):
        while not (shown := sql.rows("SELECT account_id, suggested_ids FROM shown_suggestions")):
            await asyncio.sleep(0.1)
    assert shown == [(3, [1])]


async def test_what_is_gathered_has_a_bound(outcomes: Outcomes, monkeypatch: pytest.MonkeyPatch, sql: Sql) -> None:
    monkeypatch.setattr(outcomes_module, "MAX_VIEWERS", 2)
    for viewer in (1, 2, 3, 1):
        outcomes.note_shown(viewer, suggest(9))
    await outcomes.flush()
    assert sql.rows("SELECT account_id FROM shown_suggestions ORDER BY 1") == [(1,), (2,)]


def test_places_are_told_to_prometheus_in_few_words() -> None:
    assert {labels(1, rank)[1] for rank in range(1, 51)} == {*map(str, range(1, 11)), "11-20", "21-50"}
    assert labels(2, 20) == ("nearby", "11-20")


async def test_the_gauges_say_what_is_the_case(
    graph: Graph, work: Work, pool: Pool, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.social_graph.suggestions.tuning.MAX_TRIALS", 1)
    await watching.look(pool)
    await graph.form([(a, b) for a in range(1, 13) for b in (20, 21)])
    sql.run("DELETE FROM ledger")
    await graph.request_all()
    await work.drain()
    await work.computing.refreshing.measure()
    await watching.look(pool)
    current = (await graph.progress()).current
    assert gauge(watching.coverage) == pytest.approx(current.covered_members / 14) == pytest.approx(12 / 14)
    assert 0 <= gauge(watching.generation_age) < 600
    assert gauge(watching.blocks_open) == gauge(watching.last_failed) == 0
    assert 5 <= current.drift_members <= 14
    assert gauge(watching.drift) == pytest.approx(current.drift) == pytest.approx(0, abs=0.2)
    sql.run("UPDATE suggestions SET suggested_ids = '{500}', scores = '{1}', sources = '{1}'")
    await work.computing.refreshing.measure()
    assert (await graph.progress()).current.drift == 1
    await graph.request_all()
    await work.drain("suggestions.snapshot", "suggestions.tune")
    await watching.look(pool)
    assert gauge(watching.blocks_open) == 1
    sql.run("UPDATE generations SET state = 'failed' WHERE id = 2")
    await watching.look(pool)
    assert gauge(watching.last_failed) == 1


def gauge(one: Gauge) -> float:
    [family] = one.collect()
    return float(family.samples[0].value)
