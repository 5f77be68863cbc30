"""What this service asks others."""

from collections.abc import Collection

from kodama.account.v1 import account_service_pb2 as pb
from kodama.account.v1 import account_service_pb2_grpc as pb_grpc

from chassis import caller
from chassis.rpc import call

LOOKUP_SECONDS = 5
BATCH_SIZE = 1000


class Accounts:
    """Asks account who exists. An error means that nothing is changed."""

    def __init__(self, stub: "pb_grpc.AccountServiceAsyncStub", signer: caller.Signer) -> None:
        self._stub = stub
        self._signer = signer

    async def find_unknown(self, account_ids: Collection[int]) -> list[int]:
        """Return those that do not exist, ascending. Raises Unavailable where account does not answer."""
        asked = sorted(set(account_ids))
        known: set[int] = set()
        for start in range(0, len(asked), BATCH_SIZE):
            request = pb.BatchGetAccountsRequest(account_ids=asked[start : start + BATCH_SIZE])
            response = await call(self._stub.BatchGetAccounts, request, self._signer, timeout_seconds=LOOKUP_SECONDS)
            known.update(account.id for account in response.accounts)
        return [account_id for account_id in asked if account_id not in known]
