"""Logs: one JSON object per line, with the process that wrote it and without secrets."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from chassis.logs import MAX_GATHERED, SECRET_WORDS, configure_logging, logger_for_lines
from chassis.settings import Settings

SETTINGS = Settings(secret="s" * 32)


Output = Callable[[], str]


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str]) -> Iterator[Output]:
    """Returns what has been written to standard error; logging is put back as it was afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield lambda: capsys.readouterr().err
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(written: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.splitlines()]


def test_an_event_is_one_json_object(output: Output) -> None:
    configure_logging(SETTINGS, "relay")
    structlog.get_logger("kodama").info("おはよう\nworld", rows=3, odd=object)
    (line,) = lines(output())
    assert line["event"] == "おはよう\nworld"
    assert (line["level"], line["logger"], line["process"], line["rows"]) == ("info", "kodama", "relay", 3)
    assert line["timestamp"].endswith("Z")


def test_the_libraries_logs_are_json_too(output: Output) -> None:
    configure_logging(SETTINGS, "relay")
    logging.getLogger("some.library").warning("lost %s", "connection", extra={"password": "hunter2"})
    written = output()
    (line,) = lines(written)
    assert (line["event"], line["level"], line["logger"]) == ("lost connection", "warning", "some.library")
    assert "hunter2" not in written


def test_a_traceback_stays_in_its_line(output: Output) -> None:
    configure_logging(SETTINGS, "relay")
    try:
        raise ValueError("broken")
    except ValueError as error:
        structlog.get_logger("kodama").error("failed", exc_info=error)
    (line,) = lines(output())
    assert "ValueError: broken" in line["exception"]


def test_threads_say_their_process_too(output: Output) -> None:
    configure_logging(SETTINGS, "relay")
    thread = threading.Thread(target=structlog.get_logger("kodama").info, args=("relaying",))
    thread.start()
    thread.join()
    assert [line["process"] for line in lines(output())] == ["relay"]


@pytest.mark.parametrize("word", SECRET_WORDS)
@pytest.mark.parametrize("key", ["{}", "old_{}", "{}_hash"])
def test_secrets_are_redacted_by_their_key(word: str, key: str, output: Output) -> None:
    configure_logging(SETTINGS, "account")
    name = key.format(word)
    structlog.get_logger("kodama").info(
        "signed in",
        **{name: "hunter2", name.upper(): b"hunter2"},
        headers={name.title(): "hunter2", "nested": [{name: "hunter2"}], "host": "kodama.example"},
    )
    written = output()
    (line,) = lines(written)
    assert "hunter2" not in written
    assert line[name] == line[name.upper()] == line["headers"][name.title()] == "[redacted]"
    assert line["headers"]["host"] == "kodama.example"


def test_the_level_is_kept(output: Output) -> None:
    configure_logging(SETTINGS.model_copy(update={"log_level": "warning"}), "relay")
    structlog.get_logger("kodama").info("not said")
    logging.getLogger("some.library").info("not said")
    structlog.get_logger("kodama").warning("said")
    assert [line["event"] for line in lines(output())] == ["said"]


def test_people_can_read_the_console_form(output: Output) -> None:
    configure_logging(SETTINGS.model_copy(update={"log_format": "console"}), "relay")
    structlog.get_logger("kodama").info("relaying", token="hunter2")
    written = output()
    assert "relaying" in written
    assert "hunter2" not in written


async def test_lines_of_one_moment_are_written_together_and_in_order(output: Output) -> None:
    configure_logging(SETTINGS, "gateway", gathers=True)
    said = []
    for number in range(3):
        structlog.get_logger("kodama").info("request", number=number)
        said.append(output())
    async with asyncio.timeout(10):
        while not said[-1]:
            await asyncio.sleep(0.01)
            said.append(output())
    assert not any(said[:-1])
    assert [line["number"] for line in lines(said[-1])] == [0, 1, 2]


async def test_a_warning_does_not_wait_and_comes_after_what_was_said_before(output: Output) -> None:
    configure_logging(SETTINGS, "gateway", gathers=True)
    structlog.get_logger("kodama").info("first")
    structlog.get_logger("kodama").warning("then")
    assert [line["event"] for line in lines(output())] == ["first", "then"]


async def test_lines_of_requests_have_the_form_of_all_others(output: Output) -> None:
    configure_logging(SETTINGS, "gateway", gathers=True)
    logger_for_lines("kodama.access").info("request", path="/home", http_status=200)
    structlog.get_logger("kodama.access").info("request", path="/home", http_status=200)
    logging.getLogger().handlers[0].flush()
    lean, usual = lines(output())
    assert lean.keys() == usual.keys()
    assert {**lean, "timestamp": ""} == {**usual, "timestamp": ""}
    assert lean["timestamp"] <= usual["timestamp"]


async def test_lines_of_requests_are_left_out_where_only_warnings_are_wanted(output: Output) -> None:
    configure_logging(SETTINGS.model_copy(update={"log_level": "warning"}), "gateway", gathers=True)
    logger_for_lines("kodama.access").info("request")
    structlog.get_logger("kodama").warning("said")
    assert [line["event"] for line in lines(output())] == ["said"]


async def test_what_is_gathered_is_bounded(output: Output) -> None:
    configure_logging(SETTINGS, "gateway", gathers=True)
    for number in range(MAX_GATHERED):
        structlog.get_logger("kodama").info("request", number=number)
    assert len(lines(output())) == MAX_GATHERED


def test_a_loop_that_ends_leaves_its_lines_to_whoever_comes_next(output: Output) -> None:
    async def say(event: str) -> None:
        structlog.get_logger("kodama").info(event)

    configure_logging(SETTINGS, "gateway", gathers=True)
    asyncio.run(say("in one loop"))
    asyncio.run(say("in another"))
    logging.getLogger().handlers[0].flush()  # as logging.shutdown does when the process ends
    assert [line["event"] for line in lines(output())] == ["in one loop", "in another"]
