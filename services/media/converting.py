"""Use case: have a file converted, in a process without rights. This process never decodes anything."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress

import msgspec
import structlog

from chassis.errors import InvalidField, Unavailable
from services.media.domain import MAX_ORIGINAL_BYTES, MAX_PREVIEW_BYTES, Picture, Refusal

log = structlog.get_logger(__name__)

WALL_SECONDS = 30
MAX_ANSWER_BYTES = MAX_ORIGINAL_BYTES + MAX_PREVIEW_BYTES + 4096
COMMAND = (sys.executable, "-I", "-m", "services.media.converter")
CRASHES = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGXCPU})
"""How a decoder ends that its input has led astray; SIGXCPU: it has computed for too long."""


class Converter:
    """Runs one process per file, a few at a time."""

    def __init__(self, *, at_once: int, command: tuple[str, ...] = COMMAND, wall_seconds: float = WALL_SECONDS) -> None:
        self._slots = asyncio.Semaphore(at_once)
        self._command = command
        self._wall_seconds = wall_seconds

    async def convert(self, content: bytes) -> Picture:
        """Return the picture that a file shows.

        Raises InvalidField where it shows none that is taken, Unavailable where the process took too long or was stopped.
        """
        async with self._slots:
            return await self._run(content)

    async def _run(self, content: bytes) -> Picture:
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, stdout=PIPE, stderr=asyncio.subprocess.DEVNULL, env={}, cwd="/"
        )
        try:
            async with asyncio.timeout(self._wall_seconds):
                answer, _ = await asyncio.gather(_read(process), _feed(process, content))
                code = await process.wait()
        except TimeoutError as error:
            raise Unavailable("Converting the picture took too long; please try again in a moment.") from error
        finally:
            if process.returncode is None:
                process.kill()
                await asyncio.shield(process.wait())
        return _judge(code, answer)


async def _feed(process: Process, content: bytes) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError, ConnectionResetError):  # it has ended; its code says why
        process.stdin.write(content)
        await process.stdin.drain()
        process.stdin.close()


async def _read(process: Process) -> bytes:
    assert process.stdout is not None
    answer = bytearray()
    while chunk := await process.stdout.read(256 * 1024):
        answer += chunk
        if len(answer) > MAX_ANSWER_BYTES:
            process.kill()
            break
    return bytes(answer)


def _judge(code: int, answer: bytes) -> Picture:
    if -code in CRASHES:
        log.warning("a file ended its converter", signal=signal.Signals(-code).name)
        raise InvalidField("content", "The file cannot be read as a picture; it may be damaged.")
    if code != 0:
        log.error("converter failed", code=code)
        raise Unavailable("The picture could not be converted; please try again in a moment.")
    said: Picture | Refusal = msgspec.msgpack.decode(answer, type=Picture | Refusal)
    if isinstance(said, Refusal):
        raise InvalidField("content", said.reason)
    if not said.is_sound():
        raise InvalidField("content", "The file cannot be read as a picture; it may be damaged.")
    return said
