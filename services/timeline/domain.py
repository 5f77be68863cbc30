"""What a home timeline is made of; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chassis.ids import MAX_ID

NEVER_PUSHED = MAX_ID
"""A `pushed_from` above every id: nothing has been pushed, everything is pulled."""


@dataclass(frozen=True)
class Entry:
    """One entry of a home timeline."""

    entry_id: int
    author_id: int


@dataclass(frozen=True)
class Home:
    """From which id on a member's home timeline is pushed, and whether its reading has to be noted."""

    pushed_from: int
    """Not below the retention's floor."""
    is_stale: bool
    """The last noted read is more than an hour ago."""
    is_dormant: bool
    """The last noted read is so long ago that fan-outs may have passed this member over: what was pushed may have gaps."""
    pulled_authors: tuple[int, ...] = ()
    """Authors whose posts may not have been pushed to anybody, because they have too many friends."""


@dataclass(frozen=True)
class OpenWork:
    """What the ledgers say is not delivered yet, as of a moment before anything else was read."""

    entries: Mapping[int, int] = field(default_factory=dict)
    """Entry id → author id of posts whose fan-out is open."""
    backfills: Mapping[int, frozenset[int]] = field(default_factory=dict)
    """Account id → friends whose older posts are not all there yet."""
    rebased: frozenset[int] = frozenset()
    """Accounts whose friendships came by import: nothing that was pushed to them can be relied on."""
    oldest_at_ms: int = 0
    """When the oldest post was made whose fan-out is open, Unix time in milliseconds; 0 with none."""
    is_cut: bool = False
    """The list was too long to be taken whole: nothing that was pushed to anybody can be relied on."""

    def pushed_from(self, account_id: int, home: Home | None) -> int:
        """Return from which id on a member's pushed entries and this list are everything there is."""
        if home is None or home.is_dormant or self.is_cut or account_id in self.rebased:
            return NEVER_PUSHED
        return home.pushed_from


def lowest_complete(entries: Sequence[Entry], limit: int) -> int:
    """Return the id below which to look on after a pull of all kinds, each of at most `limit`.

    Where a kind filled its page, only the newest `limit` of all kinds together are known to have no gaps.
    """
    ends = [entry.entry_id for entry in entries]
    return min(ends) if len(ends) < limit else sorted(ends, reverse=True)[limit - 1]
