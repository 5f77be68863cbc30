"""The gateway as a process of its own."""

import asyncio
import os
import signal
import sys

import httpx

from chassis.settings import Settings


async def test_it_starts_without_services_and_ends_when_told_to(settings: Settings) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KODAMA_")}
    environment |= {"KODAMA_SECRET": settings.secret, "KODAMA_GATEWAY_ADDRESS": settings.gateway_address}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.gateway", env=environment, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            while b"serving" not in (line := await process.stderr.readline()):
                assert line, "it ended"
        async with httpx.AsyncClient(base_url=settings.base_url(), trust_env=False) as http:
            assert (await http.get("/api/v2/instance")).status_code == 200
            assert (await http.get("/health")).status_code == 503
        process.send_signal(signal.SIGTERM)
        await process.communicate()
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
