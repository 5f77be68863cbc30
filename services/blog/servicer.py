"""The RPCs of BlogService: requests into the domain's words and back, no rules, no SQL."""

from typing import Any

import grpc
from kodama.blog.v1 import blog_entry_pb2, blog_service_pb2_grpc
from kodama.blog.v1 import blog_service_pb2 as pb

from chassis import caller
from chassis.idempotency import Write, Writes, once
from chassis.paging import page_of, pages_of_each
from chassis.ragged import join
from chassis.rpc import Service, method_names, require_batch
from services.blog.domain import BEGINNING_CODE_POINTS, MAX_TEXT_CODE_POINTS, BlogEntry, check_change, check_new_entry
from services.blog.publishing import Publishing
from services.blog.reading import Reading

MAX_BATCH = 1000
MAX_AUTHORS = 5000
MAX_VIEWERS = 100
Context = grpc.aio.ServicerContext[Any, Any]


class BlogServicer(blog_service_pb2_grpc.BlogServiceServicer):
    """Translates between kodama.blog.v1 and the use cases."""

    def __init__(self, writes: Writes, publishing: Publishing, reading: Reading) -> None:
        self.writes = writes
        self._publishing = publishing
        self._reading = reading

    async def CreateBlogEntry(self, request: pb.CreateBlogEntryRequest, context: Context) -> pb.CreateBlogEntryResponse:
        """Publish an entry."""
        new = check_new_entry(request.account_id, request.title, request.text, request.visibility, request.request_id)
        return pb.CreateBlogEntryResponse(blog_entry=entry_to_proto(await self._publishing.publish(new)))

    @once(pb.UpdateBlogEntryResponse)
    async def UpdateBlogEntry(self, request: pb.UpdateBlogEntryRequest, write: Write) -> pb.UpdateBlogEntryResponse:
        """Edit or narrow an own entry."""
        change = check_change(
            request.title if request.HasField("title") else None,
            request.text if request.HasField("text") else None,
            request.visibility,
        )
        updated = await self._publishing.update(write, request.account_id, request.blog_entry_id, change)
        return pb.UpdateBlogEntryResponse(blog_entry=entry_to_proto(updated))

    @once(pb.DeleteBlogEntryResponse)
    async def DeleteBlogEntry(self, request: pb.DeleteBlogEntryRequest, write: Write) -> pb.DeleteBlogEntryResponse:
        """Delete an own entry."""
        deleted = await self._publishing.delete(write, request.account_id, request.blog_entry_id)
        return pb.DeleteBlogEntryResponse(blog_entry=entry_to_proto(deleted))

    async def BatchGetBlogEntries(
        self, request: pb.BatchGetBlogEntriesRequest, context: Context
    ) -> pb.BatchGetBlogEntriesResponse:
        """Return those that the viewer may see."""
        require_batch("blog_entry_ids", request.blog_entry_ids, MAX_BATCH)
        limit = BEGINNING_CODE_POINTS if request.beginnings_only else MAX_TEXT_CODE_POINTS
        entries, omitted = await self._reading.visible(request.viewer_id, request.blog_entry_ids, text_limit=limit)
        return pb.BatchGetBlogEntriesResponse(
            blog_entries=[entry_to_proto(entry) for entry in entries], omitted_blog_entry_ids=omitted
        )

    async def ListAccountBlogEntries(
        self, request: pb.ListAccountBlogEntriesRequest, context: Context
    ) -> pb.ListAccountBlogEntriesResponse:
        """Return a page of a blog."""
        page = page_of(request.window, default=20, maximum=40)
        entries = await self._reading.of_account(request.viewer_id, request.account_id, page)
        return pb.ListAccountBlogEntriesResponse(blog_entries=[entry_to_proto(entry) for entry in entries])

    async def FilterHomeBlogEntries(
        self, request: pb.FilterHomeBlogEntriesRequest, context: Context
    ) -> pb.FilterHomeBlogEntriesResponse:
        """Return those that may stand on a home timeline."""
        require_batch("blog_entry_ids", request.blog_entry_ids, MAX_BATCH)
        blog_entry_ids = await self._reading.on_home(request.viewer_id, request.blog_entry_ids)
        return pb.FilterHomeBlogEntriesResponse(blog_entry_ids=blog_entry_ids)

    async def FilterShownMedia(
        self, request: pb.FilterShownMediaRequest, context: Context
    ) -> pb.FilterShownMediaResponse:
        """Return which pictures entries or drafts show."""
        require_batch("media_ids", request.media_ids, MAX_BATCH)
        shown = await self._reading.shown_media(request.media_ids)
        return pb.FilterShownMediaResponse(
            media=[pb.ShownMedia(media_id=media_id, account_id=account_id) for media_id, account_id in shown]
        )

    async def PullBlogEntries(self, request: pb.PullBlogEntriesRequest, context: Context) -> pb.PullBlogEntriesResponse:
        """Return the newest of many authors."""
        require_batch("author_ids", request.author_ids, MAX_AUTHORS)
        page = page_of(request.window, default=1000, maximum=1000)
        pulled = await self._reading.pull(request.viewer_id, request.author_ids, page)
        return pb.PullBlogEntriesResponse(
            blog_entries=[pb.PublishedBlogEntry(blog_entry_id=i, author_id=a) for i, a in pulled]
        )

    async def BatchPullOwnBlogEntries(
        self, request: pb.BatchPullOwnBlogEntriesRequest, context: Context
    ) -> pb.BatchPullOwnBlogEntriesResponse:
        """Return the newest of their own entries for many authors."""
        require_batch("author_ids", request.author_ids, MAX_VIEWERS)
        pages = pages_of_each(request.author_ids, request.below_ids, request.above_ids, request.limits, maximum=1000)
        counts, entry_ids = join(await self._reading.own(pages))
        return pb.BatchPullOwnBlogEntriesResponse(counts=counts, blog_entry_ids=entry_ids)

    async def BatchGetPublishedBlogEntries(
        self, request: pb.BatchGetPublishedBlogEntriesRequest, context: Context
    ) -> pb.BatchGetPublishedBlogEntriesResponse:
        """Return who wrote those that go to friends' home timelines."""
        require_batch("blog_entry_ids", request.blog_entry_ids, MAX_BATCH)
        published = await self._reading.published(request.blog_entry_ids)
        return pb.BatchGetPublishedBlogEntriesResponse(
            blog_entries=[pb.PublishedBlogEntry(blog_entry_id=i, author_id=a) for i, a in published]
        )


