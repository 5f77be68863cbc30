"""Any history leaves every home timeline exact; and the machine that says so would notice faults, as it does with every mutant."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from chassis.settings import Settings
from tests.integration.timeline.histories import HISTORIES
from tests.integration.timeline.machine import STEPS, Machine, NeverDone, NotTheTruth, WorkFailed, Wrong
from tests.integration.timeline.mutants import MUTANTS, NoMarker
from tests.integration.timeline.parts import Mutant
from tests.integration.timeline.relay_mutants import RelayWithIdCursor, RelayWithoutLeases
from tests.integration.timeline.stage import Stage

EXAMPLES = int(os.environ.get("KODAMA_MACHINE_EXAMPLES", "25"))
SHOWN_AS: dict[type[Mutant], type[Wrong]] = {
    RelayWithIdCursor: NeverDone,
    RelayWithoutLeases: NeverDone,
    NoMarker: WorkFailed,
}
"""How mutants show that do not show in a home timeline."""


@pytest.fixture(scope="module")
def stage(module_settings: Settings) -> Iterator[Stage]:
    opened = Stage(module_settings.model_copy(update={"timeline_open_work_max_age_ms": 0}))
    yield opened
    opened.close()


def test_every_home_timeline_is_exact_after_every_step(stage: Stage) -> None:
    Machine.stage = stage
    settings = hypothesis_settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        print_blob=True,
    )
    run_state_machine_as_test(Machine, settings=settings)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_caught_and_nothing_else(stage: Stage, mutant: type[Mutant]) -> None:
    class Sound(Machine):
        parts = Mutant()

    class Faulty(Machine):
        parts = mutant()

    Sound.stage = Faulty.stage = stage
    sound = Sound()
    sound.begin()
    try:
        HISTORIES[mutant](sound)
    finally:
        sound.teardown()
    faulty = Faulty()
    faulty.begin()
    try:
        with pytest.raises(SHOWN_AS.get(mutant, NotTheTruth)):
            HISTORIES[mutant](faulty)
    finally:
        faulty.teardown()
