"""What this service asks others."""

from collections.abc import Collection
from dataclasses import dataclass

from kodama.account.v1 import account_pb2
from kodama.account.v1 import account_service_pb2 as pb
from kodama.account.v1 import account_service_pb2_grpc as pb_grpc

from chassis import caller
from chassis.rpc import call

LOOKUP_SECONDS = 5
BATCH_SIZE = 1000


@dataclass(frozen=True)
class Standing:
    """What a member wants others to know of them."""

    is_discoverable: bool
    """They may be suggested to others."""
    hides_friends: bool


class Accounts:
    """Asks account who exists, and whose list of friends is open. An error means that nothing is changed, and nothing shown."""

    def __init__(self, stub: "pb_grpc.AccountServiceAsyncStub", signer: caller.Signer) -> None:
        self._stub = stub
        self._signer = signer

    async def find_unknown(self, account_ids: Collection[int]) -> list[int]:
        """Return those that do not exist, ascending. Raises Unavailable where account does not answer."""
        known = {account.id for account in await self._get(account_ids)}
        return [account_id for account_id in sorted(set(account_ids)) if account_id not in known]

    async def stand(self, account_ids: Collection[int]) -> dict[int, Standing]:
        """Return what those that exist want others to know, by id. Raises Unavailable as above."""
        return {
            account.id: Standing(is_discoverable=account.is_discoverable, hides_friends=account.hides_friends)
            for account in await self._get(account_ids)
        }

    async def find_open(self, account_ids: Collection[int]) -> set[int]:
        """Return those that exist and let others read the list of their friends. Raises Unavailable as above."""
        return {account.id for account in await self._get(account_ids) if not account.hides_friends}

    async def _get(self, account_ids: Collection[int]) -> list[account_pb2.Account]:
        asked = sorted(set(account_ids))
        found: list[account_pb2.Account] = []
        for start in range(0, len(asked), BATCH_SIZE):
            request = pb.BatchGetAccountsRequest(account_ids=asked[start : start + BATCH_SIZE])
            response = await call(self._stub.BatchGetAccounts, request, self._signer, timeout_seconds=LOOKUP_SECONDS)
            found += response.accounts
        return found
