"""The demo network, made small, on real services; made twice, it is the same."""

import asyncio
from typing import Any

import pytest
from kodama.account.v1 import account_service_pb2 as account_pb

from chassis.errors import Unavailable
from chassis.settings import Settings
from services.cli import demo_command, patience, terminal
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


async def test_a_demo_waits_for_what_does_not_answer_yet_and_says_so_once(
    settings: Settings, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("STATUSES", "REPLIES", "FAVOURITES", "ENTRIES", "COMMENTS"):
        monkeypatch.setattr(demo_command, name, 3)
    said: list[str] = []
    monkeypatch.setattr(terminal.console, "print", lambda line, **_: said.append(line))
    async with open_network(settings) as network:
        filling = asyncio.create_task(demo_command._fill(network))
        while not said:
            assert not filling.done()
            await asyncio.sleep(0.05)
        async with running("account", "social_graph"):
            await asyncio.sleep(2)  # it is half made, and the others are not there yet
            async with running("status", "blog"):
                await filling
    assert [line for line in said if "Trying again" in line] == said[:1]
    async with open_world(settings) as world:
        assert world.query("SELECT count(*) FROM status.statuses") == [(6,)]
        assert world.query("SELECT count(*) FROM blog.blog_entries") == [(3,)]


async def test_a_demo_gives_up_where_nothing_gets_through(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_network(settings) as network:
        trying = patience.Patience(network.signer, still_seconds=1)
        with pytest.raises(Unavailable):
            await patience.call_patiently(
                network.accounts.ListAccounts, account_pb.ListAccountsRequest(page_size=1), trying
            )


async def test_what_takes_too_long_at_once_is_imported_in_parts(settings: Settings, running: Running) -> None:
    asked: list[int] = []

    async with running("account"), open_network(settings) as network:
        trying = patience.Patience(network.signer)

        async def only_few(request: account_pb.BatchImportAccountsRequest, **options: Any) -> Any:
            asked.append(len(request.accounts))
            if len(request.accounts) > 30:
                await asyncio.sleep(0)
                raise Unavailable("The database is busy; please try again in a moment.")
            return await network.accounts.BatchImportAccounts(request, **options)

        accounts = [account_pb.ImportedAccount(handle=f"m_{n}", display_name=f"m_{n}") for n in range(100)]
        answers = await patience.call_in_parts(
            only_few, accounts, lambda some: account_pb.BatchImportAccountsRequest(accounts=some), trying
        )
    assert [account.handle for answer in answers for account in answer.accounts] == [one.handle for one in accounts]
    assert asked == [100, 50, 25, 25, 50, 25, 25]
