"""From the services' messages to the entities that clients read. Pure: no calls, no clock."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from urllib.parse import urlsplit

import msgspec
from kodama.account.v1 import account_pb2
from kodama.blog.v1 import blog_entry_pb2, comment_pb2, draft_pb2
from kodama.media.v1 import media_pb2
from kodama.social_graph.v1 import social_graph_pb2
from kodama.status.v1 import status_pb2
from kodama.timeline.v1 import notification_pb2

from chassis.mentions import find_mentions
from services.gateway import entities, markup
from services.gateway.contents import Contents
from services.gateway.markdown import Markdown

STATUS_VISIBILITIES: Mapping[int, entities.StatusVisibility] = {
    status_pb2.VISIBILITY_PUBLIC: "public",
    status_pb2.VISIBILITY_UNLISTED: "unlisted",
    status_pb2.VISIBILITY_FRIENDS: "private",
    status_pb2.VISIBILITY_DIRECT: "direct",
}
BLOG_VISIBILITIES: Mapping[int, entities.BlogVisibility] = {
    blog_entry_pb2.VISIBILITY_PUBLIC: "public",
    blog_entry_pb2.VISIBILITY_FRIENDS_OF_FRIENDS: "friends_of_friends",
    blog_entry_pb2.VISIBILITY_FRIENDS: "friends",
    blog_entry_pb2.VISIBILITY_SELF: "self",
}
NOTIFICATION_TYPES: Mapping[notification_pb2.NotificationType.ValueType, entities.NotificationType] = {
    notification_pb2.NOTIFICATION_TYPE_FRIEND_REQUEST: "follow_request",
    notification_pb2.NOTIFICATION_TYPE_FRIENDSHIP: "follow",
    notification_pb2.NOTIFICATION_TYPE_MENTION: "mention",
    notification_pb2.NOTIFICATION_TYPE_FAVOURITE: "favourite",
    notification_pb2.NOTIFICATION_TYPE_COMMENT: "mention",  # the type that clients know and that comes nearest
}
EPOCH = date(1970, 1, 1)


NO_MEDIA: Mapping[int, media_pb2.Media] = {}


_SOMEBODY = entities.Account(
    id="",
    username="",
    acct="",
    display_name="",
    bot=False,
    discoverable=False,
    hide_collections=False,
    created_at="",
    note="",
    url="",
    uri="",
    avatar="",
    avatar_static="",
    header="",
    header_static="",
    followers_count=0,
    following_count=0,
    statuses_count=0,
    last_status_at=None,
)


@dataclass(frozen=True)
class Counts:
    """What is counted of a member."""

    friends: int = 0
    statuses: int = 0
    last_status_at_ms: int = 0


def iso_time(unix_ms: int) -> str:
    """Return a Unix time in milliseconds as ISO 8601."""
    return f"{_second(unix_ms // 1000)}.{unix_ms % 1000:03d}Z"


def iso_date(unix_ms: int) -> str:
    """Return the day (UTC) of a Unix time in milliseconds."""
    return _day(unix_ms // 86_400_000)


@lru_cache(maxsize=4096)
def _second(unix: int) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=4096)
def _day(number: int) -> str:
    return (EPOCH + timedelta(days=number)).isoformat()


def _media_size(rendition: media_pb2.Rendition) -> entities.MediaSize:
    width, height = rendition.width, rendition.height
    return entities.MediaSize(width=width, height=height, size=f"{width}x{height}", aspect=round(width / height, 6))


class Renderer:
    """Makes entities; knows the address that they are under."""

    def __init__(self, base_url: str) -> None:
        self._base = base_url
        self._domain = urlsplit(base_url).netloc
        self.contents = Contents(Markdown(base_url))

    def account(self, account: account_pb2.Account, counts: Counts) -> entities.Account:
        """Return a member as everybody may see them."""
        url = self._profile_url(account.handle)
        avatar = self._portrait(account.avatar, "preview") or f"{self._base}/avatars/{account.id}.svg"
        header = self._portrait(account.header, "original") or f"{self._base}/headers/{account.id}.svg"
        return entities.Account(
            id=str(account.id),
            username=account.handle,
            acct=account.handle,
            display_name=account.display_name or account.handle,
            bot=account.is_bot,
            discoverable=account.is_discoverable,
            hide_collections=account.hides_friends,
            created_at=iso_time(account.created_at_ms),
            note=markup.paragraphs(account.note),
            url=url,
            uri=url,
            avatar=avatar,
            avatar_static=avatar,
            header=header,
            header_static=header,
            followers_count=counts.friends,
            following_count=counts.friends,
            statuses_count=counts.statuses,
            last_status_at=iso_date(counts.last_status_at_ms) if counts.last_status_at_ms else None,
        )

    def address_only(self, handle: str) -> entities.Account:
        """Return a member of whom nothing but the address is right, for what is put together with the rest later."""
        return msgspec.structs.replace(_SOMEBODY, url=self._profile_url(handle))

    def _portrait(self, name: str, rendition: str) -> str:
        """Return the address of a picture that a member shows; empty for none."""
        media_id, _, file = name.partition("/")
        return f"{self._base}/media/{media_id}/{rendition}-{file}" if file else ""

    def credential_account(
        self,
        account: entities.Account,
        profile: account_pb2.Account,
        settings: account_pb2.AccountSettings,
        friend_requests: int,
    ) -> entities.CredentialAccount:
        """Return a member as they see themselves."""
        source = entities.Source(
            note=profile.note,
            privacy=STATUS_VISIBILITIES[settings.default_visibility],
            sensitive=settings.default_sensitive,
            language=settings.default_language or profile.locale,
            follow_requests_count=friend_requests,
        )
        public = msgspec.structs.asdict(account)
        return entities.CredentialAccount(**public, source=source, role=entities.Role())

    def status(
        self,
        status: status_pb2.Status,
        author: entities.Account,
        media: Mapping[int, media_pb2.Media] = NO_MEDIA,
        *,
        with_text: bool = False,
    ) -> entities.Status:
        """Return a status with its pictures, as far as they are there; with its source where it has just been deleted."""
        url = f"{author.url}/{status.id}"
        visibility = STATUS_VISIBILITIES[status.visibility]
        rendered = entities.Status(
            id=str(status.id),
            uri=url,
            url=url,
            created_at=iso_time(status.created_at_ms),
            edited_at=iso_time(status.edited_at_ms) if status.edited_at_ms else None,
            account=author,
            content=self._content(status.text, status.mentions),
            visibility=visibility,
            in_reply_to_id=str(status.in_reply_to_id) if status.in_reply_to_id else None,
            in_reply_to_account_id=str(status.in_reply_to_account_id) if status.in_reply_to_account_id else None,
            mentions=[self._mention(mention) for mention in status.mentions],
            media_attachments=self.attachments(status.media_ids, media),
            replies_count=status.replies_count,
            favourites_count=status.favourites_count,
            favourited=status.is_favourited,
            kodama=entities.Kodama(kind="status", visibility=visibility),
        )
        if with_text:
            rendered.text = status.text
        return rendered

    def revision(self, revision: status_pb2.Revision, author: entities.Account) -> entities.StatusEdit:
        """Return what a status said for some time."""
        return entities.StatusEdit(
            content=self._content(revision.text, revision.mentions),
            created_at=iso_time(revision.created_at_ms),
            account=author,
        )

    def _content(self, text: str, mentions: Sequence[status_pb2.Mention]) -> str:
        """Return a status's text as HTML; what it mentions without meaning a member stays text."""
        if not mentions:
            return markup.paragraph(text)
        known = {mention.handle for mention in mentions}
        found = find_mentions(text, self._domain)
        names = [(one.start, one.end, self._profile_url(one.handle)) for one in found if one.handle in known]
        return markup.paragraph(text, names)

    def _mention(self, mention: status_pb2.Mention) -> entities.Mention:
        return entities.Mention(
            id=str(mention.account_id),
            username=mention.handle,
            acct=mention.handle,
            url=self._profile_url(mention.handle),
        )

    def _profile_url(self, handle: str) -> str:
        return f"{self._base}/@{handle}"

    def blog_entry(
        self, entry: blog_entry_pb2.BlogEntry, author: entities.Account, content: str, *, with_text: bool
    ) -> entities.BlogEntry:
        """Return a blog entry in full; `content` is its HTML, and its source is for its author only."""
        url = self._blog_entry_url(entry, author)
        rendered = entities.BlogEntry(
            id=str(entry.id),
            uri=url,
            url=url,
            created_at=iso_time(entry.created_at_ms),
            edited_at=iso_time(entry.edited_at_ms) if entry.edited_at_ms else None,
            account=author,
            title=entry.title,
            content=content,
            excerpt=self.contents.excerpt(entry),
            visibility=BLOG_VISIBILITIES[entry.visibility],
            comments_count=entry.comments_count,
        )
        if with_text:
            rendered.text = entry.text
        return rendered

    def draft(self, draft: draft_pb2.Draft) -> entities.Draft:
        """Return a draft."""
        return entities.Draft(
            id=str(draft.id),
            created_at=iso_time(draft.created_at_ms),
            updated_at=iso_time(draft.updated_at_ms),
            title=draft.title,
            text=draft.text,
            visibility=BLOG_VISIBILITIES[draft.visibility],
        )

    def comment(self, comment: comment_pb2.Comment, who: entities.Account) -> entities.Comment:
        """Return a comment."""
        return entities.Comment(
            id=str(comment.id),
            blog_entry_id=str(comment.blog_entry_id),
            created_at=iso_time(comment.created_at_ms),
            account=who,
            content=markup.paragraphs(comment.text),
        )

    def blog_entry_as_status(
        self, entry: blog_entry_pb2.BlogEntry, author: entities.Account, *, with_text: bool = False
    ) -> entities.Status:
        """Return a blog entry as clients can show it on a timeline: its title as a link, and how it begins."""
        url = self._blog_entry_url(entry, author)
        rendered = entities.Status(
            id=str(entry.id),
            uri=url,
            url=url,
            created_at=iso_time(entry.created_at_ms),
            edited_at=iso_time(entry.edited_at_ms) if entry.edited_at_ms else None,
            account=author,
            content=f"<p>{markup.link(url, entry.title)}</p>{markup.paragraph(self.contents.excerpt(entry))}",
            visibility="public" if entry.visibility == blog_entry_pb2.VISIBILITY_PUBLIC else "private",
            kodama=entities.Kodama(
                kind="blog_entry",
                title=entry.title,
                visibility=BLOG_VISIBILITIES[entry.visibility],
                comments_count=entry.comments_count,
            ),
        )
        if with_text:
            rendered.text = entry.text
        return rendered

    def notification(
        self,
        notification: notification_pb2.Notification,
        who: entities.Account,
        status: entities.Status | None,
        comment: comment_pb2.Comment | None,
    ) -> entities.Notification:
        """Return a notification, with the status that it is about if it is about one; of a comment, the entry stands for a status."""
        return entities.Notification(
            id=str(notification.id),
            type=NOTIFICATION_TYPES[notification.type],
            created_at=iso_time(notification.created_at_ms),
            group_key=f"ungrouped-{notification.id}",
            account=who,
            status=msgspec.UNSET if status is None else status,
            comment=msgspec.UNSET if comment is None else self.comment(comment, who),
        )

    def marker(self, marker: notification_pb2.Marker) -> entities.Marker:
        """Return how far a member has read a list."""
        return entities.Marker(
            last_read_id=str(marker.last_read_id), version=marker.version, updated_at=iso_time(marker.updated_at_ms)
        )

    def attachments(
        self, media_ids: Iterable[int], media: Mapping[int, media_pb2.Media]
    ) -> list[entities.MediaAttachment]:
        """Return pictures in the order of their ids here."""
        return [self.media(media[media_id]) for media_id in media_ids if media_id in media]

    def media(self, media: media_pb2.Media) -> entities.MediaAttachment:
        """Return a picture."""
        address = f"{self._base}/media/{media.id}"
        focus = entities.MediaFocus(x=media.focus.x, y=media.focus.y) if media.HasField("focus") else None
        return entities.MediaAttachment(
            id=str(media.id),
            url=f"{address}/original-{media.token}.{media.extension}",
            preview_url=f"{address}/preview-{media.token}.{media.extension}",
            meta=entities.MediaMeta(
                original=_media_size(media.original), small=_media_size(media.preview), focus=focus
            ),
            description=media.description or None,
            blurhash=media.blurhash or None,
        )

    def relationship(self, relationship: social_graph_pb2.Relationship) -> entities.Relationship:
        """Return how the caller stands to an account."""
        return entities.Relationship(
            id=str(relationship.account_id),
            following=relationship.is_friend,
            followed_by=relationship.is_friend,
            showing_reblogs=relationship.is_friend,
            requested=relationship.is_requested,
            requested_by=relationship.is_requested_by,
            blocking=relationship.is_blocking,
            blocked_by=relationship.is_blocked_by,
            muting=relationship.is_muting,
            muting_notifications=relationship.is_muting_notifications,
            muting_expires_at=iso_time(relationship.muting_expires_at_ms)
            if relationship.muting_expires_at_ms
            else None,
        )

    def muted_account(self, account: entities.Account, muted: social_graph_pb2.MutedAccount) -> entities.MutedAccount:
        """Return a member whom the caller mutes."""
        expires_at = iso_time(muted.expires_at_ms) if muted.expires_at_ms else None
        return entities.MutedAccount(**msgspec.structs.asdict(account), mute_expires_at=expires_at)

    def token(self, token: account_pb2.Token) -> entities.Token:
        """Return a fresh token."""
        return entities.Token(
            access_token=token.access_token,
            scope=" ".join(token.scopes),
            created_at=token.created_at_ms // 1000,
        )

    def application(self, app: account_pb2.App) -> entities.Application:
        """Return an app."""
        return entities.Application(
            id=str(app.id),
            name=app.name,
            website=app.website or None,
            scopes=list(app.scopes),
            redirect_uris=list(app.redirect_uris),
            redirect_uri="\n".join(app.redirect_uris),
        )

    def credential_application(self, app: account_pb2.App, client_secret: str) -> entities.CredentialApplication:
        """Return an app that has just been registered."""
        public = msgspec.structs.asdict(self.application(app))
        return entities.CredentialApplication(**public, client_id=app.client_id, client_secret=client_secret or None)

    def _blog_entry_url(self, entry: blog_entry_pb2.BlogEntry, author: entities.Account) -> str:
        return f"{author.url}/blog/{entry.id}"
