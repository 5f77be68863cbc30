"""The entities that clients read: the Mastodon API's, field for field, and Kodama's own.

Only shapes; services.gateway.rendering fills them. Ids are decimal strings, times ISO 8601 with milliseconds and Z.
"""

from typing import Literal

import msgspec

StatusVisibility = Literal["public", "unlisted", "private", "direct"]
BlogVisibility = Literal["public", "friends_of_friends", "friends", "self"]


class Entity(msgspec.Struct, kw_only=True):
    """A JSON object of an answer."""


class Nothing(Entity, kw_only=True):
    """The empty object."""


class Account(Entity, kw_only=True):
    """A member, as everybody may see them."""

    id: str
    username: str
    acct: str
    display_name: str
    locked: bool = True
    bot: bool = False
    discoverable: bool = True
    hide_collections: bool = False
    """The list of friends is nobody else's to read."""
    indexable: bool = False
    group: bool = False
    created_at: str
    note: str
    url: str
    uri: str
    avatar: str
    avatar_static: str
    header: str
    header_static: str
    followers_count: int
    following_count: int
    statuses_count: int
    last_status_at: str | None
    emojis: list[Nothing] = msgspec.field(default_factory=list)
    fields: list[Nothing] = msgspec.field(default_factory=list)
    roles: list[Nothing] = msgspec.field(default_factory=list)


class Source(Entity, kw_only=True):
    """What a member's own settings say."""

    note: str
    fields: list[Nothing] = msgspec.field(default_factory=list)
    privacy: StatusVisibility = "public"
    sensitive: bool = False
    language: str | None = None
    follow_requests_count: int = 0


class Role(Entity, kw_only=True):
    """What a member may do on this network; everybody has the same role so far."""

    id: str = "-99"
    name: str = ""
    permissions: str = "0"
    color: str = ""
    highlighted: bool = False


class CredentialAccount(Account, kw_only=True):
    """A member, as they see themselves."""

    source: Source
    role: Role


class Preferences(Entity, kw_only=True):
    """How a member's clients start a new status, and how they show what they read."""

    visibility: StatusVisibility = msgspec.field(name="posting:default:visibility")
    sensitive: bool = msgspec.field(name="posting:default:sensitive")
    language: str | None = msgspec.field(name="posting:default:language")
    media: Literal["default"] = msgspec.field(name="reading:expand:media", default="default")
    spoilers: bool = msgspec.field(name="reading:expand:spoilers", default=False)
    gifs: bool = msgspec.field(name="reading:autoplay:gifs", default=False)


class MediaSize(Entity, kw_only=True):
    """How large a form of a picture is, in pixels."""

    width: int
    height: int
    size: str
    aspect: float


class MediaFocus(Entity, kw_only=True):
    """The point that stays in view where a picture is cropped, from -1 (left, bottom) to 1 (right, top)."""

    x: float
    y: float


class MediaMeta(Entity, kw_only=True, omit_defaults=True):
    """The sizes of a picture's forms."""

    original: MediaSize
    small: MediaSize
    focus: MediaFocus | None = None


class MediaAttachment(Entity, kw_only=True):
    """A picture."""

    id: str
    type: Literal["image"] = "image"
    url: str
    preview_url: str
    remote_url: None = None
    preview_remote_url: None = None
    text_url: None = None
    meta: MediaMeta
    description: str | None
    blurhash: str | None


class Kodama(Entity, kw_only=True):
    """What the Mastodon API has no word for on a Status."""

    kind: Literal["status", "blog_entry"]
    title: str | None = None
    visibility: StatusVisibility | BlogVisibility
    comments_count: int | msgspec.UnsetType = msgspec.UNSET
    """Only of a blog entry."""


class Mention(Entity, kw_only=True):
    """A member whom a status names."""

    id: str
    username: str
    acct: str
    url: str


class Status(Entity, kw_only=True):
    """A status, or a blog entry as clients of the Mastodon API can show it."""

    id: str
    uri: str
    url: str
    created_at: str
    edited_at: str | None = None
    account: Account
    content: str
    visibility: StatusVisibility
    language: str | None = None
    sensitive: bool = False
    spoiler_text: str = ""
    in_reply_to_id: str | None = None
    in_reply_to_account_id: str | None = None
    media_attachments: list[MediaAttachment] = msgspec.field(default_factory=list)
    mentions: list[Mention] = msgspec.field(default_factory=list)
    tags: list[Nothing] = msgspec.field(default_factory=list)
    emojis: list[Nothing] = msgspec.field(default_factory=list)
    filtered: list[Nothing] = msgspec.field(default_factory=list)
    reblog: None = None
    poll: None = None
    card: None = None
    application: None = None
    replies_count: int = 0
    reblogs_count: int = 0
    favourites_count: int = 0
    favourited: bool = False
    reblogged: bool = False
    muted: bool = False
    bookmarked: bool = False
    kodama: Kodama
    text: str | msgspec.UnsetType = msgspec.UNSET
    """The source; only where a status has just been deleted, so that it can be written anew."""


