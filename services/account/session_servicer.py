"""The RPCs of SessionService: requests into the domain's words and back, no rules, no SQL."""

from typing import Any

import grpc
from kodama.account.v1 import account_pb2, session_service_pb2_grpc
from kodama.account.v1 import session_service_pb2 as pb

from chassis import caller
from chassis.idempotency import Write, Writes, once
from chassis.rpc import Service, method_names
from services.account.session_store import Grant
from services.account.sessions import Sessions

Context = grpc.aio.ServicerContext[Any, Any]


class SessionServicer(session_service_pb2_grpc.SessionServiceServicer):
    """Translates between kodama.account.v1.SessionService and the use case."""

    def __init__(self, writes: Writes, sessions: Sessions) -> None:
        self.writes = writes
        self._sessions = sessions

    async def OpenSession(self, request: pb.OpenSessionRequest, context: Context) -> pb.OpenSessionResponse:
        """Sign a member in."""
        opened = await self._sessions.open(request.login, request.password, request.label)
        token = account_pb2.Token(
            access_token=opened.secret,
            scopes=opened.info.scopes,
            created_at_ms=int(opened.info.created_at.timestamp() * 1000),
        )
        return pb.OpenSessionResponse(token=token, account_id=opened.info.account_id or 0)

    async def EndSession(self, request: pb.EndSessionRequest, context: Context) -> pb.EndSessionResponse:
        """Sign a browser out."""
        await self._sessions.end(request.token_hash)
        return pb.EndSessionResponse()

    async def ListGrants(self, request: pb.ListGrantsRequest, context: Context) -> pb.ListGrantsResponse:
        """Return what is in force for a member."""
        grants = await self._sessions.grants(request.account_id)
        return pb.ListGrantsResponse(grants=[_grant(grant) for grant in grants])

    @once(pb.RevokeGrantResponse)
    async def RevokeGrant(self, request: pb.RevokeGrantRequest, write: Write) -> pb.RevokeGrantResponse:
        """End one of a member's grants."""
        await self._sessions.revoke(write, request.account_id, request.token_id)
        return pb.RevokeGrantResponse()

    @once(pb.ChangePasswordResponse)
    async def ChangePassword(self, request: pb.ChangePasswordRequest, write: Write) -> pb.ChangePasswordResponse:
        """Give a member another password."""
        await self._sessions.change_password(
            write, request.account_id, request.old_password, request.new_password, request.kept_token_hash
        )
        return pb.ChangePasswordResponse()

    async def ReplacePassword(self, request: pb.ReplacePasswordRequest, context: Context) -> pb.ReplacePasswordResponse:
        """Give a member a password that nobody has chosen."""
        return pb.ReplacePasswordResponse(password=await self._sessions.replace_password(request.account_id))


def _grant(grant: Grant) -> account_pb2.Grant:
    return account_pb2.Grant(
        token_id=grant.token_id,
        app=account_pb2.App(id=grant.app_id, name=grant.app_name, website=grant.website),
        scopes=grant.scopes,
        created_at_ms=int(grant.created_at.timestamp() * 1000),
        is_session=grant.is_session,
        label=grant.label,
    )


def session_service(servicer: SessionServicer) -> Service:
    """Return the service of sessions for a server, with who may call what."""
    gateway, operator = frozenset({caller.GATEWAY}), frozenset({caller.OPERATOR})
    methods = pb.DESCRIPTOR.services_by_name["SessionService"]
    return Service(
        name="kodama.account.v1.SessionService",
        add=lambda server: session_service_pb2_grpc.add_SessionServiceServicer_to_server(servicer, server),
        callers=dict.fromkeys(method_names(methods), gateway) | {"ReplacePassword": operator},
        methods=method_names(methods),
    )
