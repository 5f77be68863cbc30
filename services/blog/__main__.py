"""Wiring: `python -m services.blog` serves BlogService, DraftService, CommentService and the ledger of its schema."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from kodama.social_graph.v1 import social_graph_service_pb2_grpc

from chassis import caller
from chassis.database import Pool
from chassis.idempotency import Writes
from chassis.ledger import Bell
from chassis.ledger_service import ledger_service
from chassis.process import run_services
from chassis.rpc import Service, open_channel
from chassis.settings import Settings, load_settings
from services.blog.clients import SocialGraph
from services.blog.comment_servicer import CommentServicer, comment_service
from services.blog.commenting import Commenting
from services.blog.draft_servicer import DraftServicer, draft_service
from services.blog.drafting import Drafting
from services.blog.publishing import Publishing
from services.blog.reading import Reading
from services.blog.servicer import BlogServicer, blog_service


async def build(settings: Settings, pool: Pool, stack: AsyncExitStack) -> Sequence[Service]:
    """Return what this process serves."""
    channel = open_channel(
        settings.address("social_graph"), "kodama.social_graph.v1.SocialGraphService", retryable=("Relate",)
    )
    stack.push_async_callback(channel.close)
    bell = Bell(pool)
    stack.push_async_callback(bell.close)
    signer = caller.Signer(caller.BLOG, settings.derive("rpc"))
    social_graph = SocialGraph(social_graph_service_pb2_grpc.SocialGraphServiceStub(channel), signer)
    writes, reading = Writes(pool, settings.derive("idempotency")), Reading(pool, social_graph)
    return [
        blog_service(BlogServicer(writes, Publishing(pool, bell), reading)),
        draft_service(DraftServicer(writes, Drafting(pool, bell))),
        comment_service(CommentServicer(writes, Commenting(pool, bell, social_graph, reading))),
        ledger_service(pool),
    ]


def main() -> None:
    """Run the process."""
    run_services({"blog": build}, load_settings())


if __name__ == "__main__":
    main()
