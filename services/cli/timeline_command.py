"""`kodama timeline …`: look into home timelines, verify them against the truth, push them anew, trim them."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated

import typer
from kodama.account.v1 import account_service_pb2 as account_pb
from kodama.timeline.v1 import timeline_service_pb2 as pb

from chassis.errors import NotFound
from chassis.ids import created_at_ms
from chassis.rpc import call
from chassis.settings import Settings
from services.cli.network import Network
from services.cli.terminal import console, fail, on_network, progress_bars

CALL_SECONDS = 30
PAGE = 1000
app = typer.Typer(help="Look into home timelines, verify them, push them anew, trim them.", no_args_is_help=True)

Handle = Annotated[str, typer.Argument(help="A member's handle.")]
Member = Annotated[str, typer.Option(help="Only this member, by handle.")]
Sample = Annotated[str, typer.Option(help="Only so many of all members, such as 1%.")]
PerSecond = Annotated[float, typer.Option(min=0.1, max=10_000, help="At most so many members per second.")]
AfterId = Annotated[int, typer.Option(min=0, help="Go on after this member's id, where an earlier run ended.")]


@app.command("explain")
def explain(handle: Handle) -> None:
    """Say what of a member's home timeline is pushed, pulled and open, and why."""

    async def work(network: Network, _: Settings) -> pb.ExplainHomeResponse:
        account_id = await _find(network, handle)
        request = pb.ExplainHomeRequest(account_id=account_id)
        return await call(network.timelines.ExplainHome, request, network.signer, timeout_seconds=CALL_SECONDS)

    for line in describe(on_network(work)):
        console.print(line, markup=False)


def describe(home: pb.ExplainHomeResponse) -> list[str]:
    """Return the facts as sentences."""
    lines = [f"{home.friends:,} friends."]
    if not home.has_home:
        lines.append("Has never read the home timeline: nothing is pushed, everything is pulled.")
    else:
        lines.append(f"Read it last at about {_time(home.active_at_ms)}.")
        if home.is_dormant:
            lines.append(
                "That is so long ago that nothing is pushed any more; the next read is pulled and starts it again."
            )
        elif home.is_distrusted:
            lines.append(
                "Friendships have just been imported, or much work is open: for the moment everything is pulled."
            )
        elif home.pushed_from:
            lines.append(
                f"Pushed: {home.pushed_entries:,} entries, everything since {_time(created_at_ms(home.pushed_from))}."
            )
            lines.append("Pulled: the member's own, and everything older.")
        else:
            lines.append("Pushing is just about to begin; for the moment everything is pulled.")
    if home.pulled_author_ids:
        lines.append(
            f"Pulled because they have too many friends to be pushed: {len(home.pulled_author_ids):,} authors."
        )
    if home.backfilling_author_ids:
        lines.append(
            f"Pulled until their older posts are pushed, as new friends: {len(home.backfilling_author_ids):,} authors."
        )
    lines.append(
        f"Open: {len(home.open_entry_ids):,} posts of friends are not fanned out yet; the next read has them all the same."
    )
    return lines


@app.command("verify")
def verify(
    member: Member = "",
    sample: Sample = "",
    repair: Annotated[bool, typer.Option("--repair", help="Write what is missing and delete what is stale.")] = False,
    per_second: PerSecond = 200,
    after_id: AfterId = 0,
) -> None:
    """Compare pushed entries with what a pull says that they have to be. Exit code 1 where readers miss something."""
    share = _share(sample)
    totals = {"members": 0, "expected": 0, "missing": 0, "stale": 0, "is_unfilled": 0}

    async def one(network: Network, account_id: int) -> None:
        request = pb.VerifyHomeRequest(account_id=account_id, repair=repair)
        found = await call(network.timelines.VerifyHome, request, network.signer, timeout_seconds=CALL_SECONDS)
        totals["members"] += 1
        for name in ("expected", "missing", "stale", "is_unfilled"):
            totals[name] += getattr(found, name)

    on_network(lambda network, _: _for_all(network, one, member, share, per_second, after_id))
    console.print(
        f"{totals['members']:,} members, {totals['expected']:,} entries:"
        f" {totals['missing']:,} missing, {totals['stale']:,} stale,"
        f" {totals['is_unfilled']:,} members pulled until they are filled anew{', repaired' if repair else ''}."
    )
    if totals["missing"] and not repair:
        raise typer.Exit(1)


