"""Who may do what: the one table that the matrix is generated from. A route without a row here fails the tests.

It says what should be, in words of its own, and takes nothing from the code that it judges.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Viewer(Enum):
    """How who calls stands to the owner of what is called for."""

    ANONYMOUS = "anonymous"
    APP = "app"
    SELF = "self"
    FRIEND = "friend"
    FRIEND_OF_FRIEND = "friend_of_friend"
    STRANGER = "stranger"
    BLOCKER = "blocker"
    """Blocks the owner."""
    BLOCKED = "blocked"
    """Is blocked by the owner."""
    ASKING = "asking"
    """Has asked the owner for friendship."""
    ASKED = "asked"
    """Has been asked by the owner."""
    MENTIONED = "mentioned"
    """A stranger whom the owner's direct status mentions."""


V = Viewer
MEMBERS = frozenset(Viewer) - {V.ANONYMOUS, V.APP}
OUTSIDERS = frozenset({V.STRANGER, V.ASKING, V.ASKED, V.MENTIONED})
NOT_BLOCKED = OUTSIDERS | {V.SELF, V.FRIEND, V.FRIEND_OF_FRIEND}

# Kind and visibility of a post → who sees it. Blocks hide everything, either way; to somebody who is not signed in
# blocks cannot be applied.
SEES: Mapping[tuple[str, str], frozenset[Viewer]] = {
    ("status", "public"): NOT_BLOCKED | {V.ANONYMOUS},
    ("status", "unlisted"): NOT_BLOCKED | {V.ANONYMOUS},
    ("status", "private"): frozenset({V.SELF, V.FRIEND}),
    ("status", "direct"): frozenset({V.SELF, V.MENTIONED}),
    ("blog", "public"): NOT_BLOCKED | {V.ANONYMOUS},
    ("blog", "friends_of_friends"): frozenset({V.SELF, V.FRIEND, V.FRIEND_OF_FRIEND}),
    ("blog", "friends"): frozenset({V.SELF, V.FRIEND}),
    ("blog", "self"): frozenset({V.SELF}),
}
# What is not seen by a visibility of its own but found by some alone: a draft by its author, a comment that the friend made on an
# entry of the owner by those who may delete it.
FINDS: Mapping[str, frozenset[Viewer]] = {
    "draft": frozenset({V.SELF}),
    "comment": frozenset({V.SELF, V.FRIEND}),
}


@dataclass(frozen=True)
class Row:
    """What a route answers to whom it lets in."""

    targets: tuple[str, ...] = ()
    """`status` or `blog`: what the id names, in every visibility; `draft`, `comment`: one of the owner's, one on the owner's entry;
    `account`: the owner; nothing: the caller's own things."""
    code: int = 200
    only: frozenset[Viewer] | None = None
    """Who alone may; to everybody else what is meant does not exist."""
    unless: Mapping[Viewer, int] = field(default_factory=dict)
    """Other codes for some."""
    body: Mapping[str, object] = field(default_factory=dict)


OWN = Row()
MISSING_FIELDS = Row(code=422)
ACCOUNT = Row(("account",))
STATUS = Row(("status",))
POST = Row(("status", "blog"))
OWN_POST = Row(("status", "blog"), only=frozenset({V.SELF}))
BLOG = Row(("blog",))
DRAFT = Row(("draft",))
REFUSED = Row(("status", "blog"), code=422)
NOT_ONESELF: Mapping[Viewer, int] = {V.SELF: 422}
GONE = Row(code=404)

