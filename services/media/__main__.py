"""Wiring: `python -m services.media` serves MediaService."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from chassis.database import Pool
from chassis.idempotency import Writes
from chassis.process import run_service
from chassis.rpc import Service
from chassis.settings import Settings, load_settings
from services.media.converting import Converter
from services.media.reading import Reading
from services.media.servicer import MediaServicer, media_service
from services.media.uploading import Uploading


async def build(settings: Settings, pool: Pool, _stack: AsyncExitStack) -> Sequence[Service]:
    """Return what this process serves."""
    uploading = Uploading(Converter(at_once=settings.media_conversions))
    servicer = MediaServicer(Writes(pool, settings.derive("idempotency")), uploading, Reading(pool))
    return [media_service(servicer)]


def main() -> None:
    """Run the process."""
    run_service("media", load_settings(), build)


if __name__ == "__main__":
    main()
