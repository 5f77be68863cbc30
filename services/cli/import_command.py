"""`kodama import …`."""

from pathlib import Path
from typing import Annotated

import typer

from chassis.settings import Settings
from services.cli.edge_list import EdgeListError, most_friends, read_edge_list
from services.cli.importing import ImportResult, import_friendships, prefix_of
from services.cli.network import Network
from services.cli.terminal import console, fail, on_network, progress_bars

app = typer.Typer(help="Bring in members and friendships from elsewhere.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `friendships` a subcommand, although it is the only one."""


@app.command("friendships")
def friendships(
    file: Annotated[
        Path, typer.Argument(help="An edge list as SNAP publishes them, plain or .gz.", exists=True, dir_okay=False)
    ],
    prefix: Annotated[
        str, typer.Option(help="Put before every name to make a handle; from the file's name by default.")
    ] = "",
) -> None:
    """Import an edge list: one friendship per line, two member numbers or names. Creates members as needed.

    Running it again changes nothing. The whole file is checked before anything is imported.
    """
    try:
        edges = read_edge_list(file)
    except (EdgeListError, OSError) as error:
        fail(str(error))
    name, friends = most_friends(edges)

    async def work(network: Network, settings: Settings) -> ImportResult:
        if friends > settings.max_friends:
            fail(f"{name} has {friends:,} friends in {file.name}; a member has at most {settings.max_friends:,}")
        with progress_bars() as progress:
            return await import_friendships(network, edges, prefix or prefix_of(file.name), progress)

    result = on_network(work, interrupted="What has been imported stays; the same command goes on from there.")
    console.print(
        f"{result.members:,} members ({result.members_created:,} new), {result.friendships:,} friendships"
        f" ({result.friendships_formed:,} new) in {result.seconds:.1f} s."
    )
    if edges.self_loops or edges.repeated:
        console.print(f"Left out: {edges.self_loops:,} self-friendships, {edges.repeated:,} repeated lines.")
