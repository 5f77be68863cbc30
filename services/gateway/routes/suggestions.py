"""People you might know."""

from collections.abc import Sequence

import msgspec
from starlette.responses import Response

from services.gateway.context import Call
from services.gateway.entities import Account, Nothing, Suggestion
from services.gateway.limiting import SEARCHES
from services.gateway.parameters import Limit, NoParameters
from services.gateway.routing import Route, json_response

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


async def delete_suggestion(call: Call[NoParameters]) -> Response:
    """Never suggest this member to the caller again."""
    await call.gateway.clients.dismiss_suggestion(call.caller.account_id, call.path_id())
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
        method="DELETE",
        path="/api/v1/suggestions/{id}",
        handler=delete_suggestion,
        policy="write:accounts",
        response=Nothing,
        summary="Dismiss a suggestion",
        tag="suggestions",
    ),
)
