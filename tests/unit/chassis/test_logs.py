"""Logs: one JSON object per line, with the process that wrote it and without secrets."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from chassis.logs import SECRET_WORDS, configure_logging
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
