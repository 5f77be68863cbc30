"""The entities about people the caller might know: the Mastodon API's Suggestion with its reasons, and Kodama's own beside it."""

from typing import Literal

from services.gateway.entities import Account, Entity

Source = Literal["friends_of_friends", "similar_to_recently_followed", "most_followed"]
"""Those of the Mastodon API's words that fit: mutual friends; near on longer ways; known to many, in all or around the caller."""

Obstacle = Literal[
    "friend",
    "requested",
    "requested_by",
    "blocking",
    "muting",
    "dismissed",
    "not_discoverable",
    "not_among_the_best",
]


class ScorePart(Entity, kw_only=True):
    """What one thing about two members adds to a score."""

    name: str
    value: float
    contribution: float


class Suggestion(Entity, kw_only=True):
    """Somebody the caller might know, and why."""

    source: Source
    sources: list[Source]
    account: Account
    mutuals_count: int
    """How many mutual friends the caller may see."""
    mutuals: list[Account]
    """Three of them at most, those first that say most."""
    mutuals_hidden: bool
    """The member hides their friends, so that nothing is told of mutual ones."""
    score_parts: list[ScorePart]
    """What the mutual friends weigh, the fewer friends they have the more; what else decided, `why` tells."""


class SuggestionReason(Entity, kw_only=True):
    """Why somebody is suggested to the caller, or why not, as far as the caller may know."""

    account: Account
    suggested: bool
    rank: int | None
    """Place among the caller's suggestions, from 1."""
    obstacles: list[Obstacle]
    """Why the member is not suggested; none where they are."""
    sources: list[Source]
    mutuals_count: int
    mutuals: list[Account]
    mutuals_hidden: bool
    score: float
    """By what the caller may see; 0 without a mutual friend."""
    score_parts: list[ScorePart]
    """The score is e to the power of the sum of the contributions."""


class DismissedSuggestion(Entity, kw_only=True):
    """Whom the caller does not want to see suggested."""

    account: Account
    dismissed_at: str
    expires_at: str | None
    """None for good."""
