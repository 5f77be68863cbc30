"""A running account service and its stubs."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from kodama.account.v1 import account_service_pb2_grpc, oauth_service_pb2_grpc, session_service_pb2_grpc

from chassis import caller
from chassis.rpc import call, open_channel
from chassis.settings import Settings
from tests.conftest import Running


@dataclass
class Account:
    """The account service as its callers see it."""

    settings: Settings
    accounts: "account_service_pb2_grpc.AccountServiceAsyncStub"
    oauth: "oauth_service_pb2_grpc.OAuthServiceAsyncStub"
    sessions: "session_service_pb2_grpc.SessionServiceAsyncStub"

    async def ask(self, method: Callable[..., Awaitable[Any]], request: Any, role: str = caller.GATEWAY) -> Any:
        signer = caller.Signer(role, self.settings.derive("rpc"))
        return await call(method, request, signer, timeout_seconds=10)

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.settings.service_database_url("account")) as conn:
            return conn.execute(sql.encode(), parameters).fetchall()


@pytest.fixture
async def account(settings: Settings, running: Running) -> AsyncIterator[Account]:
    async with running("account"):
        channel = open_channel(settings.address("account"), "kodama.account.v1.AccountService")
        yield Account(
            settings,
            account_service_pb2_grpc.AccountServiceStub(channel),
            oauth_service_pb2_grpc.OAuthServiceStub(channel),
            session_service_pb2_grpc.SessionServiceStub(channel),
        )
        await channel.close()