class Context(Entity, kw_only=True):
    """The thread around a status, as far as the caller may see it."""

    ancestors: list[Status]
    """From the beginning of the thread; what is above one that the caller may not see is left out."""
    descendants: list[Status]
    """Each reply is followed by the replies to it; what is below one that the caller may not see is left out."""


class StatusSource(Entity, kw_only=True):
    """A status as it was typed, to be edited."""

    id: str
    text: str
    spoiler_text: str = ""


class StatusEdit(Entity, kw_only=True):
    """What a status said for some time."""

    content: str
    spoiler_text: str = ""
    sensitive: bool = False
    created_at: str
    account: Account
    poll: None = None
    media_attachments: list[Nothing] = msgspec.field(default_factory=list)
    emojis: list[Nothing] = msgspec.field(default_factory=list)


class SearchResults(Entity, kw_only=True):
    """What a search has found."""

    accounts: list[Account]
    statuses: list[Status]
    hashtags: list[Nothing] = msgspec.field(default_factory=list)


NotificationType = Literal["follow_request", "follow", "mention", "favourite"]


class Notification(Entity, kw_only=True):
    """What somebody did that concerns the caller."""

    id: str
    type: NotificationType
    created_at: str
    group_key: str
    account: Account
    status: Status | msgspec.UnsetType = msgspec.UNSET
    comment: "Comment | msgspec.UnsetType" = msgspec.UNSET
    """What was said below the blog entry that `status` stands for."""


class UnreadCount(Entity, kw_only=True):
    """A number of notifications."""

    count: int


class Marker(Entity, kw_only=True):
    """How far the caller has read a list."""

    last_read_id: str
    version: int
    updated_at: str


class Markers(Entity, kw_only=True):
    """How far the caller has read; only the lists of which it is known."""

    home: Marker | msgspec.UnsetType = msgspec.UNSET
    notifications: Marker | msgspec.UnsetType = msgspec.UNSET


class Relationship(Entity, kw_only=True):
    """How the caller stands to an account. Friendship is symmetric: both follow each other."""

    id: str
    following: bool
    followed_by: bool
    showing_reblogs: bool
    notifying: bool = False
    languages: list[str] | None = None
    requested: bool
    requested_by: bool
    blocking: bool
    blocked_by: bool
    muting: bool
    muting_notifications: bool
    muting_expires_at: str | None
    """None where the mute has no end, or there is none."""
    domain_blocking: bool = False
    endorsed: bool = False
    note: str = ""


class MutedAccount(Account, kw_only=True):
    """A member whom the caller mutes."""

    mute_expires_at: str | None
    """None for ever."""


class FamiliarFollowers(Entity, kw_only=True):
    """The friends that the caller shares with an account."""

    id: str
    accounts: list[Account]


class Token(Entity, kw_only=True):
    """A bearer token, shown this once."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the name of the type, no secret
    scope: str
    created_at: int
    """Unix time in seconds, unlike everywhere else; OAuth clients expect it."""


class Application(Entity, kw_only=True):
    """An app."""

    id: str
    name: str
    website: str | None
    scopes: list[str]
    redirect_uris: list[str]
    redirect_uri: str


class CredentialApplication(Application, kw_only=True):
    """An app with its secret, shown this once."""

    client_id: str
    client_secret: str | None
    """None for an app that can keep none."""
    client_secret_expires_at: int = 0
    vapid_key: str = ""


class BlogEntry(Entity, kw_only=True):
    """A blog entry."""

    id: str
    uri: str
    url: str
    created_at: str
    edited_at: str | None
    account: Account
    title: str
    content: str
    """HTML, made from the text."""
    excerpt: str
    """How it begins, as plain text."""
    visibility: BlogVisibility
    comments_count: int
    text: str | msgspec.UnsetType = msgspec.UNSET
    """CommonMark, as it was typed; only for its author."""


class Draft(Entity, kw_only=True):
    """A blog entry that is not published yet; only its author ever sees it."""

    id: str
    """Not the entry's: that gets its own when it is published."""
    created_at: str
    updated_at: str
    title: str
    text: str
    visibility: BlogVisibility


class Comment(Entity, kw_only=True):
    """What somebody says below a blog entry."""

    id: str
    blog_entry_id: str
    created_at: str
    account: Account
    content: str
    """HTML, made from plain text."""
