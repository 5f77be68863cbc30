"""The event loop of a worker process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from chassis import task_app
from chassis.task_app import Runtime


async def test_what_was_opened_is_closed_where_the_rest_does_not_open_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_app, "RESULT_MARGIN_SECONDS", 0.1)
    events: list[str] = []

    @asynccontextmanager
    async def open_half() -> AsyncIterator[None]:
        events.append("opened")
        try:
            await asyncio.Event().wait()
            yield
        finally:
            await asyncio.sleep(0.05)  # as pools and channels do, which say goodbye
            events.append("closed")

    async def work(_: None) -> None:
        events.append("worked")

    runtime = Runtime(open_half)
    for _ in range(2):
        events.clear()
        with pytest.raises(TimeoutError):
            await asyncio.to_thread(runtime.run, work, 1)
        assert events == ["opened", "closed"]
