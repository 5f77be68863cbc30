"""What is remembered for a moment is never older than that moment."""

from services.gateway.remembering import Remembered


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_an_answer_is_as_old_as_its_question() -> None:
    clock = Clock()
    known = Remembered[str, int](5, 10, clock)
    asked_at = known.now()
    clock.now += 4
    known.keep("a", 1, asked_at)
    assert known.find("a", known.now()) == 1
    clock.now += 1
    assert known.find("a", known.now()) is None


def test_what_was_asked_before_it_was_forgotten_is_not_kept() -> None:
    clock = Clock()
    known = Remembered[str, int](5, 10, clock)
    asked_at = known.now()
    clock.now += 1
    known.forget("a")
    known.keep("a", 1, asked_at)
    assert known.find("a", known.now()) is None
    clock.now += 5  # as long as an answer would be remembered
    known.keep("a", 2, known.now())
    assert known.find("a", known.now()) == 2


def test_no_more_is_remembered_than_there_is_room_for() -> None:
    known = Remembered[int, int](5, 3, Clock())
    for key in range(10):
        known.keep(key, key, known.now())
    assert [known.find(key, known.now()) for key in range(10)] == [None] * 7 + [7, 8, 9]
