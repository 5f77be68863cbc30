"""For every mutant a short history that shows its fault, in the words of the machine's rules."""

import random
from collections.abc import Callable

from tests.integration.timeline import mutants, relay_mutants
from tests.integration.timeline.machine import Machine
from tests.integration.timeline.parts import FILL_ENTRIES, Mutant

History = Callable[[Machine], None]
READER, AUTHOR, STRANGER = 0, 1, 3
"""In the beginning the reader is the author's friend and pushed to; the stranger has never read and knows nobody."""


def _check(machine: Machine, reader: int) -> None:
    machine.asleep.discard(reader)
    machine.check(reader)


def _do_all(machine: Machine, *tasks: str) -> None:
    """Relay, and do what waits of these tasks, one task after the other; of all, in some order, without any named."""
    if not tasks:
        machine.do_all_work(chance=random.Random(1))
        return
    machine.relay()
    for task in tasks:
        _do(machine, task)


def _do(machine: Machine, task: str, fate: str = "done") -> None:
    """Do the first message of this task that waits."""
    number = [delivery.task for delivery in machine.broker.waiting].index(task)
    machine.do_work(number=number, fate=fate)


def _let_the_stranger_in(machine: Machine) -> None:
    _check(machine, STRANGER)
    _do_all(machine)


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
    machine.relay()
    _do(machine, "timeline.fan_out", "dies before")
    _check(machine, READER)


def late_look(machine: Machine) -> None:
    machine.post(author=AUTHOR, visibility=3)
    machine.relay()
    machine.do_work_during_a_read(reader=READER, number=0)


def no_filter(machine: Machine) -> None:
    machine.post_and_deliver(author=AUTHOR)
    machine.unfriend(two=(READER, AUTHOR))
    _check(machine, READER)


def cached_visibility(machine: Machine) -> None:
    machine.post_and_deliver(author=AUTHOR)
    _check(machine, READER)
    machine.narrow(number=0, visibility=4)
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


def id_cursor(machine: Machine) -> None:
    machine.begin_slow_post(author=AUTHOR)
    machine.post(author=AUTHOR, visibility=3)
    machine.relay()
    machine.commit_slow_post()
    machine.come_to_rest()


def no_leases(machine: Machine) -> None:
    machine.post(author=AUTHOR, visibility=3)
    machine.relay()
    machine.lose_the_broker()
    machine.come_to_rest()


def no_confirms(machine: Machine) -> None:
    for _ in range(2):
        machine.post(author=AUTHOR, visibility=3)
        machine.relay_to_a_breaking_broker()
        machine.lose_the_broker()
        _check(machine, READER)


def marker_without_entries(machine: Machine) -> None:
    machine.post(author=AUTHOR, visibility=3)
    machine.relay()
    _do(machine, "timeline.fan_out", "dies while")
    _do(machine, "timeline.fan_out")
    _check(machine, READER)


def no_marker(machine: Machine) -> None:
    machine.post_and_deliver(author=AUTHOR)
    machine.replay(number=len(machine.broker.past) - 1)
    _do(machine, "timeline.fan_out")


def cached_relations(machine: Machine) -> None:
    machine.post_and_deliver(author=AUTHOR)
    _check(machine, READER)
    machine.unfriend(two=(READER, AUTHOR))
    _check(machine, READER)


def no_mutes(machine: Machine) -> None:
    machine.post_and_deliver(author=AUTHOR)
    machine.mute(two=(READER, AUTHOR), seconds=0)
    _check(machine, READER)


def trim_without_floor(machine: Machine) -> None:
    machine.post_and_deliver(author=AUTHOR)
    machine.post_and_deliver(author=AUTHOR)
    machine.trim(number=1)
    _check(machine, READER)


def fill_after_promise(machine: Machine) -> None:
    machine.befriend(two=(AUTHOR, STRANGER))
    machine.post_and_deliver(author=AUTHOR)
    _do_all(machine)
    _check(machine, STRANGER)
    machine.let_leases_end()
    machine.relay()
    _do(machine, "timeline.fill", "dies while")
    _check(machine, STRANGER)


def counted_twice(machine: Machine) -> None:
    machine.befriend(two=(AUTHOR, STRANGER))
    for _ in range(FILL_ENTRIES + 2):
        machine.post_and_deliver(author=AUTHOR)
    _check(machine, STRANGER)
    _do_all(machine)
    machine.hold(queue="timeline.bulk")
    machine.befriend(two=(READER, STRANGER))
    machine.post_and_deliver(author=READER)
    machine.walk(reader=STRANGER, limit=FILL_ENTRIES + 2)


HISTORIES: dict[type[Mutant], History] = {
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
    relay_mutants.RelayWithIdCursor: id_cursor,
    relay_mutants.RelayWithoutLeases: no_leases,
    relay_mutants.RelayWithoutConfirms: no_confirms,
    mutants.MarkerWithoutEntries: marker_without_entries,
    mutants.NoMarker: no_marker,
    mutants.BackfillFromReplica: no_backfill,
    mutants.CachedRelations: cached_relations,
    mutants.CachedVisibility: cached_visibility,
    mutants.FriendshipIsEnough: no_mutes,
    mutants.TrimWithoutFloor: trim_without_floor,
    mutants.FillAfterPromise: fill_after_promise,
    mutants.CountedTwice: counted_twice,
}
