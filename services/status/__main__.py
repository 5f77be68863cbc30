"""Wiring: `python -m services.status` serves StatusService and the ledger of its schema."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

from kodama.account.v1 import account_service_pb2_grpc
from kodama.media.v1 import media_service_pb2_grpc
from kodama.social_graph.v1 import social_graph_service_pb2_grpc

from chassis import caller
from chassis.database import Pool
from chassis.idempotency import Writes
from chassis.ledger import Bell
from chassis.ledger_service import ledger_service
from chassis.process import run_services
from chassis.rpc import Service, open_channel
from chassis.settings import Settings, load_settings
from services.status.clients import Accounts, Media, SocialGraph
from services.status.editing import Editing
from services.status.favouriting import Favouriting
from services.status.homes import Homes
from services.status.posting import Posting
from services.status.reading import Reading
from services.status.servicer import StatusServicer, status_service
from services.status.threads import Threads


async def build(settings: Settings, pool: Pool, stack: AsyncExitStack) -> Sequence[Service]:
    """Return what this process serves."""
    graph_channel = open_channel(
        settings.address("social_graph"),
        "kodama.social_graph.v1.SocialGraphService",
        retryable=("Relate", "BatchRelate"),
    )
    account_channel = open_channel(
        settings.address("account"),
        "kodama.account.v1.AccountService",
        retryable=("BatchFindAccounts", "BatchGetDefaultVisibilities"),
    )
    media_channel = open_channel(
        settings.address("media"), "kodama.media.v1.MediaService", retryable=("BatchGetMedia",)
    )
    for channel in (graph_channel, account_channel, media_channel):
        stack.push_async_callback(channel.close)
    bell = Bell(pool)
    stack.push_async_callback(bell.close)
    signer = caller.Signer(caller.STATUS, settings.derive("rpc"))
    social_graph = SocialGraph(social_graph_service_pb2_grpc.SocialGraphServiceStub(graph_channel), signer)
    accounts = Accounts(account_service_pb2_grpc.AccountServiceStub(account_channel), signer)
    media = Media(media_service_pb2_grpc.MediaServiceStub(media_channel), signer)
    domain = urlsplit(settings.base_url()).netloc
    reading = Reading(pool, social_graph)
    servicer = StatusServicer(
        Writes(pool, settings.derive("idempotency")),
        Posting(pool, bell, accounts, media, reading, domain=domain),
        Editing(bell, accounts, domain=domain),
        Favouriting(pool, bell, social_graph, reading),
        Threads(pool, reading),
        reading,
        Homes(pool, social_graph),
    )
    return [status_service(servicer), ledger_service(pool)]


def main() -> None:
    """Run the process."""
    run_services({"status": build}, load_settings())


if __name__ == "__main__":
    main()
