"""Pages of lists ordered by descending id: the window that clients send, checked and bounded."""

from collections.abc import Sequence
from dataclasses import dataclass

from kodama.page.v1.window_pb2 import Window

from chassis.errors import InvalidField
from chassis.ids import MAX_ID


@dataclass(frozen=True)
class Page:
    """Ids strictly between `above` and `below`, at most `limit` of them: the newest, or, going upwards, the oldest.

    Whichever end they are taken from, pages are always shown newest first.
    """

    below: int
    above: int
    limit: int
    upwards: bool

    def parameters(self) -> dict[str, int]:
        """Return the parameters of a query on this page."""
        return {"below": self.below, "above": self.above, "limit": self.limit}


def page_of(window: Window, *, default: int, maximum: int) -> Page:
    """Return the page that a window asks for. Raises InvalidField for negative values."""
    for name, value in (("max_id", window.max_id), ("since_id", window.since_id), ("min_id", window.min_id)):
        if value < 0:
            raise InvalidField(name, f"{name} cannot be negative.")
    if window.limit < 0:
        raise InvalidField("limit", "limit cannot be negative.")
    return Page(
        below=window.max_id or MAX_ID,
        above=window.min_id or window.since_id,
        limit=min(window.limit or default, maximum),
        upwards=window.min_id > 0,
    )


def pages_of_each(
    owner_ids: Sequence[int], below_ids: Sequence[int], above_ids: Sequence[int], limits: Sequence[int], *, maximum: int
) -> list[tuple[int, Page]]:
    """Return (owner, page downwards) as a contract asks for them, field by field. Raises InvalidField for unequal numbers of them."""
    if not len(owner_ids) == len(below_ids) == len(above_ids) == len(limits):
        raise InvalidField(
            "limits", "There are as many limits, and ids that pages are below and above, as there are owners of pages."
        )
    if min(limits, default=0) < 0:
        raise InvalidField("limits", "limits cannot be negative.")
    return [
        (owner_id, Page(below=below, above=above, limit=min(limit, maximum), upwards=False))
        for owner_id, below, above, limit in zip(owner_ids, below_ids, above_ids, limits, strict=True)
    ]


def take_page(ids: Sequence[int], page: Page) -> list[int]:
    """Return the ids of a page out of some ids in any order, newest first."""
    inside = sorted({an_id for an_id in ids if page.above < an_id < page.below}, reverse=True)
    return inside[-page.limit :] if page.upwards else inside[: page.limit]
