"""`kodama health` against real servers, as the probe of a container runs it."""

import asyncio
import os
import sys

from chassis.settings import PREFIX, Settings
from deploy.local.ports import free_port
from tests.conftest import Running


async def _probe(service: str, settings: Settings) -> tuple[int, str]:
    """Run the probe; return its exit code and all that it says."""
    told = {
        f"{PREFIX}{name.upper()}": str(value)
        for name, value in settings.model_dump().items()
        if name.endswith("_address") or name == "secret"
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli.health_command", service),
        env={**os.environ, **told},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def _answer_once(answer: bytes) -> asyncio.Server:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        assert request.startswith(b"GET /health ")
        writer.write(answer)
        await writer.drain()
        writer.close()

    return await asyncio.start_server(respond, "127.0.0.1", 0)


async def test_a_service_that_serves(running: Running, settings: Settings) -> None:
    async with running("status"):
        code, said = await _probe("status", settings)
    assert (code, said) == (0, f"status serves at {settings.status_address}\n")


async def test_a_service_that_listens_on_all_interfaces_is_asked_on_the_loopback(
    running: Running, settings: Settings
) -> None:
    port = settings.status_address.rpartition(":")[2]
    async with running("status"):
        code, said = await _probe("status", settings.model_copy(update={"status_address": f"0.0.0.0:{port}"}))
    assert (code, said) == (0, f"status serves at 127.0.0.1:{port}\n")


async def test_a_service_that_does_not_answer(settings: Settings) -> None:
    code, said = await _probe("blog", settings)
    assert code == 1
    assert said.startswith(f"kodama: blog does not serve at {settings.blog_address}: ")
    assert "Traceback" not in said


async def test_a_gateway_that_is_well_and_one_that_is_not(settings: Settings) -> None:
    for answer, expected in (
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", 0),
        (b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 8\r\n\r\ndegraded", 1),
    ):
        server = await _answer_once(answer)
        async with server:
            port = server.sockets[0].getsockname()[1]
            code, said = await _probe("gateway", settings.model_copy(update={"gateway_address": f"127.0.0.1:{port}"}))
        assert code == expected, said
    assert "GET /health answers 503: degraded" in said


async def test_a_gateway_that_does_not_answer(settings: Settings) -> None:
    code, said = await _probe("gateway", settings.model_copy(update={"gateway_address": f"127.0.0.1:{free_port()}"}))
    assert code == 1
    assert "Traceback" not in said


async def test_an_unknown_service(settings: Settings) -> None:
    code, said = await _probe("relay", settings)
    assert (code, "there is no service 'relay'" in said) == (1, True)
