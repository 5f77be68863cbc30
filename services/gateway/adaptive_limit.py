"""How many requests are worked on at once, by the age of what is worked on. Pure.

As many as are answered within 0.3 s each: then what is worked on is 0.15 s old on average. Of more, each only takes longer.
"""

TARGET_AGE_SECONDS = 0.15
FEWEST = 64
"""Never fewer, however slow everything is: a machine with much else to do is slow, and not overloaded by us."""
USUAL = 100
"""So many where nothing is known yet, and again when the rush is over."""
MOST = 1000
SHRINK, GROW = 0.7, 1.25
"""At most so much at once: a machine that stood still for a moment is no slow machine."""


class AdaptiveLimit:
    """A limit that shrinks while what is worked on is older than the target, and grows while it is younger.

    The average age of what is worked on at a moment says more than how long answers took: it does not wait for those that do not come,
    and a thousand quick refusals of tokens do not hide that everything else is slow. More than is usual is let in only where somebody
    would have to wait otherwise.
    """

    def __init__(self) -> None:
        self._limit = float(USUAL)
        self._ages: list[float] = []
        self.value = USUAL

    @property
    def is_usual(self) -> bool:
        """Whether it is where it was in the beginning."""
        return self.value == USUAL

    def note(self, inside: int, age_seconds: float) -> None:
        """Note how many are worked on at a moment, and how old that is on average; what a few are is by chance."""
        if inside >= FEWEST / 4:
            self._ages.append(age_seconds)

    def adjust(self, *, has_anybody_waited: bool) -> None:
        """Take what has been noted into account; every 0.2 s."""
        age = sum(self._ages) / len(self._ages) if self._ages else 0.0
        self._ages.clear()
        change = min(max(TARGET_AGE_SECONDS / age, SHRINK), GROW) if age else GROW
        if change > 1 and not has_anybody_waited:
            wanted = min(self._limit * GROW, USUAL) if self._limit < USUAL else max(self._limit * SHRINK, USUAL)
        else:
            wanted = self._limit * change
        self._limit = min(max(wanted, FEWEST), MOST)
        self.value = round(self._limit)
