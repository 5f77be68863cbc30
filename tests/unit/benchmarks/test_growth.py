"""The parts of the growth benchmark and of that of home reads that need no server."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks.figures import Latency
from benchmarks.growth import MEMBERS, USUAL_FRIENDS, Network, Point, about, markdown, sizes
from benchmarks.growth_plot import draw
from benchmarks.home import FILLERS, GROUPS, LIGHT_FRIENDS, MAX_PUSHED_FRIENDS, Plan, homes_graph
from benchmarks.home_load import HomeJob, check_job

POINT = Point(1000, 130, 10_000, 5, 250_000, 4, 500_000, 53, 47, 120, 300, Latency(0.1, 0.2, 0.3))


def test_the_sizes_are_both_growths_once_each() -> None:
    measured = sizes(1_000_000)
    assert [members for members, friends in measured if friends == USUAL_FRIENDS] == list(MEMBERS)
    assert [friends for members, friends in measured if members == 100_000] == [10, 30, 130, 400, 1000]
    assert len(set(measured)) == len(measured) == 8
    assert max(members for members, _ in sizes(10_000)) == 10_000


def test_a_point_as_markdown() -> None:
    assert markdown([POINT]).splitlines()[-1] == (
        "| 1,000 | 130 | 10,000 | 250,000 | 4.0 | 0.50 | 53 + 47 | 120 (300) | 0.10 / 0.20 |"
    )


def test_figures_of_a_busy_machine_say_so() -> None:
    facts = {"cores": 2, "processor": "CPU", "load_average_before": 0.5}
    assert about(facts) == "2 cores (CPU), load before the run 0.5."
    assert "busy" in about({**facts, "load_average_before": 6.1})


async def test_posts_have_the_friends_of_their_size() -> None:
    network = Network(members=1000, friends=30)
    first, second = network.next_posts(64), network.next_posts(64)
    assert len({*first, *second}) == 128
    audiences = await network.arrays_of([entry.author_id for entry in await network.published(first)])
    assert len(audiences) == 64  # of the first posts
    assert {len(np.unique(audience)) for audience in audiences.values()} == {30}
    rows = await network.rows()
    assert len(np.unique(rows[:, :2], axis=0)) == len(rows) == 200 * 30


def test_the_plot_is_drawn(tmp_path: Path) -> None:
    draw([POINT], tmp_path / "growth.svg")
    assert "130 friends each" in (tmp_path / "growth.svg").read_text("utf-8")


def test_readers_have_the_friends_of_their_group_and_authors_are_light_or_heavy() -> None:
    plan = Plan(seconds=1, connections=1, friends=20, readers=12)
    friends = Counter(name for pair in homes_graph(plan).friendships for name in pair)
    assert {friends[f"{group}_{number}"] for group in GROUPS for number in range(12)} == {20}
    assert all(count <= LIGHT_FRIENDS for name, count in friends.items() if name.startswith("light_"))
    assert all(count >= FILLERS for name, count in friends.items() if name.startswith("heavy_"))
    assert LIGHT_FRIENDS <= MAX_PUSHED_FRIENDS < FILLERS


@pytest.mark.parametrize("job", [HomeJob([], 20, 1, 1, 1), HomeJob([1], 41, 1, 1, 1), HomeJob([1], 20, 1, 1000, 1)])
def test_reading_beyond_its_bounds_is_refused(job: HomeJob) -> None:
    with pytest.raises(ValueError, match="bounds"):
        check_job(job)
