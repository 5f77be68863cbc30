"""What the gateway asks blog: entries, drafts, comments."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from kodama.blog.v1 import (
    blog_entry_pb2,
    blog_service_pb2_grpc,
    comment_pb2,
    comment_service_pb2,
    comment_service_pb2_grpc,
    draft_pb2,
    draft_service_pb2,
    draft_service_pb2_grpc,
)
from kodama.blog.v1 import blog_service_pb2 as pb
from kodama.page.v1.window_pb2 import Window

from services.gateway.calling import Calling

Visibility: TypeAlias = "blog_entry_pb2.Visibility.ValueType"
UNSPECIFIED = blog_entry_pb2.VISIBILITY_UNSPECIFIED


class BlogCalls(Calling):
    """The part of the services that is blog's. Whoever opens the channels sets the stubs."""

    _blog: "blog_service_pb2_grpc.BlogServiceAsyncStub"
    _draft: "draft_service_pb2_grpc.DraftServiceAsyncStub"
    _comment: "comment_service_pb2_grpc.CommentServiceAsyncStub"

    # Entries

    async def create_blog_entry(
        self, *, account_id: int, title: str, text: str, visibility: Visibility
    ) -> blog_entry_pb2.BlogEntry:
        """Publish a blog entry."""
        request = pb.CreateBlogEntryRequest(account_id=account_id, title=title, text=text, visibility=visibility)
        return (await self._write(self._blog.CreateBlogEntry, request)).blog_entry

    async def update_blog_entry(
        self,
        *,
        account_id: int,
        blog_entry_id: int,
        title: str | None = None,
        text: str | None = None,
        visibility: Visibility = UNSPECIFIED,
    ) -> blog_entry_pb2.BlogEntry:
        """Change an own blog entry or narrow who may see it; None and unspecified leave it as it is."""
        request = pb.UpdateBlogEntryRequest(
            account_id=account_id, blog_entry_id=blog_entry_id, title=title, text=text, visibility=visibility
        )
        return (await self._write(self._blog.UpdateBlogEntry, request)).blog_entry

    async def delete_blog_entry(self, account_id: int, blog_entry_id: int) -> blog_entry_pb2.BlogEntry:
        """Delete an own blog entry; return what it was."""
        request = pb.DeleteBlogEntryRequest(account_id=account_id, blog_entry_id=blog_entry_id)
        return (await self._write(self._blog.DeleteBlogEntry, request)).blog_entry

    async def blog_entries(
        self, viewer_id: int, entry_ids: Sequence[int], *, beginnings_only: bool = False
    ) -> Sequence[blog_entry_pb2.BlogEntry]:
        """Return those that the viewer may see, in no order; with the beginnings of their texts where that is enough."""
        found: list[blog_entry_pb2.BlogEntry] = []
        wanted = entry_ids
        while wanted:  # one round, unless the entries are too long for one answer
            request = pb.BatchGetBlogEntriesRequest(
                viewer_id=viewer_id, blog_entry_ids=wanted, beginnings_only=beginnings_only
            )
            answer = await self._read(self._blog.BatchGetBlogEntries, request)
            found.extend(answer.blog_entries)
            wanted = answer.omitted_blog_entry_ids if len(answer.omitted_blog_entry_ids) < len(wanted) else []
        return found

    async def account_blog_entries(
        self, viewer_id: int, account_id: int, window: Window
    ) -> Sequence[blog_entry_pb2.BlogEntry]:
        """Return a page of a blog that the viewer may see, newest first; only an empty one is the end."""
        request = pb.ListAccountBlogEntriesRequest(viewer_id=viewer_id, account_id=account_id, window=window)
        return (await self._read(self._blog.ListAccountBlogEntries, request)).blog_entries

    # Drafts

    async def create_draft(self, *, account_id: int, title: str, text: str, visibility: Visibility) -> draft_pb2.Draft:
        """Keep a new draft."""
        request = draft_service_pb2.CreateDraftRequest(
            account_id=account_id, title=title, text=text, visibility=visibility
        )
        return (await self._write(self._draft.CreateDraft, request)).draft

    async def update_draft(
        self,
        *,
        account_id: int,
        draft_id: int,
        title: str | None = None,
        text: str | None = None,
        visibility: Visibility = UNSPECIFIED,
    ) -> draft_pb2.Draft:
        """Change an own draft; None and unspecified leave it as it is."""
        request = draft_service_pb2.UpdateDraftRequest(
            account_id=account_id, draft_id=draft_id, title=title, text=text, visibility=visibility
        )
        return (await self._write(self._draft.UpdateDraft, request)).draft

    async def delete_draft(self, account_id: int, draft_id: int) -> draft_pb2.Draft:
        """Delete an own draft; return what it was."""
        request = draft_service_pb2.DeleteDraftRequest(account_id=account_id, draft_id=draft_id)
        return (await self._write(self._draft.DeleteDraft, request)).draft

    async def publish_draft(
        self,
        *,
        account_id: int,
        draft_id: int,
        title: str | None = None,
        text: str | None = None,
        visibility: Visibility = UNSPECIFIED,
    ) -> blog_entry_pb2.BlogEntry:
        """Make an entry of an own draft, with what changes at the last moment; the draft is gone then."""
        request = draft_service_pb2.PublishDraftRequest(
            account_id=account_id, draft_id=draft_id, title=title, text=text, visibility=visibility
        )
        return (await self._write(self._draft.PublishDraft, request)).blog_entry

    async def draft(self, account_id: int, draft_id: int) -> draft_pb2.Draft:
        """Return an own draft. Raises NotFound."""
        request = draft_service_pb2.GetDraftRequest(account_id=account_id, draft_id=draft_id)
        return (await self._read(self._draft.GetDraft, request)).draft

    async def drafts(self, account_id: int, window: Window) -> Sequence[draft_pb2.Draft]:
        """Return a page of a member's own drafts, the youngest first; only an empty one is the end."""
        request = draft_service_pb2.ListDraftsRequest(account_id=account_id, window=window)
        return (await self._read(self._draft.ListDrafts, request)).drafts

    # Comments

    async def create_comment(self, account_id: int, blog_entry_id: int, text: str) -> comment_pb2.Comment:
        """Comment on a blog entry. Raises NotFound where the member may not see it."""
        request = comment_service_pb2.CreateCommentRequest(
            account_id=account_id, blog_entry_id=blog_entry_id, text=text
        )
        return (await self._write(self._comment.CreateComment, request)).comment

    async def delete_comment(self, account_id: int, comment_id: int) -> comment_pb2.Comment:
        """Delete an own comment, or one on an own entry; return what it was."""
        request = comment_service_pb2.DeleteCommentRequest(account_id=account_id, comment_id=comment_id)
        return (await self._write(self._comment.DeleteComment, request)).comment

    async def entry_comments(
        self, viewer_id: int, blog_entry_id: int, window: Window
    ) -> comment_service_pb2.ListCommentsResponse:
        """Return a page of the comments on a blog entry, oldest first. Raises NotFound where the viewer may not see the entry."""
        request = comment_service_pb2.ListCommentsRequest(
            viewer_id=viewer_id, blog_entry_id=blog_entry_id, window=window
        )
        return await self._read(self._comment.ListComments, request)

    async def comments(self, viewer_id: int, comment_ids: Iterable[int]) -> dict[int, comment_pb2.Comment]:
        """Return those that the viewer may see, by id."""
        wanted = sorted(set(comment_ids))
        if not wanted:
            return {}
        request = comment_service_pb2.BatchGetCommentsRequest(viewer_id=viewer_id, comment_ids=wanted)
        answer = await self._read(self._comment.BatchGetComments, request)
        return {comment.id: comment for comment in answer.comments}
