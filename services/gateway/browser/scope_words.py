"""What the scopes of an app mean, in words."""

from collections.abc import Mapping, Sequence

from services.gateway.browser.languages import mark

MEANINGS: Mapping[str, str] = {
    "read": mark("See everything that you see"),
    "write": mark("Post, change and delete everything for you"),
    "follow": mark("See and change your friendships, blocks and mutes"),
    "push": mark("Get your notifications sent"),
    "profile": mark("See who you are"),
    "read:accounts": mark("See accounts and profiles"),
    "read:blocks": mark("See whom you block"),
    "read:bookmarks": mark("See your bookmarks"),
    "read:favourites": mark("See your favourites"),
    "read:filters": mark("See your filters"),
    "read:follows": mark("See your friends and friend requests"),
    "read:lists": mark("See your lists"),
    "read:mutes": mark("See whom you mute"),
    "read:notifications": mark("See your notifications"),
    "read:search": mark("See what a search finds"),
    "read:statuses": mark("See your home timeline, statuses and blog entries"),
    "write:accounts": mark("Change your profile and settings"),
    "write:blocks": mark("Block and unblock"),
    "write:bookmarks": mark("Add and remove bookmarks"),
    "write:conversations": mark("Mute and delete conversations"),
    "write:favourites": mark("Add and remove favourites"),
    "write:filters": mark("Change your filters"),
    "write:follows": mark("Ask for friendship, answer requests and end friendships"),
    "write:lists": mark("Change your lists"),
    "write:media": mark("Upload pictures"),
    "write:mutes": mark("Mute and unmute"),
    "write:notifications": mark("Clear your notifications"),
    "write:reports": mark("Report others"),
    "write:statuses": mark("Post and delete statuses and blog entries"),
}
"""Scope → what it lets an app do."""


def meanings(scopes: Sequence[str]) -> list[str]:
    """Return what scopes let an app do; those that another one holds are not said twice."""
    wide = [scope for scope in scopes if ":" not in scope]
    narrow = [scope for scope in scopes if ":" in scope and scope.partition(":")[0] not in wide]
    return [MEANINGS[scope] for scope in (*wide, *narrow) if scope in MEANINGS]
