"""The running network as the operator's commands find and call it."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from kodama.account.v1 import account_service_pb2_grpc, oauth_service_pb2_grpc, session_service_pb2_grpc
from kodama.blog.v1 import blog_service_pb2_grpc, comment_service_pb2_grpc
from kodama.ledger.v1 import ledger_service_pb2_grpc
from kodama.social_graph.v1 import social_graph_service_pb2_grpc, suggestion_service_pb2_grpc
from kodama.status.v1 import status_service_pb2_grpc
from kodama.timeline.v1 import timeline_service_pb2_grpc

from chassis import topology
from chassis.caller import OPERATOR, Signer
from chassis.rpc import open_channel
from chassis.settings import SERVICES, Settings, load_settings, refuse
from deploy.local.network import find_network
from deploy.local.state import open_state


def find_settings() -> Settings:
    """Return the settings of the network to operate on: what the environment says, else the one that `kodama up` runs here.

    Ends the process with a sentence where there is neither.
    """
    if not os.environ.get("KODAMA_SECRET"):
        running = find_network(open_state())
        if running is None:
            refuse("no network runs here; start one with `make up`, or set KODAMA_SECRET and the addresses of one")
        for name, value in running.items():
            os.environ.setdefault(name, value)
    return load_settings()


_IDEMPOTENT = {
    "account": ("kodama.account.v1.AccountService", ("BatchImportAccounts", "BatchFindAccounts", "ListAccounts")),
    "social_graph": ("kodama.social_graph.v1.SocialGraphService", ("BatchImportFriendships",)),
}
"""What may be repeated when a service goes away."""


@dataclass(frozen=True)
class Network:
    """The stubs that the operator's commands call."""

    accounts: "account_service_pb2_grpc.AccountServiceAsyncStub"
    oauth: "oauth_service_pb2_grpc.OAuthServiceAsyncStub"
    sessions: "session_service_pb2_grpc.SessionServiceAsyncStub"
    graph: "social_graph_service_pb2_grpc.SocialGraphServiceAsyncStub"
    suggestions: "suggestion_service_pb2_grpc.SuggestionServiceAsyncStub"
    statuses: "status_service_pb2_grpc.StatusServiceAsyncStub"
    timelines: "timeline_service_pb2_grpc.TimelineServiceAsyncStub"
    blogs: "blog_service_pb2_grpc.BlogServiceAsyncStub"
    comments: "comment_service_pb2_grpc.CommentServiceAsyncStub"
    ledgers: "dict[str, ledger_service_pb2_grpc.LedgerServiceAsyncStub]"
    signer: Signer


@asynccontextmanager
async def open_network(settings: Settings) -> AsyncIterator[Network]:
    """Open channels to all services as the operator."""
    async with AsyncExitStack() as stack:
        channels = {}
        for service in SERVICES:
            full_name, idempotent = _IDEMPOTENT.get(service, ("", ()))
            channels[service] = open_channel(settings.address(service), full_name, retryable=idempotent)
            stack.push_async_callback(channels[service].close)
        yield Network(
            account_service_pb2_grpc.AccountServiceStub(channels["account"]),
            oauth_service_pb2_grpc.OAuthServiceStub(channels["account"]),
            session_service_pb2_grpc.SessionServiceStub(channels["account"]),
            social_graph_service_pb2_grpc.SocialGraphServiceStub(channels["social_graph"]),
            suggestion_service_pb2_grpc.SuggestionServiceStub(channels["social_graph"]),
            status_service_pb2_grpc.StatusServiceStub(channels["status"]),
            timeline_service_pb2_grpc.TimelineServiceStub(channels["timeline"]),
            blog_service_pb2_grpc.BlogServiceStub(channels["blog"]),
            comment_service_pb2_grpc.CommentServiceStub(channels["blog"]),
            {
                producer: ledger_service_pb2_grpc.LedgerServiceStub(channels[producer])
                for producer in topology.PRODUCERS
            },
            Signer(OPERATOR, settings.derive("rpc")),
        )
