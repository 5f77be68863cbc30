"""What the gateway asks SessionService: members who are signed in on the pages, and what acts for them."""

from collections.abc import Sequence

from kodama.account.v1 import account_pb2
from kodama.account.v1 import session_service_pb2 as pb
from kodama.account.v1 import session_service_pb2_grpc as pb_grpc

from services.gateway.calling import Calling


class SessionCalls(Calling):
    """The part of the services that is about sessions. Whoever opens the channels sets the stub."""

    _session: "pb_grpc.SessionServiceAsyncStub"

    async def open_session(self, *, login: str, password: str, label: str) -> str:
        """Sign a member in and return the session's secret.

        Raises Unauthenticated where name and password do not belong together, TooManyAttempts.
        """
        request = pb.OpenSessionRequest(login=login, password=password, label=label)
        return (await self._write(self._session.OpenSession, request)).token.access_token

    async def end_session(self, token_hash: bytes) -> None:
        """Sign a browser out."""
        await self._write(self._session.EndSession, pb.EndSessionRequest(token_hash=token_hash))

    async def grants(self, account_id: int) -> Sequence[account_pb2.Grant]:
        """Return what is in force for a member, the newest first."""
        return (await self._read(self._session.ListGrants, pb.ListGrantsRequest(account_id=account_id))).grants

    async def revoke_grant(self, account_id: int, token_id: int) -> None:
        """End a grant of a member's. Raises NotFound."""
        await self._write(self._session.RevokeGrant, pb.RevokeGrantRequest(account_id=account_id, token_id=token_id))

    async def change_password(
        self, account_id: int, *, old_password: str, new_password: str, kept_token_hash: bytes
    ) -> None:
        """Give a member another password and end their other sessions. Raises InvalidField, Unauthenticated, TooManyAttempts."""
        request = pb.ChangePasswordRequest(
            account_id=account_id,
            old_password=old_password,
            new_password=new_password,
            kept_token_hash=kept_token_hash,
        )
        await self._write(self._session.ChangePassword, request)