@app.command("rebuild")
def rebuild(
    member: Member = "",
    sample: Sample = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what differs.")] = False,
    per_second: PerSecond = 50,
    after_id: AfterId = 0,
) -> None:
    """Push home timelines anew. Reads stay exact meanwhile: what is not pushed is pulled."""
    if dry_run:
        verify(member=member, sample=sample, repair=False, per_second=per_second, after_id=after_id)
        return
    count = 0

    async def one(network: Network, account_id: int) -> None:
        nonlocal count
        request = pb.RebuildHomeRequest(account_id=account_id)
        await call(network.timelines.RebuildHome, request, network.signer, timeout_seconds=CALL_SECONDS)
        count += 1

    on_network(lambda network, _: _for_all(network, one, member, _share(sample), per_second, after_id))
    console.print(f"{count:,} home timelines are pushed anew; the workers fill them within a minute (kodama ops lag).")


@app.command("trim")
def trim(keep_days: Annotated[int, typer.Option(min=7, help="Days to keep; whole weeks go.")] = 90) -> None:
    """Drop entries that are older; they are pulled from then on, so that scrolling goes on all the same."""

    async def work(network: Network, _: Settings) -> pb.TrimEntriesResponse:
        request = pb.TrimEntriesRequest(keep_days=keep_days)
        return await call(network.timelines.TrimEntries, request, network.signer, timeout_seconds=CALL_SECONDS)

    done = on_network(work)
    console.print(
        f"{done.dropped_partitions} partitions dropped; stored from {_time(created_at_ms(done.floor_id))} on."
    )


async def _for_all(
    network: Network,
    work: Callable[[Network, int], Awaitable[None]],
    handle: str,
    share: float,
    per_second: float,
    after_id: int,
) -> None:
    """Do something for one member, or for a share of all with a home, at most so many per second, with progress."""
    if handle:
        await work(network, await _find(network, handle))
        return
    chosen = [account_id async for account_id in _homes(network, after_id) if random.random() < share]  # noqa: S311 - a sample
    last = after_id
    with progress_bars() as progress:
        try:
            for done, account_id in enumerate(chosen, start=1):
                await asyncio.gather(work(network, account_id), asyncio.sleep(1 / per_second))
                last = account_id
                progress("members", done, len(chosen))
        except BaseException:
            console.print(f"Ended early; go on with --after-id {last}", markup=False)
            raise


async def _homes(network: Network, after_id: int) -> AsyncIterator[int]:
    while True:
        request = pb.ListHomesRequest(after_id=after_id, page_size=PAGE)
        page = await call(network.timelines.ListHomes, request, network.signer, timeout_seconds=CALL_SECONDS)
        for account_id in page.account_ids:
            yield account_id
        if not page.account_ids:
            return
        after_id = page.account_ids[-1]


async def _find(network: Network, handle: str) -> int:
    request = account_pb.BatchFindAccountsRequest(handles=[handle])
    found = await call(network.accounts.BatchFindAccounts, request, network.signer, timeout_seconds=CALL_SECONDS)
    if not found.accounts:
        raise NotFound(f"there is no member {handle!r}")
    return found.accounts[0].id


def _share(sample: str) -> float:
    if not sample:
        return 1.0
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]+)?%", sample) or not 0 < float(sample[:-1]) <= 100:
        fail(f"--sample is {sample!r}; it has to be a percentage such as 1%")
    return float(sample[:-1]) / 100


def _time(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
