"""What this service asks others."""

from collections.abc import Collection, Sequence

from kodama.account.v1 import account_service_pb2 as account_pb
from kodama.account.v1 import account_service_pb2_grpc as account_pb_grpc
from kodama.media.v1 import media_service_pb2 as media_pb
from kodama.media.v1 import media_service_pb2_grpc as media_pb_grpc
from kodama.social_graph.v1 import social_graph_service_pb2 as pb
from kodama.social_graph.v1 import social_graph_service_pb2_grpc as pb_grpc

from chassis import caller
from chassis.rpc import call
from services.status.domain import Relation

MAX_PAIRS = 10_000
RELATE_SECONDS = 2
FIND_SECONDS = 2


RELATIONS = tuple(
    Relation(is_friend=bool(one & 1), is_blocked_either_way=bool(one & 2), is_muting=bool(one & 4)) for one in range(8)
)
"""What the sums stand for that BatchRelate answers."""


class SocialGraph:
    """Asks social_graph how a viewer stands to authors. Never cached; an error means that nothing is shown."""

    def __init__(self, stub: "pb_grpc.SocialGraphServiceAsyncStub", signer: caller.Signer) -> None:
        self._stub = stub
        self._signer = signer

    async def relate(self, viewer_id: int, author_ids: Sequence[int]) -> dict[int, Relation]:
        """Return the relation to each author but the viewer. Raises Unavailable where social_graph does not answer."""
        others = sorted(set(author_ids) - {viewer_id})
        if not others or viewer_id == 0:
            return {}
        request = pb.RelateRequest(viewer_id=viewer_id, account_ids=others)
        response = await call(self._stub.Relate, request, self._signer, timeout_seconds=RELATE_SECONDS)
        return {
            relationship.account_id: Relation(
                is_friend=relationship.is_friend,
                is_blocked_either_way=relationship.is_blocking or relationship.is_blocked_by,
                is_muting=relationship.is_muting,
            )
            for relationship in response.relationships
        }

    async def relate_pairs(self, pairs: Collection[tuple[int, int]]) -> dict[tuple[int, int], Relation]:
        """Return how viewers stand to others, by (viewer, author); nothing of oneself. Raises Unavailable as `relate`."""
        others = [pair for pair in pairs if pair[0] != pair[1] and pair[0]]
        found: dict[tuple[int, int], Relation] = {}
        for start in range(0, len(others), MAX_PAIRS):
            part = others[start : start + MAX_PAIRS]
            request = pb.BatchRelateRequest(
                viewer_ids=[viewer_id for viewer_id, _ in part], account_ids=[author_id for _, author_id in part]
            )
            response = await call(self._stub.BatchRelate, request, self._signer, timeout_seconds=RELATE_SECONDS)
            found |= {pair: RELATIONS[relation] for pair, relation in zip(part, response.relations, strict=True)}
        return found


class Accounts:
    """Asks account who the members are whom a text mentions, and what visibility authors have chosen."""

    def __init__(self, stub: "account_pb_grpc.AccountServiceAsyncStub", signer: caller.Signer) -> None:
        self._stub = stub
        self._signer = signer

    async def find(self, handles: Sequence[str]) -> dict[str, int]:
        """Return handle → id of those who exist, in the same order. Raises Unavailable where account does not answer."""
        if not handles:
            return {}
        request = account_pb.BatchFindAccountsRequest(handles=handles)
        response = await call(self._stub.BatchFindAccounts, request, self._signer, timeout_seconds=FIND_SECONDS)
        found = {account.handle: account.id for account in response.accounts}
        return {handle: found[handle] for handle in handles if handle in found}

    async def default_visibilities(self, account_ids: Collection[int]) -> dict[int, int]:
        """Return what statuses of those who exist are where they say nothing else, by account. Raises Unavailable as `find`."""
        if not account_ids:
            return {}
        request = account_pb.BatchGetDefaultVisibilitiesRequest(account_ids=account_ids)
        response = await call(
            self._stub.BatchGetDefaultVisibilities, request, self._signer, timeout_seconds=FIND_SECONDS
        )
        return dict(response.visibilities)


class Media:
    """Asks media whose a picture is."""

    def __init__(self, stub: "media_pb_grpc.MediaServiceAsyncStub", signer: caller.Signer) -> None:
        self._stub = stub
        self._signer = signer

    async def find_missing(self, account_id: int, media_ids: Sequence[int]) -> list[int]:
        """Return which of these are no pictures of the account. Raises Unavailable where media does not answer."""
        if not media_ids:
            return []
        request = media_pb.BatchGetMediaRequest(media_ids=media_ids, account_id=account_id)
        response = await call(self._stub.BatchGetMedia, request, self._signer, timeout_seconds=FIND_SECONDS)
        return sorted(set(media_ids) - {media.id for media in response.media})
