"""From where a stream goes on: everything that its client has, in one word that the client need not understand.

Ids are ordered by when they were made, not by when they were committed, so "everything up to the last event" would leave out what comes to
light later with a smaller id. What a client has is therefore everything up to an id below which nothing can come any more, the floor, and
some ids above it.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import accumulate, pairwise

from chassis.ids import MAX_ID, first_id_at

OVERLAP_MS = 20_000
"""An id can be committed so long after it was made, and not longer: a statement may take 5 s, and a transaction stand idle for 10 s."""
MAX_ABOVE = 200
"""So many ids above the floor are named; of more, the oldest come again."""
_TEXT = re.compile(rf"[0-9]{{1,19}}(?:-[0-9a-f]{{1,16}}){{0,{MAX_ABOVE}}}")


@dataclass(frozen=True)
class Resumption:
    """What a client has: all up to the floor, and these above it."""

    floor: int = 0
    above: frozenset[int] = frozenset()

    def __str__(self) -> str:
        """Return it as the id of an event: the floor, then the distance from each id to the next, in hexadecimal digits."""
        ids = [self.floor, *sorted(self.above)[-MAX_ABOVE:]]
        return "-".join([str(self.floor), *(f"{later - earlier:x}" for earlier, later in pairwise(ids))])

    @staticmethod
    def read(text: str) -> "Resumption":
        """Return what `str` made of one; a number alone is all up to that id. Raises ValueError."""
        if not _TEXT.fullmatch(text):
            raise ValueError("This is not the id of an event.")
        floor, *distances = text.split("-")
        ids = list(accumulate((int(distance, 16) for distance in distances), initial=int(floor)))
        if ids[-1] > MAX_ID:
            raise ValueError("There is no such id.")
        return Resumption(ids[0], frozenset(ids[1:]) - {ids[0]})


def settled_below(newest_id: int) -> int:
    """Return an id up to which nothing new can come to light once this one has been seen."""
    return max(0, newest_id - first_id_at(OVERLAP_MS))


def at_the_end_of(newest_ids: Collection[int], *, is_whole: bool) -> Resumption:
    """Return what somebody has who has just read the newest of a list: a page of ids, and whether there is nothing below it."""
    newest = max(newest_ids, default=0)
    floor = settled_below(newest)
    if not is_whole:
        floor = max(floor, min(newest_ids, default=0))
    return Resumption(floor or 1, frozenset(an_id for an_id in newest_ids if an_id > floor))
