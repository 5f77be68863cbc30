"""The RPCs of DraftService: requests into the domain's words and back, no rules, no SQL."""

from typing import Any

import grpc
from kodama.blog.v1 import blog_entry_pb2, draft_pb2, draft_service_pb2_grpc
from kodama.blog.v1 import draft_service_pb2 as pb

from chassis import caller
from chassis.errors import InvalidField
from chassis.idempotency import Write, Writes, once
from chassis.paging import page_of
from chassis.rpc import Service, method_names
from services.blog.domain import Change, Draft, check_change
from services.blog.drafting import Drafting
from services.blog.servicer import entry_to_proto

Context = grpc.aio.ServicerContext[Any, Any]


class DraftServicer(draft_service_pb2_grpc.DraftServiceServicer):
    """Translates between kodama.blog.v1 and the use case."""

    def __init__(self, writes: Writes, drafting: Drafting) -> None:
        self.writes = writes
        self._drafting = drafting

    @once(pb.CreateDraftResponse)
    async def CreateDraft(self, request: pb.CreateDraftRequest, write: Write) -> pb.CreateDraftResponse:
        """Keep a new draft."""
        new = check_change(request.title, request.text, request.visibility, may_be_empty=True)
        return pb.CreateDraftResponse(
            draft=_to_proto(await self._drafting.create(write, _member(request.account_id), new))
        )

    @once(pb.UpdateDraftResponse)
    async def UpdateDraft(self, request: pb.UpdateDraftRequest, write: Write) -> pb.UpdateDraftResponse:
        """Change an own draft."""
        draft = await self._drafting.update(write, request.account_id, request.draft_id, _change(request))
        return pb.UpdateDraftResponse(draft=_to_proto(draft))

    @once(pb.DeleteDraftResponse)
    async def DeleteDraft(self, request: pb.DeleteDraftRequest, write: Write) -> pb.DeleteDraftResponse:
        """Delete an own draft."""
        deleted = await self._drafting.delete(write, request.account_id, request.draft_id)
        return pb.DeleteDraftResponse(draft=_to_proto(deleted))

    @once(pb.PublishDraftResponse)
    async def PublishDraft(self, request: pb.PublishDraftRequest, write: Write) -> pb.PublishDraftResponse:
        """Make an entry of an own draft."""
        entry = await self._drafting.publish(write, request.account_id, request.draft_id, _change(request))
        return pb.PublishDraftResponse(blog_entry=entry_to_proto(entry))

    async def GetDraft(self, request: pb.GetDraftRequest, context: Context) -> pb.GetDraftResponse:
        """Return an own draft."""
        return pb.GetDraftResponse(draft=_to_proto(await self._drafting.get(request.account_id, request.draft_id)))

    async def ListDrafts(self, request: pb.ListDraftsRequest, context: Context) -> pb.ListDraftsResponse:
        """Return a page of own drafts."""
        page = page_of(request.window, default=20, maximum=40)
        drafts = await self._drafting.page(request.account_id, page)
        return pb.ListDraftsResponse(drafts=[_to_proto(draft) for draft in drafts])


def _member(account_id: int) -> int:
    if account_id <= 0:
        raise InvalidField("account_id", "A draft needs an author.")
    return account_id


def _change(request: pb.UpdateDraftRequest | pb.PublishDraftRequest) -> Change:
    return check_change(
        request.title if request.HasField("title") else None,
        request.text if request.HasField("text") else None,
        request.visibility,
        may_be_empty=True,
    )


def _to_proto(draft: Draft) -> draft_pb2.Draft:
    return draft_pb2.Draft(
        id=draft.id,
        account_id=draft.account_id,
        title=draft.title,
        text=draft.text,
        visibility=blog_entry_pb2.Visibility.ValueType(draft.visibility),
        created_at_ms=draft.created_at_ms,
        updated_at_ms=draft.updated_at_ms,
        version=draft.version,
    )


def draft_service(servicer: DraftServicer) -> Service:
    """Return the service for a server, with who may call what."""
    gateway = frozenset({caller.GATEWAY})
    return Service(
        name="kodama.blog.v1.DraftService",
        add=lambda server: draft_service_pb2_grpc.add_DraftServiceServicer_to_server(servicer, server),
        callers={
            "CreateDraft": gateway,
            "UpdateDraft": gateway,
            "DeleteDraft": gateway,
            "PublishDraft": gateway,
            "GetDraft": gateway,
            "ListDrafts": gateway,
        },
        methods=method_names(pb.DESCRIPTOR.services_by_name["DraftService"]),
    )
