import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from benchmarks.http_load import HttpJob, HttpRequest, check_job, encode_request, run_job

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
GONE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


def _job(port: int, most: int, *, host: str = "127.0.0.1", connections: int = 2, seconds: float = 10) -> HttpJob:
    return HttpJob(
        host, port, connections, seconds, most, [HttpRequest("GET", "/", "t"), HttpRequest("GET", "/x", "t")]
    )


@asynccontextmanager
async def _server(*answers: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Answer the nth request with the nth answer, in turn, and close the connection at an empty one."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                answer = answers[(len(heads) - 1) % len(answers)]
                if not answer:
                    break
                writer.write(answer[:10])
                await writer.drain()
                writer.write(answer[10:])
        except asyncio.IncompleteReadError:
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], heads
    finally:
        server.close()
        await server.wait_closed()


async def test_every_request_is_sent_in_turn_and_its_answer_counted() -> None:
    async with _server(OK, CHUNKED, GONE) as (port, heads):
        result = await run_job(_job(port, 9))
    assert result.answers == {200: 6, 404: 3}
    assert len(result.milliseconds) == 6
    assert sorted(head.split()[1] for head in heads) == [b"/"] * 5 + [b"/x"] * 4


async def test_a_connection_that_breaks_is_told_and_ends_nothing_else() -> None:
    async with _server(OK, OK, b"") as (port, _):
        result = await run_job(_job(port, 100, connections=1))
    assert result.answers == {200: 2, 0: 1}


async def test_the_load_ends_when_its_time_is_over() -> None:
    async with _server(OK) as (port, _):
        result = await run_job(_job(port, 1_000_000, seconds=0.1))
    assert result.answers[200] < 1_000_000
    assert result.per_second > 0


def test_a_request_on_the_wire() -> None:
    wire = encode_request(HttpRequest("POST", "/api", "secret", '{"status":"木"}'), "127.0.0.1:80")
    head, _, body = wire.partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST /api HTTP/1.1",
        b"Host: 127.0.0.1:80",
        b"Authorization: Bearer secret",
        b"Content-Type: application/json",
        b"Content-Length: 16",
    ]
    assert body.decode() == '{"status":"木"}'


@pytest.mark.parametrize(
    "job",
    [
        _job(80, 1, host="192.0.2.1"),
        _job(80, 1, connections=1000),
        _job(80, 1, seconds=10_000),
        _job(80, 0),
    ],
)
def test_load_beyond_its_bounds_or_for_others_is_refused(job: HttpJob) -> None:
    with pytest.raises(ValueError, match=r"loopback|bounds"):
        check_job(job)
