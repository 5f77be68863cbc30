"""The demo network, made small, on real services; made twice, it is the same."""

import pytest

from chassis.settings import Settings
from services.cli import demo_command
from services.cli.network import open_network
from tests.conftest import Running
from tests.world import open_world


async def test_a_demo_is_made_once(settings: Settings, running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"STATUSES": 30, "REPLIES": 12, "FAVOURITES": 40, "ENTRIES": 4, "COMMENTS": 9}
    for name, size in sizes.items():
        monkeypatch.setattr(demo_command, name, size)
    async with running("account", "social_graph", "status", "blog"), open_network(settings) as network:
        for _ in range(2):
            await demo_command._fill(network)
    async with open_world(settings) as world:
        [(statuses, replies, counted, favourites)] = world.query(
            "SELECT count(*), count(in_reply_to_id), sum(replies_count), sum(favourites_count) FROM status.statuses"
        )
        assert (statuses, replies, counted) == (42, 12, 12)
        assert 0 < int(str(favourites)) <= 40
        assert world.query("SELECT count(*), sum(comments_count) FROM blog.blog_entries") == [(4, 9)]
