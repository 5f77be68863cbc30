"""How the oracle reads: everything to its end, patiently, many members side by side."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

from tests.faults.http_client import Answer, Http, Unanswered

AT_A_TIME = 24
TRIES = 40
PAUSE_SECONDS = 0.5
READ_SECONDS = 30.0
MAX_PAGES = 5000

Item = TypeVar("Item")


class Unreadable(Exception):
    """The network does not answer although nothing is done to it any more."""


class Reader:
    """Reads over HTTP, and counts what it took."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self.pages = 0
        self.retries = 0

    async def get(self, path: str, token: str) -> Answer:
        """Read one page; 4xx are answers too. Raises Unreadable where nothing comes for a long time."""
        what = ""
        for _ in range(TRIES):
            try:
                answer = await self._http.send("GET", path, token, seconds=READ_SECONDS)
            except Unanswered as error:
                what = str(error)
            else:
                if answer.code < 500 and answer.code != 429:
                    self.pages += 1
                    return answer
                what = f"{answer.code} {answer.body[:200]!r}"
            self.retries += 1
            await asyncio.sleep(PAUSE_SECONDS)
        raise Unreadable(f"{path}: {what}")

    async def walk(self, path: str, token: str) -> AsyncIterator[Answer]:
        """Read a list page by page, following Link to its end."""
        for _ in range(MAX_PAGES):
            answer = await self.get(path, token)
            yield answer
            path = answer.next_path
            if not path or answer.body == b"[]":
                return
        raise Unreadable(f"{path}: the list does not end")


async def each(items: Iterable[Item], work: Callable[[Item], Awaitable[None]]) -> None:
    """Do something with each item, so many side by side. Raises what any of it raises."""
    waiting = iter(items)

    async def take() -> None:
        for item in waiting:
            await work(item)

    takers = [asyncio.create_task(take()) for _ in range(AT_A_TIME)]
    try:
        await asyncio.gather(*takers)
    finally:
        for taker in takers:
            taker.cancel()
