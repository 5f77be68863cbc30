"""`kodama ops …`, `kodama token` and `kodama password`: what operators look at and put right."""

from typing import Annotated

import typer
from kodama.account.v1 import account_service_pb2 as account_pb
from kodama.account.v1 import oauth_service_pb2 as oauth_pb
from kodama.account.v1 import session_service_pb2 as session_pb
from kodama.ledger.v1 import ledger_service_pb2 as pb
from kodama.ledger.v1 import ledger_service_pb2_grpc as pb_grpc
from rich.table import Table

from chassis.errors import NotFound
from chassis.rpc import call
from chassis.settings import Settings
from services.cli.lag_command import lag
from services.cli.network import Network
from services.cli.terminal import console, fail, on_network

CALL_SECONDS = 10
app = typer.Typer(help="Look at the network's work and put right what failed.", no_args_is_help=True)
dead = typer.Typer(
    help="Work that was given up: look at it, have it done after all, or discard it.", no_args_is_help=True
)
app.add_typer(dead, name="dead")
app.command("lag")(lag)

Ledger = Annotated[str, typer.Argument(help="Whose ledger: social_graph, status or blog.")]
Rows = Annotated[list[int], typer.Argument(help="Ids of rows, as `kodama ops dead list` shows them.")]


Handle = Annotated[str, typer.Argument(help="A member's handle.")]


def token(handle: Handle) -> None:
    """Print a fresh access token that acts for a member, with all scopes."""

    async def work(network: Network, _: Settings) -> str:
        account_id = await _find_account(network, handle)
        issued = await call(
            network.oauth.IssueAccountToken,
            oauth_pb.IssueAccountTokenRequest(account_id=account_id),
            network.signer,
            timeout_seconds=CALL_SECONDS,
        )
        return issued.token.access_token

    typer.echo(on_network(work))


def password(handle: Handle) -> None:
    """Give a member a new password and print it: for who has lost theirs, and for demo members, who have none.

    It ends their sessions in browsers; apps stay signed in.
    """

    async def work(network: Network, _: Settings) -> str:
        account_id = await _find_account(network, handle)
        replaced = await call(
            network.sessions.ReplacePassword,
            session_pb.ReplacePasswordRequest(account_id=account_id),
            network.signer,
            timeout_seconds=CALL_SECONDS,
        )
        return replaced.password

    typer.echo(on_network(work))


async def _find_account(network: Network, handle: str) -> int:
    """Return a member's id. Raises NotFound."""
    found = await call(
        network.accounts.BatchFindAccounts,
        account_pb.BatchFindAccountsRequest(handles=[handle]),
        network.signer,
        timeout_seconds=CALL_SECONDS,
    )
    if not found.accounts:
        raise NotFound(f"there is no member {handle!r}")
    return found.accounts[0].id


@dead.command("list")
def list_dead() -> None:
    """List the oldest dead rows of every ledger, up to 100 each."""

    async def work(network: Network, _: Settings) -> list[tuple[str, pb.WorkRow]]:
        rows: list[tuple[str, pb.WorkRow]] = []
        for name, ledger in network.ledgers.items():
            answer = await call(
                ledger.ListDeadWork, pb.ListDeadWorkRequest(page_size=100), network.signer, timeout_seconds=CALL_SECONDS
            )
            rows.extend((name, row) for row in answer.rows)
        return rows

    rows = on_network(work)
    if not rows:
        console.print("No work has been given up.")
        return
    table = Table("ledger", "row", "task", "payload", "failures", "last error")
    for name, row in rows:
        table.add_row(name, str(row.id), row.task, row.payload_json, str(row.attempts), row.last_error)
    console.print(table)


@dead.command("replay")
def replay(ledger: Ledger, rows: Rows) -> None:
    """Have dead work done after all."""

    async def work(network: Network, _: Settings) -> int:
        request = pb.ReplayDeadWorkRequest(row_ids=rows)
        answer = await call(
            _ledger(network, ledger).ReplayDeadWork, request, network.signer, timeout_seconds=CALL_SECONDS
        )
        return answer.replayed

    console.print(f"{on_network(work)} rows are due again.")


@dead.command("discard")
def discard(ledger: Ledger, rows: Rows) -> None:
    """Delete dead work for good: what it would have done never happens."""

    async def work(network: Network, _: Settings) -> int:
        request = pb.DiscardDeadWorkRequest(row_ids=rows)
        answer = await call(
            _ledger(network, ledger).DiscardDeadWork, request, network.signer, timeout_seconds=CALL_SECONDS
        )
        return answer.discarded

    console.print(f"{on_network(work)} rows are gone.")


def _ledger(network: Network, name: str) -> "pb_grpc.LedgerServiceAsyncStub":
    if name not in network.ledgers:
        fail(f"there is no ledger {name!r}; there are {', '.join(network.ledgers)}")
    return network.ledgers[name]
