"""What starts before the database does, or while it is too busy to answer, waits for it."""

import asyncio

from structlog.testing import capture_logs

from chassis.migrate import migrate
from chassis.rpc import open_channel, wait_until_serving
from tests.conftest import run_services, settings_for
from tests.database_switch import Switch


async def test_migrations_and_services_wait_for_the_database_and_say_so_once(switch: Switch) -> None:
    settings = settings_for(switch.server.url)
    await asyncio.to_thread(switch.off)
    told: list[str] = []
    migrating = asyncio.create_task(asyncio.to_thread(migrate, settings, tell=told.append))
    while not told:
        assert not migrating.done()
        await asyncio.sleep(0.05)
    await asyncio.to_thread(switch.on)
    assert await migrating > 0
    [line] = told
    assert "trying again" in line

    await asyncio.to_thread(switch.off)
    running = run_services(settings, "timeline")
    with capture_logs() as logs:
        starting = asyncio.create_task(running.__aenter__())
        while not (waiting := [each for each in logs if each["event"] == "waiting for the database"]):
            assert not starting.done()
            await asyncio.sleep(0.05)
        await asyncio.to_thread(switch.on)
        await starting
    assert len(waiting) == 1
    channel = open_channel(settings.address("timeline"), "kodama.timeline.v1.TimelineService")
    await wait_until_serving(channel, timeout_seconds=60)
    await channel.close()
    await running.__aexit__(None, None, None)
