"""Wiring: `python -m services.social_graph` serves SocialGraphService, SuggestionService and the ledger of its schema."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from kodama.account.v1 import account_service_pb2_grpc

from chassis import caller
from chassis.database import Pool
from chassis.housekeeping import repeat
from chassis.idempotency import Writes
from chassis.ledger import Bell
from chassis.ledger_service import ledger_service
from chassis.process import run_services
from chassis.rpc import Service, open_channel
from chassis.settings import Settings, load_settings
from services.social_graph.blocking import Blocking
from services.social_graph.clients import Accounts
from services.social_graph.explaining import Explaining
from services.social_graph.friendships import Friendships
from services.social_graph.generations import Generations
from services.social_graph.importing import Importing
from services.social_graph.mute_store import delete_expired_mutes
from services.social_graph.muting import Muting
from services.social_graph.outcomes import Outcomes
from services.social_graph.relations import Relations
from services.social_graph.servicer import SocialGraphServicer, social_graph_service
from services.social_graph.store import delete_expired_requests
from services.social_graph.suggesting import Suggesting
from services.social_graph.suggestion_servicer import SuggestionServicer, suggestion_service
from services.social_graph.suggestion_store import delete_expired_dismissals
from services.social_graph.watching import watching


async def build(settings: Settings, pool: Pool, stack: AsyncExitStack) -> Sequence[Service]:
    """Return what this process serves."""
    channel = open_channel(
        settings.address("account"), "kodama.account.v1.AccountService", retryable=("BatchGetAccounts",)
    )
    stack.push_async_callback(channel.close)
    bell = Bell(pool)
    stack.push_async_callback(bell.close)
    signer = caller.Signer(caller.SOCIAL_GRAPH, settings.derive("rpc"))
    accounts = Accounts(account_service_pb2_grpc.AccountServiceStub(channel), signer)
    writes = Writes(pool, settings.derive("idempotency"))
    servicer = SocialGraphServicer(
        writes,
        Friendships(bell, accounts, max_friends=settings.max_friends, request_days=settings.friend_request_days),
        Blocking(bell, accounts),
        Muting(accounts),
        Relations(pool, accounts),
        Importing(pool, bell, accounts, settings.max_friends),
    )
    suggesting = Suggesting(pool, bell, accounts, dismissal_days=settings.dismissal_days)
    generations = Generations(pool, bell, hours=settings.suggestions_hours)
    outcomes = Outcomes(pool)
    await stack.enter_async_context(outcomes.flushing())
    await stack.enter_async_context(watching(pool))
    await stack.enter_async_context(repeat("requests.forget", delete_expired_requests, pool))
    await stack.enter_async_context(repeat("mutes.forget", delete_expired_mutes, pool))
    await stack.enter_async_context(repeat("dismissals.forget", delete_expired_dismissals, pool))
    await stack.enter_async_context(repeat("suggestions.schedule", generations.schedule_step, pool))
    await stack.enter_async_context(repeat("suggestions.clear", generations.clear_step, pool))
    await stack.enter_async_context(repeat("suggestions.sample", generations.sample_step, pool))
    explaining = Explaining(pool, accounts, suggesting)
    return [
        social_graph_service(servicer),
        suggestion_service(SuggestionServicer(writes, suggesting, explaining, generations, outcomes)),
        ledger_service(pool),
    ]


def main() -> None:
    """Run the process."""
    run_services({"social_graph": build}, load_settings())


if __name__ == "__main__":
    main()
