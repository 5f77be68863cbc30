"""`kodama suggest`: people you might know, for everybody or for one member."""

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from kodama.account.v1 import account_service_pb2 as account_pb
from kodama.social_graph.v1 import social_graph_pb2 as graph_pb
from kodama.social_graph.v1 import suggestion_service_pb2 as pb

from chassis.errors import NotFound
from chassis.rpc import call
from chassis.settings import Settings
from services.cli.network import Network
from services.cli.suggestion_export import WRITERS, export_suggestions, kind_of_file
from services.cli.suggestion_status import describe_progress, describe_suggestion
from services.cli.terminal import console, fail, on_network, progress_bars

POLL_SECONDS = 0.5
CALL_SECONDS = 30
SHOWN = 50
STEPS = ("requested", "snapshotting", "tuning")
"""What comes before the blocks, in this order."""


def suggest(
    handle: Annotated[str, typer.Argument(help="Show whom this member is shown now, and why.")] = "",
    everybody: Annotated[bool, typer.Option("--all", help="Compute everybody's anew, and follow that.")] = False,
    status: Annotated[
        bool, typer.Option("--status", help="How far that is, and how good what members see is.")
    ] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Stop it; what was computed before stays.")] = False,
    export: Annotated[
        Path | None,
        typer.Option(help=f"Write what is stored into a new file: {', '.join(WRITERS)}.", dir_okay=False),
    ] = None,
    wait: Annotated[bool, typer.Option(help="With --all: stay until it is done.")] = True,
) -> None:
    """Say whom members might know: one of --all, --status, --cancel, --export FILE, or a member's handle."""
    if sum((bool(handle), everybody, status, cancel, export is not None)) != 1:
        fail("say one of --all, --status, --cancel, --export FILE, or a member's handle")
    if everybody:
        _compute_all(wait=wait)
    elif cancel:
        _cancel()
    elif export is not None:
        _export(export)
    else:
        for line in on_network(lambda network, _: _member(network, handle) if handle else _status(network)):
            console.print(line, markup=False)


def _compute_all(*, wait: bool) -> None:
    async def work(network: Network, _: Settings) -> list[str]:
        begun = await call(
            network.suggestions.RefreshSuggestions,
            pb.RefreshSuggestionsRequest(),
            network.signer,
            timeout_seconds=CALL_SECONDS,
        )
        what = "is requested" if begun.is_new else "is at work already"
        console.print(f"Generation {begun.generation_id} {what}.", markup=False)
        if not wait:
            return []
        return describe_progress(await _follow(network, begun.generation_id))

    watched = "It goes on without being watched; kodama suggest --status shows how far it is."
    for line in on_network(work, interrupted=watched):
        console.print(line, markup=False)


async def _follow(network: Network, generation_id: int) -> pb.GetSuggestionProgressResponse:
    """Show how far a generation is until it has ended. Ends the command where that is not well."""
    with progress_bars() as show:
        while True:
            progress = await _progress(network)
            latest = progress.latest
            if latest.id != generation_id or latest.state == "done":
                return progress
            if latest.state in ("cancelled", "failed"):
                fail(f"generation {latest.id} was {latest.state}: {latest.error or 'somebody stopped it'}")
            steps = STEPS.index(latest.state) if latest.state in STEPS else len(STEPS)
            show("snapshot and model", steps, len(STEPS))
            if latest.state == "computing":
                show("blocks", latest.blocks_done, latest.blocks)
            await asyncio.sleep(POLL_SECONDS)


async def _progress(network: Network) -> pb.GetSuggestionProgressResponse:
    return await call(
        network.suggestions.GetSuggestionProgress,
        pb.GetSuggestionProgressRequest(),
        network.signer,
        timeout_seconds=CALL_SECONDS,
    )


async def _status(network: Network) -> list[str]:
    return describe_progress(await _progress(network))


def _cancel() -> None:
    async def work(network: Network, _: Settings) -> int:
        answer = await call(
            network.suggestions.CancelSuggestions,
            pb.CancelSuggestionsRequest(),
            network.signer,
            timeout_seconds=CALL_SECONDS,
        )
        return answer.generation_id

    generation_id = on_network(work)
    stopped = f"Generation {generation_id} is cancelled." if generation_id else "Nothing is at work."
    console.print(stopped, markup=False)


def _export(file: Path) -> None:
    kind = kind_of_file(file)
    if not kind:
        fail(f"the name of the file has to end with one of {', '.join(WRITERS)}")
    if file.exists():
        fail(f"{file} is there already")

    async def work(network: Network, _: Settings) -> int:
        return await export_suggestions(network, file, kind)

    started = time.monotonic()
    members = on_network(work)
    console.print(f"{members:,} members in {file} ({time.monotonic() - started:.1f} s).", markup=False)


async def _member(network: Network, handle: str) -> list[str]:
    found = await call(
        network.accounts.BatchFindAccounts,
        account_pb.BatchFindAccountsRequest(handles=[handle.removeprefix("@").lower()]),
        network.signer,
        timeout_seconds=CALL_SECONDS,
    )
    if not found.accounts:
        raise NotFound(f"there is no member {handle!r}")
    answer = await call(
        network.suggestions.ListSuggestions,
        pb.ListSuggestionsRequest(account_id=found.accounts[0].id, limit=SHOWN),
        network.signer,
        timeout_seconds=CALL_SECONDS,
    )
    handles = await _handles(network, answer.suggestions)
    if not answer.suggestions:
        return ["Nobody."]
    return [
        f"{rank:2}. {describe_suggestion(one, handles)}"
        for rank, one in enumerate(answer.suggestions, 1)
        if one.account_id in handles
    ]


async def _handles(network: Network, suggestions: Iterable[graph_pb.Suggestion]) -> dict[int, str]:
    ids = {an_id for one in suggestions for an_id in (one.account_id, *one.mutual_friend_ids)}
    named = await call(
        network.accounts.BatchGetAccounts,
        account_pb.BatchGetAccountsRequest(account_ids=sorted(ids)),
        network.signer,
        timeout_seconds=CALL_SECONDS,
    )
    return {account.id: account.handle for account in named.accounts}
