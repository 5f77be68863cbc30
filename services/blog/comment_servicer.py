"""The RPCs of CommentService: requests into the domain's words and back, no rules, no SQL."""

from dataclasses import replace
from typing import Any

import grpc
from kodama.blog.v1 import comment_pb2, comment_service_pb2_grpc
from kodama.blog.v1 import comment_service_pb2 as pb
from kodama.page.v1.window_pb2 import Window

from chassis import caller
from chassis.errors import InvalidField
from chassis.idempotency import Write, Writes, once
from chassis.paging import Page, page_of
from chassis.rpc import Service, method_names, require_batch
from services.blog.commenting import Commenting
from services.blog.domain import Comment, check_comment

MAX_BATCH = 1000
Context = grpc.aio.ServicerContext[Any, Any]


class CommentServicer(comment_service_pb2_grpc.CommentServiceServicer):
    """Translates between kodama.blog.v1 and the use case."""

    def __init__(self, writes: Writes, commenting: Commenting) -> None:
        self.writes = writes
        self._commenting = commenting

    @once(pb.CreateCommentResponse)
    async def CreateComment(self, request: pb.CreateCommentRequest, write: Write) -> pb.CreateCommentResponse:
        """Comment on an entry."""
        if request.account_id <= 0:
            raise InvalidField("account_id", "A comment needs an author.")
        text = check_comment(request.text)
        comment = await self._commenting.comment(write, request.account_id, request.blog_entry_id, text)
        return pb.CreateCommentResponse(comment=_to_proto(comment))

    @once(pb.DeleteCommentResponse)
    async def DeleteComment(self, request: pb.DeleteCommentRequest, write: Write) -> pb.DeleteCommentResponse:
        """Delete an own comment, or one on an own entry."""
        deleted = await self._commenting.delete(write, request.account_id, request.comment_id)
        return pb.DeleteCommentResponse(comment=_to_proto(deleted))

    async def ListComments(self, request: pb.ListCommentsRequest, context: Context) -> pb.ListCommentsResponse:
        """Return a page of the comments on an entry."""
        found = await self._commenting.of_entry(request.viewer_id, request.blog_entry_id, _oldest_first(request.window))
        return pb.ListCommentsResponse(
            comments=[_to_proto(comment) for comment in found.comments],
            newest_comment_id=found.newest_id,
            oldest_comment_id=found.oldest_id,
            is_end=found.is_end,
        )

    async def BatchGetComments(
        self, request: pb.BatchGetCommentsRequest, context: Context
    ) -> pb.BatchGetCommentsResponse:
        """Return those that the viewer may see."""
        require_batch("comment_ids", request.comment_ids, MAX_BATCH)
        comments = await self._commenting.visible(request.viewer_id, request.comment_ids)
        return pb.BatchGetCommentsResponse(comments=[_to_proto(comment) for comment in comments])


def _oldest_first(window: Window) -> Page:
    """Return the page of a list that is read from its beginning, where nothing else is asked for."""
    page = page_of(window, default=20, maximum=80)
    return page if window.max_id or window.since_id else replace(page, upwards=True)


def _to_proto(comment: Comment) -> comment_pb2.Comment:
    return comment_pb2.Comment(
        id=comment.id,
        blog_entry_id=comment.blog_entry_id,
        author_id=comment.author_id,
        account_id=comment.account_id,
        text=comment.text,
        created_at_ms=comment.created_at_ms,
    )


def comment_service(servicer: CommentServicer) -> Service:
    """Return the service for a server, with who may call what."""
    gateway = frozenset({caller.GATEWAY})
    return Service(
        name="kodama.blog.v1.CommentService",
        add=lambda server: comment_service_pb2_grpc.add_CommentServiceServicer_to_server(servicer, server),
        callers={
            "CreateComment": gateway | {caller.OPERATOR},
            "DeleteComment": gateway,
            "ListComments": gateway,
            "BatchGetComments": gateway | {caller.TIMELINE, caller.WORKER},
        },
        methods=method_names(pb.DESCRIPTOR.services_by_name["CommentService"]),
    )
