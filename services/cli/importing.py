"""`kodama import`: bring in members and friendships from elsewhere."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from kodama.account.v1 import account_service_pb2 as account_pb
from kodama.social_graph.v1 import social_graph_pb2
from kodama.social_graph.v1 import social_graph_service_pb2 as graph_pb

from services.cli.edge_list import EdgeList
from services.cli.network import Network
from services.cli.patience import Patience, call_in_parts

ACCOUNT_BATCH = 1000
FRIENDSHIP_BATCH = 10_000
Item = TypeVar("Item")
Progress = Callable[[str, int, int], None]
"""What is counted, how many are done, of how many."""


@dataclass(frozen=True)
class ImportResult:
    """What an import did."""

    members: int
    members_created: int
    friendships: int
    friendships_formed: int
    seconds: float


async def import_friendships(network: Network, edges: EdgeList, prefix: str, progress: Progress) -> ImportResult:
    """Create the members of an edge list that do not exist yet, as `<prefix><name>`, and form its friendships. Idempotent.

    Batches are committed one by one; an import that is cut off is finished by running it again.
    """
    started, patience = time.monotonic(), Patience(network.signer)
    ids: dict[str, int] = {}
    created = 0
    for batch in _batches(edges.members, ACCOUNT_BATCH):
        accounts = [
            account_pb.ImportedAccount(handle=f"{prefix}{name}", display_name=f"{prefix}{name}") for name in batch
        ]
        imported, new = await import_accounts(network, patience, accounts)
        ids.update(zip(batch, imported, strict=True))
        created += new
        progress("members", len(ids), len(edges.members))
    formed = done = 0
    for pairs in _batches(edges.friendships, FRIENDSHIP_BATCH):
        formed += await form_friendships(network, patience, [(ids[left], ids[right]) for left, right in pairs])
        done += len(pairs)
        progress("friendships", done, len(edges.friendships))
    return ImportResult(len(edges.members), created, len(edges.friendships), formed, time.monotonic() - started)


async def import_accounts(
    network: Network, patience: Patience, accounts: Sequence[account_pb.ImportedAccount]
) -> tuple[list[int], int]:
    """Create the accounts that do not exist yet; return the ids of all, in order, and how many are new."""
    answers = await call_in_parts(
        network.accounts.BatchImportAccounts,
        accounts,
        lambda some: account_pb.BatchImportAccountsRequest(accounts=some),
        patience,
    )
    return [account.id for answer in answers for account in answer.accounts], sum(one.created for one in answers)


async def form_friendships(network: Network, patience: Patience, pairs: Sequence[tuple[int, int]]) -> int:
    """Form friendships between accounts, in one transaction where the network is quick enough; return how many are new."""
    answers = await call_in_parts(
        network.graph.BatchImportFriendships,
        pairs,
        lambda some: graph_pb.BatchImportFriendshipsRequest(
            friendships=[social_graph_pb2.Friendship(account_id=left, friend_id=right) for left, right in some]
        ),
        patience,
    )
    return sum(answer.formed for answer in answers)


def prefix_of(name: str) -> str:
    """Return the handle prefix that a file's name suggests: fb_reed98.txt.gz → fb_reed98_, at most 9 characters and the dash."""
    stem = re.sub(r"[^a-z0-9_]+", "_", name.lower().split(".")[0]).strip("_")
    return f"{stem[:9].strip('_') or 'm'}_"


def _batches(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
