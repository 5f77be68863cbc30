from collections import Counter

import pytest

from benchmarks.fan_out import posts_for
from benchmarks.pgbench import parse_log, parse_per_second
from benchmarks.population import author_groups, regular_graph
from benchmarks.posting_load import PostingJob, check_job
from benchmarks.usage import Usage, difference, part_of

PGBENCH = """transaction type: script.sql
number of transactions actually processed: 12345
latency average = 0.800 ms
initial connection time = 12.345 ms
tps = 9876.543210 (without initial connection time)
"""


def test_everybody_has_as_many_friends() -> None:
    edges = regular_graph(20, 6, seed=1)
    friends = Counter(name for pair in edges.friendships for name in pair)
    assert set(friends.values()) == {6}
    assert set(friends) == set(edges.members)
    assert regular_graph(20, 6, seed=1) == edges


def test_authors_have_the_friends_of_their_group_and_are_no_readers() -> None:
    edges = author_groups(50, {1: 3, 10: 2}, seed=1)
    friends = Counter(author for author, _ in edges.friendships)
    assert friends == {"a1_0": 1, "a1_1": 1, "a1_2": 1, "a10_0": 10, "a10_1": 10}
    assert len(set(edges.friendships)) == len(edges.friendships)
    assert all(reader.startswith("r") for _, reader in edges.friendships)


def test_what_pgbench_says() -> None:
    assert parse_per_second(PGBENCH) == 9876.54321
    assert list(parse_log(["0 1 1500 0 1700000000 123456", "1 1 250 0 1700000000 123457"])) == [1.5, 0.25]
    with pytest.raises(ValueError, match="how fast"):
        parse_per_second("pgbench: error: everything failed")


@pytest.mark.parametrize(
    ("command", "part"),
    [
        ("python -m services.cli serve timeline", "timeline"),
        ("python -m services.cli worker timeline.live", "worker timeline.live"),
        ("python -m services.cli relay", "relay"),
        ("python -m services.cli up", "supervisor"),
        ("/usr/lib/erlang/erts/bin/beam.smp -W w", "rabbitmq"),
        ("postgres: io worker 0", "postgresql"),
        ("python -m supervisor.supervisord -c conf", "supervisor"),
    ],
)
def test_the_part_that_a_process_belongs_to(command: str, part: str) -> None:
    assert part_of(command.split()) == part


def test_what_was_used_between_two_looks() -> None:
    used = difference({"relay": Usage(1, 2, 10)}, {"relay": Usage(1, 3, 12), "gateway": Usage(1, 5, 20)})
    assert used == {"gateway": Usage(1, 5, 20), "relay": Usage(1, 1, 12)}
    assert list(used) == ["gateway", "relay"]


def test_bursts_are_bounded() -> None:
    assert [posts_for(friends) for friends in (1, 24, 130, 1000)] == [16_000, 16_000, 15_384, 2000]


@pytest.mark.parametrize(
    "job",
    [
        PostingJob([], 1, 1, 1),
        PostingJob([1], 10**9, 1, 1),
        PostingJob([1], 1, 10**6, 1),
        PostingJob([1], 1, 1, 10**4),
        PostingJob([1], 1, 1, 1, -1),
    ],
)
def test_posting_beyond_its_bounds_is_refused(job: PostingJob) -> None:
    with pytest.raises(ValueError, match="bounds"):
        check_job(job)
