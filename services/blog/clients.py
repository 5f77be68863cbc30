"""What this service asks others."""

from collections.abc import Sequence

from kodama.social_graph.v1 import social_graph_service_pb2 as pb
from kodama.social_graph.v1 import social_graph_service_pb2_grpc as pb_grpc

from chassis import caller
from chassis.rpc import call
from services.blog.domain import Relation

RELATE_SECONDS = 2


class SocialGraph:
    """Asks social_graph how a viewer stands to authors. Never cached; an error means that nothing is shown."""

    def __init__(self, stub: "pb_grpc.SocialGraphServiceAsyncStub", signer: caller.Signer) -> None:
        self._stub = stub
        self._signer = signer

    async def relate(
        self, viewer_id: int, author_ids: Sequence[int], *, with_friends_of_friends: bool
    ) -> dict[int, Relation]:
        """Return the relation to each author but the viewer. Raises Unavailable where social_graph does not answer."""
        others = sorted(set(author_ids) - {viewer_id})
        if not others or viewer_id == 0:
            return {}
        request = pb.RelateRequest(
            viewer_id=viewer_id, account_ids=others, with_friends_of_friends=with_friends_of_friends
        )
        response = await call(self._stub.Relate, request, self._signer, timeout_seconds=RELATE_SECONDS)
        return {
            relationship.account_id: Relation(
                is_friend=relationship.is_friend,
                is_friend_of_friend=with_friends_of_friends and relationship.is_friend_of_friend,
                is_blocked_either_way=relationship.is_blocking or relationship.is_blocked_by,
                is_muting=relationship.is_muting,
            )
            for relationship in response.relationships
        }
