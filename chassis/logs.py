"""Logging: one JSON object (or one coloured line) per event, on standard error, without secrets."""

import asyncio
import json
import logging
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import structlog

from chassis.settings import Settings

SECRET_WORDS = ("secret", "password", "token", "authorization", "cookie", "email")

GATHERING_SECONDS = 0.05
MAX_GATHERED = 500


class GatheringHandler(logging.Handler):
    """Writes the lines of 50 ms at once where an event loop runs; warnings go at once, and everything where none does.

    Every write wakes whoever reads the other end of the pipe: with a line per request the supervisor used 4 % of a core for that alone.
    A process that ends writes what it has; one that is killed loses what it noted in its last 50 ms.
    """

    def __init__(self, processors: Sequence[structlog.typing.Processor]) -> None:
        """`processors` are those of `logger_for_lines`; the last one makes the line."""
        super().__init__()
        self.processors = processors
        self._stream = sys.stderr
        self._lines: list[str] = []
        self._writer: asyncio.AbstractEventLoop | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Take one record."""
        try:
            self.add(self.format(record), is_urgent=record.levelno >= logging.WARNING)
        except Exception:  # whatever cannot be said must not fail what it is about
            self.handleError(record)

    def add(self, line: str, *, is_urgent: bool = False) -> None:
        """Take one line."""
        self._lines.append(line)
        loop = _running_loop()
        if loop is None or is_urgent or len(self._lines) >= MAX_GATHERED:
            self.flush()
        elif self._writer is not loop:
            self._writer = loop
            loop.call_later(GATHERING_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what has been gathered."""
        self.acquire()
        try:
            lines, self._lines, self._writer = self._lines, [], None
            if lines:
                self._stream.write("\n".join(lines) + "\n")
                self._stream.flush()
        except (OSError, ValueError):
            pass  # nobody is there to read it, nor anything that is said about that
        finally:
            self.release()


class _Lines:
    """Where a logger for lines puts them: what structlog calls a logger."""

    def __init__(self, handler: GatheringHandler) -> None:
        self._handler = handler

    def info(self, line: str) -> None:
        """Take one line."""
        self._handler.add(line)


def logger_for_lines(name: str) -> Any:
    """Return a logger whose `info(event, **fields)` is for what is noted at every request.

    Where lines are gathered it has the same form as all others, without the standard library's records between, which take two thirds of
    the time; its fields are not searched for secrets, so they have to be ones that cannot hold any.
    """
    root = logging.getLogger()
    handler = next((one for one in root.handlers if isinstance(one, GatheringHandler)), None)
    if handler is None:
        return structlog.get_logger(name)
    lean: Any = structlog.make_filtering_bound_logger(root.level)  # its constructor is not in its type
    return lean(_Lines(handler), handler.processors, {"logger": name})


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def configure_logging(settings: Settings, process: str, *, gathers: bool = False) -> None:
    """Send this process's logs, ours and the libraries', to standard error in the configured form.

    One that writes many lines from a loop that always runs `gathers` them.
    """

    def add_process(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {**event, "process": process}  # not a context variable: threads do not inherit those

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        add_process,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redact,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if settings.log_format == "console"
        else structlog.processors.JSONRenderer(serializer=_to_json)
    )
    lean: list[structlog.typing.Processor] = [
        add_process,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        renderer,
    ]
    handler = GatheringHandler(lean) if gathers else logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for noisy in (
        "httpx",
        "httpcore",
        "uvicorn.access",
        "amqp",
        "asyncio",
        "celery.worker.strategy",
        "celery.app.trace",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: _without_secrets(key, value) for key, value in event.items()}


def _to_json(event: Mapping[str, Any], **_: Any) -> str:
    try:
        return msgspec.json.encode(event, enc_hook=repr).decode()
    except (
        ValueError,
        OverflowError,
    ):  # half a surrogate pair, a number beyond 64 bits: rarities that shall be logged all the same
        return json.dumps(event, default=repr)


@lru_cache(maxsize=1024)
def _is_secret(key: str) -> bool:
    return any(word in key.lower() for word in SECRET_WORDS)


def _without_secrets(key: object, value: Any) -> Any:
    if _is_secret(str(key)):
        return "[redacted]"
    if isinstance(value, dict):
        return {inner: _without_secrets(inner, each) for inner, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets("", each) for each in value]
    return value
