"""Wiring: `python -m services.media` serves MediaService."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from chassis import caller
from chassis.database import Pool
from chassis.housekeeping import repeat
from chassis.idempotency import Writes
from chassis.process import run_services
from chassis.rpc import Service
from chassis.settings import Settings, load_settings
from services.media.clients import open_showing
from services.media.converting import Converter
from services.media.discarding import Discarding
from services.media.reading import Reading
from services.media.servicer import MediaServicer, media_service
from services.media.uploading import Uploading


async def build(settings: Settings, pool: Pool, stack: AsyncExitStack) -> Sequence[Service]:
    """Return what this process serves."""
    discarding = Discarding(pool, await stack.enter_async_context(open_showing(settings, caller.MEDIA)))
    await stack.enter_async_context(repeat("media.expire", discarding.expire, pool))
    await stack.enter_async_context(repeat("media.delete", discarding.delete, pool))
    uploading = Uploading(Converter(at_once=settings.media_conversions))
    servicer = MediaServicer(Writes(pool, settings.derive("idempotency")), uploading, Reading(pool))
    return [media_service(servicer)]


def main() -> None:
    """Run the process."""
    run_services({"media": build}, load_settings())


if __name__ == "__main__":
    main()
