"""Wiring: `python -m services.timeline` serves TimelineService, NotificationService and the ledger of its schema."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from chassis import caller
from chassis.database import Pool
from chassis.housekeeping import insist, repeat
from chassis.idempotency import Writes
from chassis.ledger import Bell
from chassis.ledger_service import ledger_service
from chassis.process import run_services
from chassis.rpc import Service
from chassis.settings import Settings, load_settings
from services.timeline.activation import Activation
from services.timeline.checking import Checking
from services.timeline.clients import open_clients
from services.timeline.explaining import Explaining
from services.timeline.home import HomeReading
from services.timeline.markers import Markers
from services.timeline.notification_servicer import NotificationServicer, NotificationUseCases, notification_service
from services.timeline.notifications import Notifications
from services.timeline.open_work import OpenWorkList
from services.timeline.retention import Retention
from services.timeline.servicer import TimelineServicer, UseCases, timeline_service
from services.timeline.upkeep import Upkeep


async def build(settings: Settings, pool: Pool, stack: AsyncExitStack) -> Sequence[Service]:
    """Return what this process serves."""
    clients = await stack.enter_async_context(open_clients(settings, caller.TIMELINE))
    bell = Bell(pool)
    stack.push_async_callback(bell.close)
    open_work = OpenWorkList(clients.ledgers, settings.timeline_open_work_max_age_ms)
    asked, dormant_days = (pool, clients.publications, clients.friends), settings.timeline_dormant_days
    activation = Activation(pool, bell, dormant_days)
    use_cases = UseCases(
        reading=HomeReading(*asked, open_work=open_work, activation=activation, dormant_days=dormant_days),
        open_work=open_work,
        explaining=Explaining(pool, clients.friends, open_work, dormant_days),
        checking=Checking(*asked, open_work=open_work, dormant_days=dormant_days),
        upkeep=Upkeep(*asked, dormant_days=dormant_days),
        retention=Retention(pool, settings.timeline_keep_days),
    )
    await insist("the partitions of the coming weeks are there", use_cases.retention.prepare)
    await stack.enter_async_context(repeat("entries.prepare", use_cases.retention.prepare_step, pool))
    await stack.enter_async_context(repeat("entries.trim", use_cases.retention.trim_step, pool))
    await stack.enter_async_context(repeat("homes.resume", activation.resume_step, pool))
    notified = NotificationUseCases(Notifications(pool, clients.readers), Markers(pool))
    return [
        timeline_service(TimelineServicer(use_cases)),
        notification_service(NotificationServicer(Writes(pool, settings.derive("idempotency")), notified)),
        ledger_service(pool),
    ]


def main() -> None:
    """Run the process."""
    run_services({"timeline": build}, load_settings())


if __name__ == "__main__":
    main()
