"""For every mutant a short history that shows its fault, in the words of the machine's rules."""

import random
from collections.abc import Callable

from tests.integration.timeline import mutants
from tests.integration.timeline.machine import Machine

History = Callable[[Machine], None]
READER, AUTHOR, STRANGER = 0, 1, 3
"""In the beginning the reader is the author's friend and pushed to; the stranger has never read and knows nobody."""


def _check(machine: Machine, reader: int) -> None:
    machine.asleep.discard(reader)
    machine.check(reader)


def _do_all(machine: Machine, *tasks: str) -> None:
    """Do what is open of these tasks, one task after the other; of all, in some order, without any named."""
    if not tasks:
        machine.do_all_work(chance=random.Random(1))
    for task in tasks:
        for number, row in enumerate(machine.open_rows()):
            if row.task == task:
                machine.do_work(number=number, is_struck=True)
                break


def _let_the_stranger_in(machine: Machine) -> None:
    _check(machine, STRANGER)
    _do_all(machine)
    machine.let_time_pass()


def cached_friends(machine: Machine) -> None:
    _let_the_stranger_in(machine)
    machine.post_and_deliver(author=AUTHOR)
    machine.befriend(two=(AUTHOR, STRANGER))
    _do_all(machine)
    machine.post_and_deliver(author=AUTHOR)
    _check(machine, STRANGER)


def careless_purge(machine: Machine) -> None:
    machine.post_and_deliver(author=AUTHOR)
    machine.fall_out_and_make_up(two=(READER, AUTHOR))
    _do_all(machine, "timeline.backfill", "timeline.purge")
    _check(machine, READER)


def no_backfill(machine: Machine) -> None:
    _let_the_stranger_in(machine)
    machine.post_and_deliver(author=AUTHOR)
    machine.befriend(two=(AUTHOR, STRANGER))
    _do_all(machine)
    _check(machine, STRANGER)


def struck_too_early(machine: Machine) -> None:
    machine.post(author=AUTHOR, visibility=3)
    machine.do_work(number=0, is_struck=False)
    _check(machine, READER)


def late_look(machine: Machine) -> None:
    machine.post(author=AUTHOR, visibility=3)
    machine.do_work_during_a_read(reader=READER, number=0)


def no_filter(machine: Machine) -> None:
    machine.post_and_deliver(author=AUTHOR)
    machine.unfriend(two=(READER, AUTHOR))
    _check(machine, READER)


def hasty_activation(machine: Machine) -> None:
    machine.befriend(two=(AUTHOR, STRANGER))
    machine.post_and_deliver(author=AUTHOR)
    _do_all(machine)
    _check(machine, STRANGER)
    _check(machine, STRANGER)


def trusted_sleeper(machine: Machine) -> None:
    machine.sleep(reader=READER)
    machine.post_and_deliver(author=AUTHOR)
    _check(machine, READER)


def no_open_work(machine: Machine) -> None:
    _check(machine, READER)
    machine.post(author=AUTHOR, visibility=3)
    _check(machine, READER)


def forgotten_heavy_author(machine: Machine) -> None:
    machine.post_and_deliver(author=AUTHOR)
    _check(machine, READER)


HISTORIES: dict[type[mutants.Mutant], History] = {
    mutants.FanOutWithCachedFriends: cached_friends,
    mutants.PurgeRacesRefriending: careless_purge,
    mutants.NoBackfill: no_backfill,
    mutants.StruckTooEarly: struck_too_early,
    mutants.OpenWorkAfterEntries: late_look,
    mutants.NoFilter: no_filter,
    mutants.PushedFromTheBeginning: hasty_activation,
    mutants.SleeperTrusted: trusted_sleeper,
    mutants.NoOpenWork: no_open_work,
    mutants.HeavyAuthorsForgotten: forgotten_heavy_author,
}