ROWS: Mapping[str, Row] = {
    # The network, apps and tokens: open to everybody; here without what they need.
    "GET /health": OWN,
    "GET /api/v1/instance": OWN,
    "GET /api/v2/instance": OWN,
    "GET /api/openapi.json": OWN,
    "GET /api/docs": OWN,
    "POST /api/v1/apps": MISSING_FIELDS,
    "GET /api/v1/apps/verify_credentials": OWN,
    "POST /oauth/token": Row(code=400),
    "POST /oauth/revoke": Row(code=400),
    "GET /.well-known/oauth-authorization-server": GONE,  # on plain http
    # Confirmation by e-mail, for whom it is not asked.
    "GET /api/v1/emails/check_confirmation": OWN,
    "POST /api/v1/emails/confirmations": Row(code=403),
    # The caller's own account.
    "POST /api/v1/accounts": MISSING_FIELDS,
    "GET /api/v1/accounts/verify_credentials": OWN,
    "PATCH /api/v1/accounts/update_credentials": OWN,
    "DELETE /api/v1/profile/avatar": OWN,
    "DELETE /api/v1/profile/header": OWN,
    "GET /api/v1/preferences": OWN,
    "GET /api/v1/markers": OWN,
    "POST /api/v1/markers": OWN,
    "GET /api/v1/notifications": OWN,
    "GET /api/v1/notifications/unread_count": OWN,
    "POST /api/v1/notifications/clear": OWN,
    "GET /api/v1/notifications/{id}": GONE,
    "POST /api/v1/notifications/{id}/dismiss": GONE,
    "GET /api/v1/timelines/home": OWN,
    "GET /api/v1/favourites": OWN,
    "GET /api/v1/suggestions": OWN,
    "GET /api/v2/suggestions": OWN,
    "DELETE /api/v1/suggestions/{id}": Row(("account",), unless=NOT_ONESELF),
    "POST /api/v1/suggestions/{id}/undo": Row(("account",), unless=NOT_ONESELF),
    "GET /api/v1/suggestions/{id}/why": Row(("account",), unless={V.SELF: 422, V.BLOCKED: 404}),
    "GET /api/v1/suggestions/dismissed": OWN,
    "GET /api/v2/search": MISSING_FIELDS,
    # Members, who can be looked up by everybody with a token.
    "GET /api/v1/accounts": OWN,
    "GET /api/v1/accounts/search": MISSING_FIELDS,
    "GET /api/v1/accounts/lookup": MISSING_FIELDS,
    "GET /api/v1/accounts/relationships": OWN,
    "GET /api/v1/accounts/familiar_followers": OWN,
    "GET /api/v1/accounts/{id}": ACCOUNT,
    "GET /api/v1/accounts/{id}/statuses": ACCOUNT,
    "GET /api/v1/accounts/{id}/blogs": ACCOUNT,
    "GET /api/v1/accounts/{id}/followers": ACCOUNT,
    "GET /api/v1/accounts/{id}/following": ACCOUNT,
    "GET /api/v1/accounts/{id}/endorsements": ACCOUNT,
    "GET /api/v1/accounts/{id}/featured_tags": ACCOUNT,
    "GET /api/v1/accounts/{id}/lists": ACCOUNT,
    # How members stand to each other. Across a block, either way, nobody is there to be asked.
    "POST /api/v1/accounts/{id}/follow": Row(("account",), unless={V.SELF: 422, V.BLOCKED: 404, V.BLOCKER: 404}),
    "POST /api/v1/accounts/{id}/unfollow": Row(("account",), unless=NOT_ONESELF),
    "POST /api/v1/accounts/{id}/remove_from_followers": Row(("account",), unless=NOT_ONESELF),
    "POST /api/v1/accounts/{id}/block": Row(("account",), unless=NOT_ONESELF),
    "POST /api/v1/accounts/{id}/unblock": Row(("account",), unless=NOT_ONESELF),
    "POST /api/v1/accounts/{id}/mute": Row(("account",), unless=NOT_ONESELF),
    "POST /api/v1/accounts/{id}/unmute": Row(("account",), unless=NOT_ONESELF),
    "GET /api/v1/follow_requests": OWN,
    "GET /api/v1/follow_requests/outgoing": OWN,
    "POST /api/v1/follow_requests/{id}/authorize": Row(("account",), only=frozenset({V.ASKED}), unless=NOT_ONESELF),
    "POST /api/v1/follow_requests/{id}/reject": Row(("account",), only=frozenset({V.ASKED}), unless=NOT_ONESELF),
    "GET /api/v1/blocks": OWN,
    "GET /api/v1/mutes": OWN,
    # Statuses and blog entries.
    "POST /api/v1/statuses": MISSING_FIELDS,
    "GET /api/v1/statuses": OWN,
    "GET /api/v1/statuses/{id}": POST,
    "DELETE /api/v1/statuses/{id}": OWN_POST,
    "PUT /api/v1/statuses/{id}": Row(("status",), only=frozenset({V.SELF}), body={"status": "edited"}),
    "GET /api/v1/statuses/{id}/context": POST,
    "GET /api/v1/statuses/{id}/source": STATUS,
    "GET /api/v1/statuses/{id}/history": STATUS,
    "POST /api/v1/statuses/{id}/favourite": STATUS,
    "POST /api/v1/statuses/{id}/unfavourite": STATUS,
    "GET /api/v1/statuses/{id}/favourited_by": STATUS,
    "GET /api/v1/statuses/{id}/reblogged_by": POST,
    **{f"POST /api/v1/statuses/{{id}}/{verb}": REFUSED for verb in ("reblog", "bookmark", "pin", "mute")},
    **{f"POST /api/v1/statuses/{{id}}/un{verb}": POST for verb in ("reblog", "bookmark", "pin", "mute")},
    "POST /api/v1/blogs": MISSING_FIELDS,
    "GET /api/v1/blogs/{id}": BLOG,
    "PUT /api/v1/blogs/{id}": Row(("blog",), only=frozenset({V.SELF}), body={"text": "edited"}),
    "DELETE /api/v1/blogs/{id}": Row(("blog",), only=frozenset({V.SELF})),
    # Drafts are their author's alone; comments are read and made by whom the entry lets in.
    "POST /api/v1/blogs/drafts": MISSING_FIELDS,
    "GET /api/v1/blogs/drafts": OWN,
    "GET /api/v1/blogs/drafts/{id}": DRAFT,
    "PUT /api/v1/blogs/drafts/{id}": Row(("draft",), body={"text": "edited"}),
    "DELETE /api/v1/blogs/drafts/{id}": DRAFT,
    "POST /api/v1/blogs/drafts/{id}/publish": DRAFT,
    "GET /api/v1/blogs/{id}/comments": BLOG,
    "POST /api/v1/blogs/{id}/comments": Row(("blog",), body={"text": "well said"}),
    "DELETE /api/v1/blogs/comments/{id}": Row(("comment",)),
    "GET /users/{handle}/blog.atom": OWN,
    # Pictures: no picture has the id that is asked for.
    "POST /api/v1/media": MISSING_FIELDS,
    "POST /api/v2/media": MISSING_FIELDS,
    "GET /api/v1/media/{id}": GONE,
    "PUT /api/v1/media/{id}": GONE,
    "GET /media/{id}/{name}": GONE,
    # Streams.
    "GET /api/v1/streaming/health": OWN,
    "GET /api/v1/streaming/user": OWN,
    "GET /api/v1/streaming/user/notification": OWN,
    # What there is none of.
    **{
        f"GET /api/v1/{path}": OWN
        for path in (
            *("announcements", "bookmarks", "conversations", "custom_emojis", "directory", "domain_blocks"),
            *("endorsements", "featured_tags", "featured_tags/suggestions", "filters", "followed_tags"),
            *("instance/activity", "instance/domain_blocks", "instance/peers", "instance/rules"),
            *("instance/translation_languages", "lists", "scheduled_statuses"),
            *("timelines/public", "timelines/tag/{hashtag}"),
            *("trends", "trends/links", "trends/statuses", "trends/tags"),
        )
    },
    "GET /api/v2/filters": OWN,
    # Pictures of members.
    "GET /avatars/{id}.svg": ACCOUNT,
    "GET /headers/{id}.svg": ACCOUNT,
}


