"""OAuth scopes as the Mastodon API has them: which grant covers which need."""

from collections.abc import Collection

_READ = (
    *("accounts", "blocks", "bookmarks", "favourites", "filters", "follows"),
    *("lists", "mutes", "notifications", "search", "statuses"),
)
_WRITE = (
    *("accounts", "blocks", "bookmarks", "conversations", "favourites", "filters", "follows"),
    *("lists", "media", "mutes", "notifications", "reports", "statuses"),
)
_FOLLOW = frozenset(f"{verb}:{what}" for verb in ("read", "write") for what in ("blocks", "follows", "mutes"))

SCOPES = frozenset(
    {"read", "write", "follow", *(f"read:{what}" for what in _READ), *(f"write:{what}" for what in _WRITE)}
)
"""Every scope that a route can need."""


def covers(granted: Collection[str], needed: str) -> bool:
    """Tell whether a token with these scopes may do what needs that one.

    `read` covers every `read:…`, `write` every `write:…`, and the old `follow` everything about follows, blocks and mutes.
    """
    return needed in granted or needed.partition(":")[0] in granted or ("follow" in granted and needed in _FOLLOW)
