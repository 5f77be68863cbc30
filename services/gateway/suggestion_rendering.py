"""From social_graph's messages about suggestions to the entities that clients read. Pure: no calls, no clock."""

from collections.abc import Mapping, Sequence

from kodama.social_graph.v1 import social_graph_pb2 as pb
from kodama.social_graph.v1 import suggestion_service_pb2 as suggestion_pb

from services.gateway.entities import Account
from services.gateway.rendering import iso_time
from services.gateway.suggestion_entities import (
    DismissedSuggestion,
    Obstacle,
    ScorePart,
    Source,
    Suggestion,
    SuggestionReason,
)

SOURCES: Mapping[pb.SuggestionSource.ValueType, Source] = {
    pb.SUGGESTION_SOURCE_FRIENDS_OF_FRIENDS: "friends_of_friends",
    pb.SUGGESTION_SOURCE_NEARBY: "similar_to_recently_followed",
    pb.SUGGESTION_SOURCE_COMMUNITY: "most_followed",
    pb.SUGGESTION_SOURCE_POPULAR: "most_followed",
}
OBSTACLES: Mapping[pb.Obstacle.ValueType, Obstacle] = {
    pb.OBSTACLE_FRIEND: "friend",
    pb.OBSTACLE_REQUESTED: "requested",
    pb.OBSTACLE_REQUESTED_BY: "requested_by",
    pb.OBSTACLE_BLOCKING: "blocking",
    pb.OBSTACLE_MUTING: "muting",
    pb.OBSTACLE_DISMISSED: "dismissed",
    pb.OBSTACLE_NOT_DISCOVERABLE: "not_discoverable",
    pb.OBSTACLE_NOT_AMONG_THE_BEST: "not_among_the_best",
}


def suggestion(one: pb.Suggestion, accounts: Mapping[int, Account]) -> Suggestion:
    """Return a suggestion; the accounts that it names are among these, or gone."""
    source = SOURCES[one.source]
    weight = ScorePart(name="mutual_friends", value=one.mutual_friends_count, contribution=one.score)
    return Suggestion(
        source=source,
        sources=[source],
        account=accounts[one.account_id],
        mutuals_count=one.mutual_friends_count,
        mutuals=_mutuals(one, accounts),
        mutuals_hidden=one.hides_mutual_friends,
        score_parts=[weight] if one.mutual_friends_count else [],
    )


def reason(explained: suggestion_pb.ExplainSuggestionResponse, accounts: Mapping[int, Account]) -> SuggestionReason:
    """Return why somebody is suggested or not; the accounts that it names are among these, or gone."""
    one = explained.suggestion
    return SuggestionReason(
        account=accounts[one.account_id],
        suggested=explained.rank > 0,
        rank=explained.rank or None,
        obstacles=[OBSTACLES[obstacle] for obstacle in explained.obstacles],
        sources=[SOURCES[one.source]] if one.source in SOURCES else [],
        mutuals_count=one.mutual_friends_count,
        mutuals=_mutuals(one, accounts),
        mutuals_hidden=one.hides_mutual_friends,
        score=one.score,
        score_parts=[
            ScorePart(name=part.name, value=part.value, contribution=part.contribution)
            for part in explained.score_parts
        ],
    )


def dismissed(one: pb.DismissedSuggestion, account: Account) -> DismissedSuggestion:
    """Return whom somebody does not want to see suggested."""
    return DismissedSuggestion(
        account=account,
        dismissed_at=iso_time(one.created_at_ms),
        expires_at=iso_time(one.expires_at_ms) if one.expires_at_ms else None,
    )


def _mutuals(one: pb.Suggestion, accounts: Mapping[int, Account]) -> list[Account]:
    ids: Sequence[int] = one.mutual_friend_ids
    return [accounts[an_id] for an_id in ids if an_id in accounts]
