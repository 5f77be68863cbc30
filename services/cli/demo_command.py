"""`kodama demo`: a network of generated members to look around in."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, TypeVar

from kodama.account.v1 import account_service_pb2 as account_pb
from kodama.blog.v1 import blog_entry_pb2
from kodama.blog.v1 import blog_service_pb2 as blog_pb
from kodama.blog.v1 import comment_service_pb2 as comment_pb
from kodama.blog.v1.blog_entry_pb2 import BlogEntry
from kodama.status.v1 import status_service_pb2 as status_pb
from kodama.status.v1.status_pb2 import Status

from chassis.settings import Settings
from services.cli.demo_texts import comment_text, entry_text, reply_text, status_text
from services.cli.importing import form_friendships, import_accounts
from services.cli.network import Network, open_network
from services.cli.patience import Patience, call_patiently
from services.cli.terminal import console, on_network, progress_bars

if TYPE_CHECKING:
    from services.cli.demo_people import Person

STATUSES = 900
REPLIES = 240
FAVOURITES = 900
ENTRIES = 90
COMMENTS = 180
AT_A_TIME = 16

Answer = TypeVar("Answer")


def demo() -> None:
    """Fill the running network with about 300 generated members, their friendships, statuses and blogs. Idempotent."""
    on_network(
        lambda network, _: _fill(network), interrupted="What has been made stays; kodama demo goes on from there."
    )


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
    patience = Patience(network.signer)
    accounts = [
        account_pb.ImportedAccount(
            handle=person.handle, display_name=person.display_name, note=person.note, locale=person.locale
        )
        for person in people
    ]
    ids, _ = await import_accounts(network, patience, accounts)
    await form_friendships(network, patience, [(ids[left], ids[right]) for left, right in friendships])
    chance = random.Random(SEED)  # noqa: S311 - a demo that is the same every time, nothing secret
    with progress_bars() as progress:
        posted = await _in_turns(
            [_status(network, patience, chance, people, ids, number) for number in range(STATUSES)],
            lambda done: progress("statuses", done, STATUSES),
        )
        written = await _in_turns(
            [_entry(network, patience, chance, people, ids, number) for number in range(ENTRIES)],
            lambda done: progress("blog entries", done, ENTRIES),
        )
        circle = Circle(network, patience, chance, people, ids, friendships)
        statuses = [answer.status for answer in posted]
        await _in_turns(
            [circle.reply(statuses, number) for number in range(REPLIES)],
            lambda done: progress("replies", done, REPLIES),
        )
        await _in_turns(
            [circle.favourite(statuses, number) for number in range(FAVOURITES)],
            lambda done: progress("favourites", done, FAVOURITES),
        )
        entries = [answer.blog_entry for answer in written]
        await _in_turns(
            [circle.comment(entries, number) for number in range(COMMENTS)],
            lambda done: progress("comments", done, COMMENTS),
        )
    console.print(
        f"{len(people)} demo members with {len(friendships):,} friendships, {STATUSES} statuses with {REPLIES} replies, and"
        f" {ENTRIES} blog entries with {COMMENTS} comments."
    )


class Circle:
    """What friends do with each other's statuses and blog entries."""

    def __init__(
        self,
        network: Network,
        patience: Patience,
        chance: random.Random,
        people: Sequence[Person],
        ids: Sequence[int],
        friendships: Sequence[tuple[int, int]],
    ) -> None:
        self._network = network
        self._patience = patience
        self._chance = chance
        self._people = dict(zip(ids, people, strict=True))
        self._friends: defaultdict[int, list[int]] = defaultdict(list)
        for left, right in friendships:
            self._friends[ids[left]].append(ids[right])
            self._friends[ids[right]].append(ids[left])

    def reply(self, statuses: Sequence[Status], number: int) -> Callable[[], Awaitable[object]]:
        """Let a friend of its author answer a status."""
        status = self._chance.choice(statuses)
        friend = self._friend_of(status.account_id)
        request = status_pb.CreateStatusRequest(
            account_id=friend,
            text=reply_text(self._chance, self._people[friend].locale, self._people[status.account_id].handle),
            in_reply_to_id=status.id,
            request_id=f"demo-reply-{number}",
        )
        return lambda: call_patiently(self._network.statuses.CreateStatus, request, self._patience)

    def favourite(self, statuses: Sequence[Status], number: int) -> Callable[[], Awaitable[object]]:
        """Let a friend of its author favour a status."""
        status = self._chance.choice(statuses)
        request = status_pb.FavouriteStatusRequest(
            account_id=self._friend_of(status.account_id), status_id=status.id, request_id=f"demo-favourite-{number}"
        )
        return lambda: call_patiently(self._network.statuses.FavouriteStatus, request, self._patience)

    def comment(self, entries: Sequence[BlogEntry], number: int) -> Callable[[], Awaitable[object]]:
        """Let a friend of its author comment on a blog entry."""
        entry = self._chance.choice(entries)
        friend = self._friend_of(entry.account_id)
        request = comment_pb.CreateCommentRequest(
            account_id=friend,
            blog_entry_id=entry.id,
            text=comment_text(self._chance, self._people[friend].locale),
            request_id=f"demo-comment-{number}",
        )
        return lambda: call_patiently(self._network.comments.CreateComment, request, self._patience)

    def _friend_of(self, account_id: int) -> int:
        return self._chance.choice(self._friends[account_id])


def _status(
    network: Network,
    patience: Patience,
    chance: random.Random,
    people: Sequence[Person],
    ids: Sequence[int],
    number: int,
) -> Callable[[], Awaitable[status_pb.CreateStatusResponse]]:
    author = (
        min(int(chance.paretovariate(0.7)) - 1, len(people) - 1)
        if chance.random() < 0.3
        else chance.randrange(len(people))
    )
    text = status_text(chance, people[author].community, people[author].locale)
    request = status_pb.CreateStatusRequest(account_id=ids[author], text=text, request_id=f"demo-{number}")
    return lambda: call_patiently(network.statuses.CreateStatus, request, patience)


def _entry(
    network: Network,
    patience: Patience,
    chance: random.Random,
    people: Sequence[Person],
    ids: Sequence[int],
    number: int,
) -> Callable[[], Awaitable[blog_pb.CreateBlogEntryResponse]]:
    author = chance.randrange(len(people))
    entry = entry_text(chance, people[author].locale)
    visibility = chance.choice((blog_entry_pb2.VISIBILITY_PUBLIC, blog_entry_pb2.VISIBILITY_FRIENDS))
    request = blog_pb.CreateBlogEntryRequest(
        account_id=ids[author], title=entry.title, text=entry.text, visibility=visibility, request_id=f"demo-{number}"
    )
    return lambda: call_patiently(network.blogs.CreateBlogEntry, request, patience)


async def _in_turns(calls: Sequence[Callable[[], Awaitable[Answer]]], done: Callable[[int], None]) -> list[Answer]:
    answers: list[Answer] = []
    for start in range(0, len(calls), AT_A_TIME):
        answers += await asyncio.gather(*(make() for make in calls[start : start + AT_A_TIME]))
        done(len(answers))
    return answers