def entry_to_proto(entry: BlogEntry) -> blog_entry_pb2.BlogEntry:
    """Return an entry in the words of the contract."""
    return blog_entry_pb2.BlogEntry(
        id=entry.id,
        account_id=entry.account_id,
        title=entry.title,
        text=entry.text,
        visibility=blog_entry_pb2.Visibility.ValueType(entry.visibility),
        created_at_ms=entry.created_at_ms,
        version=entry.version,
        edited_at_ms=entry.edited_at_ms,
        comments_count=entry.comments_count,
    )


def blog_service(servicer: BlogServicer) -> Service:
    """Return the service for a server, with who may call what."""
    gateway = frozenset({caller.GATEWAY})
    timeline = frozenset({caller.TIMELINE, caller.WORKER})
    return Service(
        name="kodama.blog.v1.BlogService",
        add=lambda server: blog_service_pb2_grpc.add_BlogServiceServicer_to_server(servicer, server),
        callers={
            "CreateBlogEntry": gateway | {caller.OPERATOR},
            "UpdateBlogEntry": gateway,
            "DeleteBlogEntry": gateway,
            "BatchGetBlogEntries": gateway,
            "ListAccountBlogEntries": gateway,
            "FilterHomeBlogEntries": timeline,
            "FilterShownMedia": frozenset({caller.MEDIA, caller.WORKER}),
            "PullBlogEntries": timeline,
            "BatchPullOwnBlogEntries": timeline,
            "BatchGetPublishedBlogEntries": timeline,
        },
        methods=method_names(pb.DESCRIPTOR.services_by_name["BlogService"]),
    )
