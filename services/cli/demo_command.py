"""`kodama demo`: a network of generated members to look around in."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from kodama.account.v1 import account_service_pb2 as account_pb
from kodama.blog.v1 import blog_entry_pb2
from kodama.blog.v1 import blog_service_pb2 as blog_pb
from kodama.status.v1 import status_service_pb2 as status_pb

from chassis.rpc import call
from chassis.settings import Settings
from services.cli.demo_texts import entry_text, status_text
from services.cli.importing import form_friendships
from services.cli.network import Network, open_network
from services.cli.terminal import console, on_network, progress_bars

if TYPE_CHECKING:
    from services.cli.demo_people import Person

STATUSES = 900
ENTRIES = 90
AT_A_TIME = 16
CALL_SECONDS = 20


def demo() -> None:
    """Fill the running network with about 300 generated members, their friendships, statuses and blogs. Idempotent."""
    on_network(lambda network, _: _fill(network))


def seed_demo(environment: Mapping[str, str]) -> None:
    """Fill a network that has just been made; for `kodama up`."""
    settings = Settings.model_validate(
        {name.removeprefix("KODAMA_").lower(): value for name, value in environment.items()}
    )

    async def run() -> None:
        opened: AbstractAsyncContextManager[Network] = open_network(settings)
        async with opened as network:
            await _fill(network)

    asyncio.run(run())


async def _fill(network: Network) -> None:
    from services.cli.demo_people import SEED, make_people  # brings networkx and faker, which nobody else here needs

    people, friendships = make_people()
    answer = await call(
        network.accounts.BatchImportAccounts,
        account_pb.BatchImportAccountsRequest(
            accounts=[
                account_pb.ImportedAccount(
                    handle=person.handle, display_name=person.display_name, note=person.note, locale=person.locale
                )
                for person in people
            ]
        ),
        network.signer,
        timeout_seconds=CALL_SECONDS,
    )
    ids = [account.id for account in answer.accounts]
    await form_friendships(network, [(ids[left], ids[right]) for left, right in friendships])
    chance = random.Random(SEED)  # noqa: S311 - a demo that is the same every time, nothing secret
    with progress_bars() as progress:
        await _in_turns(
            [_status(network, chance, people, ids, number) for number in range(STATUSES)],
            lambda done: progress("statuses", done, STATUSES),
        )
        await _in_turns(
            [_entry(network, chance, people, ids, number) for number in range(ENTRIES)],
            lambda done: progress("blog entries", done, ENTRIES),
        )
    console.print(
        f"{len(people)} demo members with {len(friendships):,} friendships, {STATUSES} statuses and {ENTRIES} blog entries."
    )


def _status(
    network: Network, chance: random.Random, people: Sequence[Person], ids: Sequence[int], number: int
) -> Callable[[], Awaitable[object]]:
    author = (
        min(int(chance.paretovariate(0.7)) - 1, len(people) - 1)
        if chance.random() < 0.3
        else chance.randrange(len(people))
    )
    text = status_text(chance, people[author].community, people[author].locale)
    request = status_pb.CreateStatusRequest(account_id=ids[author], text=text, request_id=f"demo-{number}")
    return lambda: call(network.statuses.CreateStatus, request, network.signer, timeout_seconds=CALL_SECONDS)


def _entry(
    network: Network, chance: random.Random, people: Sequence[Person], ids: Sequence[int], number: int
) -> Callable[[], Awaitable[object]]:
    author = chance.randrange(len(people))
    entry = entry_text(chance, people[author].locale)
    visibility = chance.choice((blog_entry_pb2.VISIBILITY_PUBLIC, blog_entry_pb2.VISIBILITY_FRIENDS))
    request = blog_pb.CreateBlogEntryRequest(
        account_id=ids[author], title=entry.title, text=entry.text, visibility=visibility, request_id=f"demo-{number}"
    )
    return lambda: call(network.blogs.CreateBlogEntry, request, network.signer, timeout_seconds=CALL_SECONDS)


async def _in_turns(calls: Sequence[Callable[[], Awaitable[object]]], done: Callable[[int], None]) -> None:
    for start in range(0, len(calls), AT_A_TIME):
        part = calls[start : start + AT_A_TIME]
        await asyncio.gather(*(make() for make in part))
        done(start + len(part))
