"""People you might know."""

from collections.abc import Sequence

import msgspec
from starlette.responses import Response

from services.gateway.context import Call
from services.gateway.entities import Account, Nothing
from services.gateway.limiting import SEARCHES
from services.gateway.pages import link_header
from services.gateway.parameters import Limit, NoParameters
from services.gateway.routes.accounts import FriendParameters
from services.gateway.routing import Route, json_response
from services.gateway.suggestion_entities import DismissedSuggestion, Suggestion, SuggestionReason

DEFAULT_SUGGESTIONS, MAX_SUGGESTIONS = 40, 50


class SuggestionParameters(msgspec.Struct, frozen=True, kw_only=True):
    """How many to list."""

    limit: Limit | None = None


async def _suggestions(call: Call[SuggestionParameters]) -> Sequence[Suggestion]:
    limit = min(call.params.limit or DEFAULT_SUGGESTIONS, MAX_SUGGESTIONS)
    return await call.gateway.hydration.suggestions(
        await call.gateway.clients.suggestions(call.caller.account_id, limit=limit)
    )


async def get_suggestions_v1(call: Call[SuggestionParameters]) -> Response:
    """Return whom the caller might know, without reasons, as older clients expect it."""
    return json_response([suggestion.account for suggestion in await _suggestions(call)])


async def get_suggestions_v2(call: Call[SuggestionParameters]) -> Response:
    """Return whom the caller might know, and through whom."""
    return json_response(await _suggestions(call))


async def get_suggestion_reason(call: Call[NoParameters]) -> Response:
    """Return why this member is suggested to the caller, or why not."""
    gateway = call.gateway
    explained = await gateway.clients.explain_suggestion(call.caller.account_id, call.path_id())
    return json_response(await gateway.hydration.suggestion_reason(explained))


async def get_dismissed_suggestions(call: Call[FriendParameters]) -> Response:
    """Return a page of those whom the caller has dismissed, the latest first."""
    params, gateway = call.params, call.gateway
    dismissed, next_page = await gateway.clients.dismissed_suggestions(
        call.caller.account_id, page_size=params.page_size(), page_token=params.max_id
    )
    rendered = await gateway.hydration.dismissed_suggestions(dismissed)
    return json_response(rendered, link_header(gateway.base_url, call.request, next_page=next_page))


async def delete_suggestion(call: Call[NoParameters]) -> Response:
    """Do not suggest this member to the caller again, until that is undone."""
    await call.gateway.clients.dismiss_suggestion(call.caller.account_id, call.path_id())
    return json_response(Nothing())


async def post_undo(call: Call[NoParameters]) -> Response:
    """Let a member be suggested to the caller again who was dismissed."""
    await call.gateway.clients.restore_suggestion(call.caller.account_id, call.path_id())
    return json_response(Nothing())


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/suggestions",
        handler=get_suggestions_v1,
        policy="read:accounts",
        params=SuggestionParameters,
        limits=(SEARCHES,),
        response=list[Account],
        summary="People the caller might know, without reasons",
        tag="suggestions",
    ),
    Route(
        method="GET",
        path="/api/v2/suggestions",
        handler=get_suggestions_v2,
        policy="read:accounts",
        params=SuggestionParameters,
        limits=(SEARCHES,),
        response=list[Suggestion],
        summary="People the caller might know",
        tag="suggestions",
    ),
    Route(
        method="GET",
        path="/api/v1/suggestions/dismissed",
        handler=get_dismissed_suggestions,
        policy="read:accounts",
        params=FriendParameters,
        response=list[DismissedSuggestion],
        fields={"page_token": "max_id", "page_size": "limit"},
        summary="Whom the caller does not want to see suggested",
        tag="suggestions",
    ),
    Route(
        method="GET",
        path="/api/v1/suggestions/{id}/why",
        handler=get_suggestion_reason,
        policy="read:accounts",
        limits=(SEARCHES,),
        response=SuggestionReason,
        summary="Why a member is suggested, or why not",
        tag="suggestions",
    ),
    Route(
        method="POST",
        path="/api/v1/suggestions/{id}/undo",
        handler=post_undo,
        policy="write:accounts",
        response=Nothing,
        summary="Undo the dismissal of a suggestion",
        tag="suggestions",
    ),
    Route(
        method="DELETE",
        path="/api/v1/suggestions/{id}",
        handler=delete_suggestion,
        policy="write:accounts",
        response=Nothing,
        summary="Dismiss a suggestion",
        tag="suggestions",
    ),
)
