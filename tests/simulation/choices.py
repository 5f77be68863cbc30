"""Where all chance of a schedule comes from: a seed, or the list of what was chosen before."""

import random
from collections.abc import Sequence


class Choices:
    """Answers every question with a number, and remembers it; after the end of a given list always with 0."""

    def __init__(self, seed: int, given: Sequence[int] | None = None) -> None:
        self.made: list[int] = []
        self._given = given
        self._chance = random.Random(seed)

    def below(self, end: int) -> int:
        """Return a number from 0 to below an end."""
        if end <= 1:
            return 0
        if self._given is None:
            chosen = int(self._chance.random() * end)
        else:
            chosen = self._given[len(self.made)] % end if len(self.made) < len(self._given) else 0
        self.made.append(chosen)
        return chosen