ANYBODYS = Row()
TO_SIGN_IN = 303
"""Where a page is for members, who is not signed in is sent to sign in."""
CHANGED = Row(code=303)
OWN_ACCOUNT = frozenset({V.SELF})

PAGES: Mapping[str, Row] = {
    # Open to everybody; members go home from some.
    "GET /": CHANGED,
    "GET /sign-in": CHANGED,
    "GET /sign-up": CHANGED,
    "POST /sign-in": MISSING_FIELDS,
    "POST /sign-up": MISSING_FIELDS,
    "POST /sign-out": CHANGED,
    "GET /assets/{name}": GONE,
    "GET /auth/confirm": OWN,
    "POST /auth/confirm": GONE,
    "GET /oauth/authorize": Row(code=400),
    "POST /oauth/authorize": Row(code=400),
    "GET /@{handle}": ANYBODYS,
    "GET /@{handle}/statuses": ANYBODYS,
    "GET /@{handle}/blog": ANYBODYS,
    "GET /@{handle}/{id}": STATUS,
    "GET /@{handle}/blog/{id}": BLOG,
    # Members' own things.
    "GET /sign-up/confirmation": CHANGED,
    "POST /sign-up/confirmation": Row(code=403),  # who is confirmed waits for nothing
    "GET /home": OWN,
    "GET /home/newer": CHANGED,
    "GET /home/friends": OWN,
    "GET /live": OWN,
    "GET /friends": OWN,
    "GET /search": OWN,
    "GET /suggestions": OWN,
    "GET /notifications": OWN,
    "POST /notifications/read": MISSING_FIELDS,
    "GET /settings": CHANGED,
    **{f"GET /settings/{name}": OWN for name in ("profile", "privacy", "appearance", "apps", "password")},
    "POST /settings/profile": CHANGED,
    "POST /settings/privacy": MISSING_FIELDS,
    "POST /settings/appearance": MISSING_FIELDS,
    "POST /settings/password": MISSING_FIELDS,
    "POST /settings/apps/{id}/revoke": GONE,
    # Other members. Across a block, either way, nobody is there to be asked.
    "GET /@{handle}/friends": ANYBODYS,
    "POST /members/{id}/ask": Row(("account",), 303, unless={V.SELF: 422, V.BLOCKED: 404, V.BLOCKER: 404}),
    "POST /members/{id}/accept": Row(("account",), 303, only=frozenset({V.ASKED}), unless=NOT_ONESELF),
    "POST /members/{id}/reject": Row(("account",), 303, only=frozenset({V.ASKED}), unless=NOT_ONESELF),
    **{
        f"POST /members/{{id}}/{verb}": Row(("account",), 303, unless=NOT_ONESELF)
        for verb in ("end", "block", "unblock", "mute", "unmute")
    },
    "POST /suggestions/{id}/ask": Row(("account",), 303, unless={V.SELF: 422, V.BLOCKED: 404, V.BLOCKER: 404}),
    "POST /suggestions/{id}/dismiss": Row(("account",), 303, unless=NOT_ONESELF),
    "POST /suggestions/{id}/undo": Row(("account",), 303, unless=NOT_ONESELF),
    # Statuses and blog entries.
    "POST /statuses": MISSING_FIELDS,
    "GET /statuses/{id}": STATUS,
    "GET /statuses/{id}/reply": Row(("status",), 303),
    "POST /statuses/{id}/favourite": Row(("status",), 303),
    "POST /statuses/{id}/unfavourite": Row(("status",), 303),
    "POST /statuses/{id}/delete": Row(("status",), 303, only=OWN_ACCOUNT),
    "POST /blog/entries/{id}/comments": Row(("blog",), 422),
    "POST /blog/comments/{id}/delete": GONE,
    "GET /blog/write": OWN,
    "POST /blog/write": MISSING_FIELDS,
    "GET /blog/drafts": OWN,
    "GET /blog/drafts/{id}": GONE,
    "POST /blog/drafts/{id}": MISSING_FIELDS,
    "POST /blog/drafts/{id}/delete": GONE,
    "GET /blog/entries/{id}": Row(("blog",), 303, unless={V.SELF: 200}),
    "POST /blog/entries/{id}": MISSING_FIELDS,
    "POST /blog/entries/{id}/delete": Row(("blog",), 303, only=OWN_ACCOUNT),
}
"""What pages answer to a member who is signed in; and to everybody where they are open to everybody."""


def is_covered(needed: str, granted: str) -> bool:
    """Tell whether a token with one scope may do what needs another, as the Mastodon API says."""
    followish = ("follows", "blocks", "mutes")
    return granted in (needed, needed.split(":")[0]) or (granted == "follow" and needed.endswith(followish))


def expected_code(row: Row, viewer: Viewer, kind: str, visibility: str) -> int:
    """Return what somebody whom the route lets in is answered."""
    if viewer in row.unless:
        return row.unless[viewer]
    if row.only is not None and viewer not in row.only:
        return 404
    if kind in ("status", "blog") and viewer not in SEES[(kind, visibility)]:
        return 404
    if kind in FINDS and viewer not in FINDS[kind]:
        return 404
    return row.code
