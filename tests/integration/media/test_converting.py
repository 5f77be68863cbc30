"""The process that converts files: what it can do, how it ends, and what is believed of what it says."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from chassis.errors import InvalidField, Unavailable
from services.media.converting import Converter
from tests.integration.media.files import MARKER, photo, png_of


@pytest.fixture
def converter() -> Converter:
    return Converter(at_once=2)


async def test_a_file_goes_through_the_real_process(converter: Converter) -> None:
    made = await converter.convert(photo())
    assert (made.original.width, made.extension) == (64, "jpg")
    assert MARKER.encode() not in made.original.content + made.preview.content
    for hostile in (b"no picture", png_of(1, 1_000_000_000)):
        with pytest.raises(InvalidField) as refused:
            await converter.convert(hostile)
        assert refused.value.metadata["field"] == "content"


def probe(tmp_path: Path, work: str, imports: str = "") -> Converter:
    """A converter that gives up its rights and then does this instead of its work; exits with 0 where it gets to the end."""
    program = tmp_path / "probe.py"
    program.write_text(
        f"{imports}\nimport ctypes, os, signal, socket, subprocess, sys, time\n"
        "from services.media.sandbox import give_up_rights\n"
        f"give_up_rights()\nsys.stdin.buffer.read()\n{work}\n"
    )
    return Converter(at_once=1, command=(sys.executable, "-I", str(program)), wall_seconds=5)


ATTEMPTS = (
    "open('/etc/passwd')",
    "open('/tmp/kodama-probe', 'w')",
    "socket.socket()",
    "os.pipe()",
    "os.dup(1)",
    "bytearray(2 << 30)",
    "os.setuid(0)",
    "os.fork()",
    "os.kill(os.getppid(), 0)",
)


async def test_the_converter_can_do_nothing_but_compute(tmp_path: Path) -> None:
    tried = ATTEMPTS if os.geteuid() == 0 else ATTEMPTS[:6]  # somebody who is not root stays who they are
    steps = (
        f"try:\n    {attempt}\n    raise SystemExit({number})\nexcept (OSError, MemoryError): pass\n"
        for number, attempt in enumerate(tried, start=10)
    )
    command = probe(tmp_path, "".join(steps) + "raise SystemExit(7)")._command
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL, env={}, cwd="/")
    assert await process.wait() == 7


async def test_the_converter_is_told_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KODAMA_SECRET", "s" * 32)
    converter = probe(tmp_path, "raise SystemExit(any('KODAMA' in name for name in os.environ))")
    with pytest.raises(Exception, match=r"truncated|ended"):  # it has ended well, and said nothing
        await converter.convert(b"x")


async def test_a_decoder_that_computes_without_end_is_stopped(tmp_path: Path) -> None:
    program = "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 2))\nwhile True: pass"
    with pytest.raises(InvalidField):
        await probe(tmp_path, program).convert(b"x")


async def test_a_converter_that_crashes_is_the_files_fault(tmp_path: Path) -> None:
    for number in (signal.SIGSEGV, signal.SIGABRT):
        with pytest.raises(InvalidField) as refused:
            await probe(tmp_path, f"os.kill(os.getpid(), {int(number)})").convert(b"x")
        assert refused.value.metadata["field"] == "content"


async def test_a_converter_that_waits_or_fails_is_nobodys_fault(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        await probe(tmp_path, "raise SystemExit(3)").convert(b"x")
    slow = probe(tmp_path, "time.sleep(60)")
    slow._wall_seconds = 1
    with pytest.raises(Unavailable, match="too long"):
        await slow.convert(b"x")
    assert converters() == []


async def test_a_converter_that_floods_is_cut_off(tmp_path: Path) -> None:
    flood = "while True: sys.stdout.buffer.write(bytes(1 << 20))"
    with pytest.raises(Unavailable):
        await probe(tmp_path, flood).convert(b"x")


def converters() -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if any("converter" in part or "probe.py" in part for part in child.cmdline()):
                found.append(child)
    return found


async def test_a_converter_that_is_killed_can_be_asked_again(converter: Converter) -> None:
    content = png_of(8000, 5000, bytes(8001 * 5000))
    converting = asyncio.create_task(converter.convert(content))
    while not converters():
        await asyncio.sleep(0.005)
    for child in converters():
        child.kill()
    with pytest.raises(Unavailable):
        await converting
    assert (await converter.convert(content)).original.width == 2048


async def test_nobody_waits_for_what_nobody_wants(converter: Converter) -> None:
    converting = asyncio.create_task(converter.convert(png_of(8000, 5000, bytes(8001 * 5000))))
    while not converters():
        await asyncio.sleep(0.005)
    converting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await converting
    assert converters() == []


async def test_what_a_converter_says_is_not_believed(tmp_path: Path) -> None:
    lies = (
        "import msgspec\nfrom services.media.domain import Picture, Rendition\n"
        "form = Rendition({side}, 5, {content})\n"
        "sys.stdout.buffer.write(msgspec.msgpack.encode(Picture({extension!r}, form, form, 'x')))"
    )
    for side, content, extension in (
        (70_000, b"\xff\xd8\xff", "jpg"),
        (5, b"<script>", "jpg"),
        (5, b"\xff\xd8\xff", "html"),
    ):
        program = lies.format(side=side, content=content, extension=extension)
        imports, _, rest = program.partition("form =")
        with pytest.raises(InvalidField):
            await probe(tmp_path, "form =" + rest, imports).convert(b"x")
