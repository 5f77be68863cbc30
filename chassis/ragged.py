"""Lists of lists as contracts carry them: all elements in one list, and how many belong to each part.

A message for each part, or for each element, costs Python ten times as much as the number that it holds.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate, chain
from typing import TypeVar

from chassis.errors import InvalidField

Element = TypeVar("Element")
Owner = TypeVar("Owner")


def join(parts: Sequence[Sequence[Element]]) -> tuple[list[int], list[Element]]:
    """Return how long each part is, and all their elements."""
    return [len(part) for part in parts], list(chain.from_iterable(parts))


def split(
    owners: Sequence[Owner], counts: Sequence[int], elements: Iterable[Element]
) -> list[tuple[Owner, list[Element]]]:
    """Return the parts again, each with whose it is. Raises InvalidField where the counts fit neither the owners nor the elements."""
    flat = list(elements)
    if len(counts) != len(owners) or min(counts, default=0) < 0 or sum(counts) != len(flat):
        raise InvalidField("counts", f"The counts do not share {len(flat)} elements out among {len(owners)}.")
    return [
        (owner, flat[end - count : end]) for owner, count, end in zip(owners, counts, accumulate(counts), strict=True)
    ]
