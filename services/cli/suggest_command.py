"""`kodama suggest`: compute people you might know for everybody."""

import asyncio
import time
from typing import Annotated

import typer
from kodama.social_graph.v1 import suggestion_service_pb2 as pb

from chassis.rpc import call
from chassis.settings import Settings
from services.cli.network import Network
from services.cli.terminal import console, on_network, progress_bars

POLL_SECONDS = 0.5
CALL_SECONDS = 30


def suggest(
    wait: Annotated[bool, typer.Option(help="Stay until the workers are done.")] = True,
) -> None:
    """Have the workers compute suggestions for all members, and follow them."""

    async def work(network: Network, _: Settings) -> tuple[pb.GetSuggestionProgressResponse, float]:
        started = time.monotonic()
        queued = await call(
            network.suggestions.RefreshSuggestions,
            pb.RefreshSuggestionsRequest(),
            network.signer,
            timeout_seconds=CALL_SECONDS,
        )
        console.print(f"{queued.members:,} members in {queued.blocks:,} blocks are queued.")
        with progress_bars() as progress:
            while True:
                state = await call(
                    network.suggestions.GetSuggestionProgress,
                    pb.GetSuggestionProgressRequest(),
                    network.signer,
                    timeout_seconds=CALL_SECONDS,
                )
                progress("blocks", max(queued.blocks - state.open_tasks, 0), queued.blocks)
                if state.open_tasks == 0 or not wait:
                    return state, time.monotonic() - started
                await asyncio.sleep(POLL_SECONDS)

    state, seconds = on_network(work)
    console.print(
        f"{state.members_computed:,} of {state.members:,} members with friends have suggestions"
        f" ({state.open_tasks:,} tasks open, {seconds:.1f} s)."
    )
