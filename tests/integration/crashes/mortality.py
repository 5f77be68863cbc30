"""Who dies when: the plan of failpoints with which a crash between any two exchanges with PostgreSQL is tried, one after the other."""

import asyncio

import psycopg

from chassis.failpoints import Failpoint


class Died(BaseException):
    """The process that did this is gone, and whatever else it would have done is not done either."""


class Mortality:
    """Has a process die, or lose a connection, after its n-th exchange with PostgreSQL.

    A process is told by the application of its pool. One that is dead can do nothing to PostgreSQL until it is revived.
    """

    def __init__(self) -> None:
        self.exchanges = 0
        self.died = asyncio.Event()
        self._application = ""
        self._at = 0
        self._is_deadly = False
        self.has_struck = False

    def expect(self, application: str, at: int, *, is_deadly: bool) -> None:
        """Strike a process after so many of its exchanges from now on: deadly, or only at its connection."""
        self._application, self._at, self._is_deadly = application, at, is_deadly
        self.exchanges, self.has_struck = 0, False
        self.died.clear()

    def revive(self) -> None:
        """Let everybody live, until another death is expected."""
        self._application = ""
        self.died.clear()

    def __call__(self, point: Failpoint, application: str) -> float:
        if application != self._application:
            return 0
        if self.died.is_set():
            raise Died
        if point is Failpoint.DATABASE_AFTER:
            self.exchanges += 1
            if self.exchanges == self._at:
                self._strike()
        return 0

    def _strike(self) -> None:
        self.has_struck = True
        if self._is_deadly:
            self.died.set()
            raise Died
        raise psycopg.OperationalError("planted: the connection is lost, and the answer with it")
