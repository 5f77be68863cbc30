"""A page of a home timeline as the timeline service answers it: tuples, because twenty entries are looked at for each request."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kodama.status.v1 import status_pb2

from chassis.ragged import split


class HomeEntry(NamedTuple):
    """One entry, and what its owner has just said of it to this viewer."""

    entry_id: int
    author_id: int
    version: int
    """0 for what is no status; the rest means nothing then."""
    replies_count: int
    favourites_count: int
    is_favourited: bool
    media_ids: Sequence[int] = ()


@dataclass(frozen=True)
class HomePage:
    """Entries, newest first, from where to read on, and how late the fan-out is."""

    entries: Sequence[HomeEntry]
    lag_ms: int
    older: int
    """There can be more below this id, also where the page is short or empty; 0 where the timeline or the window ends."""
    newer: int
    """What is newer is above this id; 0 where the page tells nothing of it."""


def home_entries(author_ids: Sequence[int], cards: status_pb2.StatusCards) -> list[HomeEntry]:
    """Return the entries of several pages, one after the other."""
    media: Sequence[Sequence[int]] = [()] * len(cards.status_ids)
    if cards.media_ids:
        media = [part for _, part in split(cards.status_ids, cards.media_counts, cards.media_ids)]
    fields = (
        *(cards.status_ids, author_ids, cards.versions, cards.replies_counts, cards.favourites_counts),
        *(cards.are_favourited, media),
    )
    return list(map(HomeEntry._make, zip(*fields, strict=True)))
