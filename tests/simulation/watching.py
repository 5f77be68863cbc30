"""What a read may show: everything that was there all the time, nothing that was never there."""

from collections.abc import Sequence

from chassis.ids import MAX_ID
from chassis.paging import Page
from tests.simulation.tables import Tables


class Wrong(AssertionError):
    """What the design promises did not hold."""


class Watch:
    """What has stood on a member's home timeline while they were reading."""

    def __init__(self, account_id: int, truth: set[int], excused: set[int]) -> None:
        self.account_id = account_id
        self.always = truth - excused
        self.ever = set(truth)


class Truth:
    """Follows what is committed."""

    def __init__(self, tables: Tables, members: Sequence[int], max_age_ms: int) -> None:
        self._tables = tables
        self._max_age_ms = max_age_ms
        self._last: dict[int, set[int]] = {member: tables.true_home(member) for member in members}
        self._came_at: dict[tuple[int, int], int] = {}
        self._watches: set[Watch] = set()
        tables.on_commit = self._look

    def _look(self) -> None:
        for member, last in self._last.items():
            truth = self._tables.true_home(member)
            if truth != last:
                for entry_id in truth - last:
                    self._came_at[member, entry_id] = self._tables.clock.ms
                self._last[member] = truth
                for watch in self._watches:
                    if watch.account_id == member:
                        watch.always &= truth
                        watch.ever |= truth

    def begin(self, account_id: int) -> Watch:
        """Return a watch over a read that begins now. Others' posts may be missing that came as lately as the list of open work is old."""
        since = self._tables.clock.ms - self._max_age_ms
        truth = self._last[account_id]
        excused = {
            entry_id
            for entry_id in truth
            if self._came_at.get((account_id, entry_id), -1) >= since and self._tables.statuses[entry_id] != account_id
        }
        watch = Watch(account_id, truth, excused)
        self._watches.add(watch)
        return watch

    def end(self, watch: Watch) -> None:
        """Watch no more."""
        self._watches.discard(watch)


def compare(watch: Watch, page: Page, read: Sequence[int]) -> None:
    """Raise Wrong where a page lacks or shows what it must not."""
    if list(read) != sorted(set(read), reverse=True) or len(read) > page.limit:
        raise Wrong(f"{watch.account_id} reads out of order or twice: {read}")
    if forbidden := set(read) - watch.ever:
        raise Wrong(f"{watch.account_id} reads what is not theirs: {sorted(forbidden)}")
    above, below = page.above, page.below
    if len(read) == page.limit and page.upwards:
        below = read[0]
    elif len(read) == page.limit:
        above = read[-1]
    if missing := {an_id for an_id in watch.always if above < an_id < below} - set(read):
        raise Wrong(
            f"{watch.account_id} misses {sorted(missing)} between {above} and {below if below < MAX_ID else 'now'}, reads {read}"
        )
