"""Where the kernel adds up: what it knows about one member at a time."""

from typing import NamedTuple

import numpy as np

from services.social_graph.suggestions.compiling import Array, Whole, compiled

MEMBER_SLOT = 1
FRIEND_SLOT = 2
"""The slot of the member's first friend; the others follow, then the candidates. Slot 0 is of whoever has none."""


class Table(NamedTuple):
    """A slot for the member, for each friend and for each candidate of one member; empty between members.

    Slots are taken one after the other, so that what is known of a few hundred candidates is close together in memory, and only
    `slots` is as wide as the network: 4 bytes per member, most of which are looked at once or never.
    """

    slots: Array
    """int32: the slot of each row, 0 for none."""
    rows: Array
    """int32: the row of each slot."""
    words: Array
    """int64: of candidates above zero, of the member and their friends below, 0 for slots that are not in use."""
    scores: Array
    """float64: of the slots in use, as far as they were computed."""
    chosen: Array
    """int32: slots that may be among the best."""


def make_table(n: int) -> Table:
    """Return an empty table for networks of up to n members."""
    size = n + FRIEND_SLOT  # one to spare: the next slot is written before it is known whether it is needed
    return Table(
        np.zeros(n, dtype=np.int32),
        np.empty(size, dtype=np.int32),
        np.zeros(size, dtype=np.int64),
        np.empty(size, dtype=np.float64),
        np.empty(size, dtype=np.int32),
    )


_at_rest: list[Table] = []


def take_table(n: int) -> Table:
    """Return an empty table for n members that nobody else uses, an old one where there is one: new memory costs more than it looks."""
    try:
        table = _at_rest.pop()
    except IndexError:
        return make_table(1 << max(0, n - 1).bit_length())
    return table if len(table.slots) >= n else take_table(n)


def put_back(table: Table) -> None:
    """Keep a table that is empty for who takes one next."""
    _at_rest.append(table)


@compiled
def clear(table: Table, count: Whole) -> None:
    """Empty the slots in use."""
    for i in range(MEMBER_SLOT, count):
        table.slots[np.uint64(table.rows[i])] = 0
    table.words[:count] = 0
