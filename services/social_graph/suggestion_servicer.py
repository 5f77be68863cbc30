"""The RPCs of SuggestionService: requests into the domain's words and back, no rules, no SQL."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import grpc
from kodama.social_graph.v1 import social_graph_pb2 as graph_pb
from kodama.social_graph.v1 import suggestion_service_pb2 as pb
from kodama.social_graph.v1 import suggestion_service_pb2_grpc as pb_grpc

from chassis import caller
from chassis.idempotency import Write, Writes, once
from chassis.rpc import Service, method_names
from services.social_graph.domain import Suggestion
from services.social_graph.explaining import Explaining
from services.social_graph.generation_store import Generation
from services.social_graph.generations import Generations
from services.social_graph.outcomes import Outcomes
from services.social_graph.suggesting import Suggesting

Context = grpc.aio.ServicerContext[Any, Any]


class SuggestionServicer(pb_grpc.SuggestionServiceServicer):
    """Translates between SuggestionService and the use cases."""

    def __init__(
        self,
        writes: Writes,
        suggesting: Suggesting,
        explaining: Explaining,
        generations: Generations,
        outcomes: Outcomes,
    ) -> None:
        self.writes = writes
        self._suggesting = suggesting
        self._explaining = explaining
        self._generations = generations
        self._outcomes = outcomes

    async def ListSuggestions(self, request: pb.ListSuggestionsRequest, context: Context) -> pb.ListSuggestionsResponse:
        """Return the best suggestions. What an operator looks at has not been shown to the member."""
        suggestions = await self._suggesting.best(request.account_id, request.limit)
        if caller.current_role.get() != caller.OPERATOR:
            self._outcomes.note_shown(request.account_id, suggestions)
        return pb.ListSuggestionsResponse(suggestions=[_suggestion(one) for one in suggestions])

    async def ExplainSuggestion(
        self, request: pb.ExplainSuggestionRequest, context: Context
    ) -> pb.ExplainSuggestionResponse:
        """Say why somebody is suggested, or why not."""
        explained = await self._explaining.explain(request.account_id, request.target_id)
        suggestion = _suggestion(explained.suggestion)
        if not explained.rank:
            suggestion.source = graph_pb.SUGGESTION_SOURCE_UNSPECIFIED
        return pb.ExplainSuggestionResponse(
            suggestion=suggestion,
            rank=explained.rank,
            obstacles=[graph_pb.Obstacle.ValueType(obstacle) for obstacle in explained.obstacles],
            score_parts=[
                graph_pb.ScorePart(name=part.name, value=part.value, contribution=part.contribution)
                for part in explained.parts
            ],
        )

    @once(pb.DismissSuggestionResponse)
    async def DismissSuggestion(
        self, request: pb.DismissSuggestionRequest, write: Write
    ) -> pb.DismissSuggestionResponse:
        """Do not suggest this member again."""
        await self._suggesting.dismiss(write, request.account_id, request.target_id)
        return pb.DismissSuggestionResponse()

    @once(pb.RestoreSuggestionResponse)
    async def RestoreSuggestion(
        self, request: pb.RestoreSuggestionRequest, write: Write
    ) -> pb.RestoreSuggestionResponse:
        """Undo a dismissal."""
        await self._suggesting.restore(write, request.account_id, request.target_id)
        return pb.RestoreSuggestionResponse()

    async def ListDismissedSuggestions(
        self, request: pb.ListDismissedSuggestionsRequest, context: Context
    ) -> pb.ListDismissedSuggestionsResponse:
        """Return a page of whom an account has dismissed."""
        page, token = await self._suggesting.dismissed(request.account_id, request.page_size, request.page_token)
        return pb.ListDismissedSuggestionsResponse(
            dismissed_suggestions=[
                graph_pb.DismissedSuggestion(
                    account_id=one.account_id,
                    created_at_ms=_to_ms(one.created_at),
                    expires_at_ms=_to_ms(one.expires_at),
                )
                for one in page
            ],
            next_page_token=token,
        )

    async def RefreshSuggestions(
        self, request: pb.RefreshSuggestionsRequest, context: Context
    ) -> pb.RefreshSuggestionsResponse:
        """Have everybody's suggestions computed."""
        generation, is_new = await self._generations.request()
        return pb.RefreshSuggestionsResponse(
            members=generation.members, blocks=generation.blocks, generation_id=generation.id, is_new=is_new
        )

    async def CancelSuggestions(
        self, request: pb.CancelSuggestionsRequest, context: Context
    ) -> pb.CancelSuggestionsResponse:
        """Stop that."""
        return pb.CancelSuggestionsResponse(generation_id=await self._generations.cancel())

    async def GetSuggestionProgress(
        self, request: pb.GetSuggestionProgressRequest, context: Context
    ) -> pb.GetSuggestionProgressResponse:
        """Tell how far it is."""
        progress = await self._generations.progress()
        return pb.GetSuggestionProgressResponse(
            open_tasks=progress.open_tasks,
            members=progress.members,
            members_computed=progress.members_computed,
            current=_generation(progress.current) if progress.current else None,
            latest=_generation(progress.latest) if progress.latest else None,
            refreshed_members=progress.refreshed_members,
            outcomes=[
                graph_pb.SuggestionOutcome(
                    source=graph_pb.SuggestionSource.ValueType(one.source),
                    rank=one.rank,
                    shown=one.shown,
                    sent=one.sent,
                    accepted=one.accepted,
                )
                for one in progress.outcomes
            ],
        )

    async def ExportSuggestions(
        self, request: pb.ExportSuggestionsRequest, context: Context
    ) -> AsyncIterator[pb.ExportSuggestionsResponse]:
        """Stream what is stored."""
        async for group in self._generations.export():
            yield pb.ExportSuggestionsResponse(
                members=[
                    pb.MemberSuggestions(
                        account_id=stored.account_id,
                        suggested_ids=stored.suggested_ids,
                        scores=stored.scores,
                        sources=[graph_pb.SuggestionSource.ValueType(source) for source in stored.sources],
                    )
                    for stored in group
                ]
            )


