"""From ids to entities: one batch RPC per kind and page, the RPCs of one step side by side, no N+1."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from kodama.account.v1 import account_pb2
from kodama.blog.v1 import blog_entry_pb2, comment_pb2
from kodama.media.v1 import media_pb2
from kodama.social_graph.v1 import social_graph_pb2
from kodama.social_graph.v1 import suggestion_service_pb2 as suggestion_pb
from kodama.status.v1 import status_pb2
from kodama.timeline.v1 import notification_pb2

from chassis.coalescing import Coalescer, Loader
from chassis.errors import NotFound, Unavailable
from chassis.ids import Kind, kind_of
from services.gateway import entities, suggestion_rendering
from services.gateway.author_fragments import AuthorFragments
from services.gateway.clients import Clients
from services.gateway.fragments import Fragments
from services.gateway.home_pages import HomeEntry
from services.gateway.rendering import NO_MEDIA, Counts, Renderer
from services.gateway.suggestion_entities import DismissedSuggestion, Suggestion, SuggestionReason

Member = tuple[account_pb2.Account, Counts]
"""A member, and what is counted of them."""


class Author(NamedTuple):
    """A member who is posting."""

    account: account_pb2.Account
    friends: int


class Hydration:
    """Fetches what entities need and renders them."""

    def __init__(self, clients: Clients, renderer: Renderer) -> None:
        self._clients = clients
        self._renderer = renderer
        self._fragments = Fragments(renderer)
        # Accounts and counts are the same for every viewer: what is asked at the same time is one RPC, whichever requests it is for.
        self._accounts = Loader(clients.accounts)
        self._counts = Loader(self._load_counts)
        self._authors = Coalescer(self._load_authors)
        self._author_fragments = AuthorFragments(self._load_author_fragments)
        self._media = Loader(clients.media)

    async def accounts(self, account_ids: Iterable[int]) -> dict[int, entities.Account]:
        """Return those that exist, by id."""
        members = await self._members(account_ids)
        return {an_id: self._renderer.account(*member) for an_id, member in members.items()}

    async def _members(self, account_ids: Iterable[int]) -> dict[int, Member]:
        """Return those that exist with their counts, by id."""
        wanted = set(account_ids)
        found, counts = await asyncio.gather(self._accounts.get(wanted), self._counts.get(wanted))
        return {an_id: (account, counts[an_id]) for an_id, account in found.items()}

    async def account_list(self, account_ids: Sequence[int]) -> list[entities.Account]:
        """Return those that exist, in the order of their ids here."""
        found = await self.accounts(account_ids)
        return [found[an_id] for an_id in dict.fromkeys(account_ids) if an_id in found]

    async def member(self, account_id: int) -> Member:
        """Return one as the services know them. Raises NotFound."""
        found = await self._members([account_id])
        if account_id not in found:
            raise NotFound("There is no such member.", resource="account")
        return found[account_id]

    async def account(self, account_id: int) -> entities.Account:
        """Return one. Raises NotFound."""
        return self._renderer.account(*await self.member(account_id))

    async def rendered(self, account: account_pb2.Account) -> entities.Account:
        """Return an account that has been fetched already."""
        counts = await self._counts.get([account.id])
        return self._renderer.account(account, counts[account.id])

    def author(self, account_id: int) -> "asyncio.Future[Author]":
        """Ask for a member who is posting; what is posted says the other counts. Raises NotFound."""
        return self._authors.ask(account_id)

    async def _load_authors(self, account_ids: Sequence[int]) -> list[Author | Exception]:
        accounts, friends = await asyncio.gather(
            self._clients.accounts(account_ids), self._clients.friend_counts(account_ids)
        )
        return [
            Author(accounts[an_id], friends.get(an_id, 0))
            if an_id in accounts
            else NotFound("There is no such member any more.", resource="account")
            for an_id in account_ids
        ]

    async def _load_counts(self, account_ids: Sequence[int]) -> dict[int, Counts]:
        friends, statuses = await asyncio.gather(
            self._clients.friend_counts(account_ids), self._clients.status_counts(account_ids)
        )
        return {
            # .get, because reading a missing key of a protobuf map adds it.
            an_id: Counts(
                friends.get(an_id, 0), statuses.counts.get(an_id, 0), statuses.last_status_at_ms.get(an_id, 0)
            )
            for an_id in account_ids
        }

    async def statuses(self, statuses: Sequence[status_pb2.Status]) -> list[entities.Status]:
        """Return statuses with their authors, in the same order; those of authors who are gone are left out."""
        authors, media = await asyncio.gather(
            self.accounts(status.account_id for status in statuses), self._pictures(statuses)
        )
        return [
            self._renderer.status(status, authors[status.account_id], media)
            for status in statuses
            if status.account_id in authors
        ]

    async def statuses_of(
        self, author: entities.Account, statuses: Sequence[status_pb2.Status]
    ) -> list[entities.Status]:
        """Return statuses of an author who has been fetched already, in the same order."""
        media = await self._pictures(statuses)
        return [self._renderer.status(status, author, media) for status in statuses]

    async def fragments_of(self, author: Member, statuses: Sequence[status_pb2.Status]) -> list[bytes]:
        """Return statuses of an author as JSON, in the same order. They are kept: who reads them next has them at once."""
        media = await self._pictures(statuses)
        author_json = self._fragments.account(*author)
        return [self._fragments.status(status, author[0], author_json, media) for status in statuses]

    async def status(
        self, status: status_pb2.Status, author: entities.Account, *, with_text: bool = False
    ) -> entities.Status:
        """Return one; with its source where it has just been deleted."""
        return self._renderer.status(status, author, await self._pictures([status]), with_text=with_text)

    async def _pictures(
        self, statuses: Sequence[status_pb2.Status] | Sequence[HomeEntry]
    ) -> dict[int, media_pb2.Media]:
        """Return the pictures of statuses, by id; nobody is asked where there are none. Where media is away, statuses go without."""
        media_ids = {media_id for status in statuses for media_id in status.media_ids}
        try:
            return await self._media.get(media_ids)
        except Unavailable:
            return {}

    async def blog_entries(
        self, viewer_id: int, entries: Sequence[blog_entry_pb2.BlogEntry]
    ) -> list[entities.BlogEntry]:
        """Return blog entries with their authors, in the same order; those of authors who are gone are left out."""
        authors = await self.accounts(entry.account_id for entry in entries)
        return [
            await self.blog_entry(viewer_id, entry, authors[entry.account_id])
            for entry in entries
            if entry.account_id in authors
        ]

    async def blog_entry(
        self, viewer_id: int, entry: blog_entry_pb2.BlogEntry, author: entities.Account
    ) -> entities.BlogEntry:
        """Return one of an author who has been fetched already; its source is for its author only."""
        content = await self._renderer.contents.html(entry)
        return self._renderer.blog_entry(entry, author, content, with_text=viewer_id == entry.account_id)

    async def comments(self, comments: Sequence[comment_pb2.Comment]) -> list[entities.Comment]:
        """Return comments with who wrote them, in the same order; those of members who are gone are left out."""
        members = await self.accounts(comment.account_id for comment in comments)
        return [
            self._renderer.comment(comment, members[comment.account_id])
            for comment in comments
            if comment.account_id in members
        ]

    async def posts(
        self, viewer_id: int, post_ids: Sequence[int], author_ids: Iterable[int] = ()
    ) -> dict[int, entities.Status]:
        """Return statuses and blog entries that the viewer may see, by id, all as statuses.

        Where the authors are known beforehand, they are fetched at the same time.
        """
        by_kind: Mapping[Kind, list[int]] = {
            kind: [an_id for an_id in post_ids if kind_of(an_id) is kind] for kind in (Kind.STATUS, Kind.BLOG_ENTRY)
        }
        statuses, entries, authors = await asyncio.gather(
            self._clients.statuses(viewer_id, by_kind[Kind.STATUS]),
            self._clients.blog_entries(viewer_id, by_kind[Kind.BLOG_ENTRY], beginnings_only=True),
            self.accounts(author_ids),
        )
        written_by = {status.account_id for status in statuses} | {entry.account_id for entry in entries}
        others, media = await asyncio.gather(self.accounts(written_by - set(authors)), self._pictures(statuses))
        authors |= others
        rendered = {
            status.id: self._renderer.status(status, authors[status.account_id], media)
            for status in statuses
            if status.account_id in authors
        }
        rendered |= {
            entry.id: self._renderer.blog_entry_as_status(entry, authors[entry.account_id])
            for entry in entries
            if entry.account_id in authors
        }
        return rendered

    async def home(self, viewer_id: int, entries: Sequence[HomeEntry]) -> bytes:
        """Return what stands on a page of a home timeline, in its order, as the JSON of a list of Status.

        What a status says is only asked for where the version that its owner has just named is not kept; whether the viewer may see it
        was decided by its owner in the call that listed these entries.
        """
        kept = [(entry, self._fragments.find_status(entry.entry_id, entry.version)) for entry in entries]
        unknown = [entry.entry_id for entry, start in kept if start is None]
        shows_media = any(entry.media_ids for entry in entries)
        others: dict[int, bytes] = {}
        media = NO_MEDIA
        if unknown or shows_media:
            others, media = await asyncio.gather(self._others_on_home(viewer_id, unknown), self._pictures(entries))
        authors = await self._author_fragments.get({entry.author_id for entry in entries})
        complete = self._fragments.complete
        shown: list[bytes | None] = [
            others.get(entry.entry_id)
            if start is None
            else complete(start, entry, authors[entry.author_id], media)
            if entry.author_id in authors
            else None
            for entry, start in kept
        ]
        return b"[%b]" % b",".join(one for one in shown if one is not None)

    def forget(self, account_id: int) -> None:
        """Have the next pages show a member as they are now: call it when they have changed something."""
        self._author_fragments.forget(account_id)

    async def _load_author_fragments(self, account_ids: Sequence[int]) -> dict[int, bytes]:
        """Return accounts as JSON by id, each made once for all pages that are waiting for it."""
        versions, counts = await asyncio.gather(
            self._clients.account_versions(account_ids), self._load_counts(account_ids)
        )
        made = {
            an_id: self._fragments.kept_account(an_id, version, counts[an_id]) for an_id, version in versions.items()
        }
        unknown = await self._clients.accounts(an_id for an_id, fragment in made.items() if fragment is None)
        return {an_id: fragment for an_id, fragment in made.items() if fragment is not None} | {
            an_id: self._fragments.account(account, counts[an_id]) for an_id, account in unknown.items()
        }

    async def _others_on_home(self, viewer_id: int, post_ids: Sequence[int]) -> dict[int, bytes]:
        """Return posts of which nothing is kept, as JSON by id; statuses are kept from now on."""
        if not post_ids:
            return {}
        statuses, blog_entries = await asyncio.gather(
            self._clients.statuses(viewer_id, [an_id for an_id in post_ids if kind_of(an_id) is Kind.STATUS]),
            self._clients.blog_entries(
                viewer_id, [an_id for an_id in post_ids if kind_of(an_id) is Kind.BLOG_ENTRY], beginnings_only=True
            ),
        )
        written_by = {status.account_id for status in statuses} | {entry.account_id for entry in blog_entries}
        authors, media = await asyncio.gather(self._members(written_by), self._pictures(statuses))
        rendered = {an_id: self._fragments.account(*member) for an_id, member in authors.items()}
        posts = {
            status.id: self._fragments.status(status, authors[status.account_id][0], rendered[status.account_id], media)
            for status in statuses
            if status.account_id in authors
        }
        return posts | {
            entry.id: msgspec.json.encode(
                self._renderer.blog_entry_as_status(entry, self._renderer.account(*authors[entry.account_id]))
            )
            for entry in blog_entries
            if entry.account_id in authors
        }

    async def notifications(
        self, viewer_id: int, notifications: Sequence[notification_pb2.Notification]
    ) -> list[entities.Notification]:
        """Return notifications with who did it and what it is about, in the same order; without what is gone by now."""
        accounts, (comments, posts) = await asyncio.gather(
            self.accounts(one.from_id for one in notifications), self._subjects(viewer_id, notifications)
        )
        return [
            self._renderer.notification(
                one, accounts[one.from_id], posts.get(_post_id(one, comments)), comments.get(one.comment_id)
            )
            for one in notifications
            if one.from_id in accounts
            and (not one.comment_id or one.comment_id in comments)
            and (not _post_id(one, comments) or _post_id(one, comments) in posts)
        ]

    async def _subjects(
        self, viewer_id: int, notifications: Sequence[notification_pb2.Notification]
    ) -> tuple[dict[int, comment_pb2.Comment], dict[int, entities.Status]]:
        """Return the comments and the posts that notifications are about, as far as the viewer may see them, by id."""
        comments = await self._clients.comments(viewer_id, [one.comment_id for one in notifications if one.comment_id])
        post_ids = {_post_id(one, comments) for one in notifications} - {0}
        return comments, await self.posts(viewer_id, sorted(post_ids))

    async def notification(self, viewer_id: int, notification: notification_pb2.Notification) -> entities.Notification:
        """Return one. Raises NotFound where it is gone by now."""
        found = await self.notifications(viewer_id, [notification])
        if not found:
            raise NotFound("There is no such notification.", resource="notification")
        return found[0]

    async def suggestions(self, suggestions: Sequence[social_graph_pb2.Suggestion]) -> list[Suggestion]:
        """Return suggestions with the accounts that they name, in the same order."""
        accounts = await self.accounts(
            an_id for suggestion in suggestions for an_id in (suggestion.account_id, *suggestion.mutual_friend_ids)
        )
        return [suggestion_rendering.suggestion(one, accounts) for one in suggestions if one.account_id in accounts]

    async def suggestion_reason(self, explained: suggestion_pb.ExplainSuggestionResponse) -> SuggestionReason:
        """Return why somebody is suggested or not, with the accounts that it names. Raises NotFound where they are gone by now."""
        wanted = (explained.suggestion.account_id, *explained.suggestion.mutual_friend_ids)
        accounts = await self.accounts(wanted)
        if explained.suggestion.account_id not in accounts:
            raise NotFound("There is no such member.", resource="account")
        return suggestion_rendering.reason(explained, accounts)

    async def dismissed_suggestions(
        self, dismissed: Sequence[social_graph_pb2.DismissedSuggestion]
    ) -> list[DismissedSuggestion]:
        """Return whom somebody does not want to see suggested, in the same order; without those who are gone."""
        accounts = await self.accounts(one.account_id for one in dismissed)
        return [
            suggestion_rendering.dismissed(one, accounts[one.account_id])
            for one in dismissed
            if one.account_id in accounts
        ]


def _post_id(notification: notification_pb2.Notification, comments: Mapping[int, comment_pb2.Comment]) -> int:
    """Return the status that a notification is about, or the blog entry that was commented on; 0 with neither."""
    comment = comments.get(notification.comment_id)
    return notification.status_id if comment is None else comment.blog_entry_id