def _suggestion(suggestion: Suggestion) -> graph_pb.Suggestion:
    return graph_pb.Suggestion(
        account_id=suggestion.account_id,
        score=suggestion.score,
        mutual_friends_count=suggestion.mutual_friends_count,
        mutual_friend_ids=suggestion.mutual_friend_ids,
        source=graph_pb.SuggestionSource.ValueType(suggestion.source),
        hides_mutual_friends=suggestion.hides_mutual_friends,
    )


def _generation(generation: Generation) -> graph_pb.Generation:
    return graph_pb.Generation(
        id=generation.id,
        state=generation.state,
        requested_at_ms=_to_ms(generation.requested_at),
        snapshot_at_ms=_to_ms(generation.snapshot_at),
        finished_at_ms=_to_ms(generation.finished_at),
        members=generation.members,
        friendships=generation.friendships,
        blocks=generation.blocks,
        blocks_done=generation.blocks_done,
        covered_members=generation.covered_members,
        error=generation.error,
        drift=generation.drift or 0.0,
        drift_members=generation.drift_members,
        drift_at_ms=_to_ms(generation.drift_at),
        model_json=generation.model_json,
    )


def _to_ms(moment: datetime | None) -> int:
    return int(moment.timestamp() * 1000) if moment else 0


def suggestion_service(servicer: SuggestionServicer) -> Service:
    """Return the service for a server, with who may call what."""
    gateway = frozenset({caller.GATEWAY})
    operators = frozenset({caller.OPERATOR})
    return Service(
        name="kodama.social_graph.v1.SuggestionService",
        add=lambda server: pb_grpc.add_SuggestionServiceServicer_to_server(servicer, server),
        callers={
            "ListSuggestions": gateway | operators,
            "ExplainSuggestion": gateway | operators,
            "DismissSuggestion": gateway,
            "RestoreSuggestion": gateway,
            "ListDismissedSuggestions": gateway | operators,
            "RefreshSuggestions": operators,
            "CancelSuggestions": operators,
            "GetSuggestionProgress": operators,
            "ExportSuggestions": operators,
        },
        methods=method_names(pb.DESCRIPTOR.services_by_name["SuggestionService"]),
    )
