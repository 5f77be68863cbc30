"""A crash between any two exchanges with PostgreSQL, tried one after the other: the network comes to rest as if nothing had been."""

import asyncio
import importlib
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from chassis import failpoints, topology
from chassis.errors import Conflict, Unavailable
from chassis.settings import SERVICES, Settings
from tests.integration.crashes.cases import CASES, UNSAFE, Case
from tests.integration.crashes.mortality import Mortality
from tests.integration.crashes.network import Network
from tests.integration.crashes.scene import Scene, begin

MAX_EXCHANGES = 60
NEVER = 10**9
LEFT_OUT = {
    "ResendConfirmation",
    "RevokeGrant",
    "ChangePassword",
    "DismissNotification",
    "UpdateMedia",
    "timeline.revise",
    "suggestions.snapshot",
    "suggestions.tune",
    "suggestions.compute",
    "suggestions.measure",
}
"""One statement or transaction each, or none at all; suggestions' with real processes in social_graph/test_killed_workers.py."""


TRIED = CASES if os.environ.get("KODAMA_CRASHES") == "all" else CASES[::4]
"""`make crashes` tries all, the other tests' run one of four."""


@pytest.fixture(scope="module")
async def network(module_settings: Settings) -> AsyncIterator[Network]:
    settings = module_settings.model_copy(
        update={"timeline_open_work_max_age_ms": 0, "shutdown_grace_seconds": 0, "database_pool_size": 2}
    )
    mortality = Mortality()
    failpoints.arm(mortality)
    opened = Network(settings, mortality)
    await opened.open()
    yield opened
    await opened.close()
    failpoints.arm(None)


async def set_up(network: Network, case: Case, count: int) -> list[Scene]:
    """Return so many scenes at the moment before it is done."""
    scenes = await begin(network, count)

    async def prepare(scene: Scene) -> None:
        for step in case.before:
            scene.made.append(await step.of(scene)())

    await asyncio.gather(*map(prepare, scenes))
    if case.before and case.is_asked_again:
        await network.come_to_rest()
    return scenes


async def count_exchanges(network: Network, case: Case) -> int:
    """Return how often it exchanges something with PostgreSQL."""
    [scene] = await set_up(network, case, 1)
    network.mortality.expect(case.application, NEVER, is_deadly=True)
    await case.do(scene)()
    network.mortality.revive()
    return network.mortality.exchanges


async def die(scene: Scene, case: Case, at: int) -> bool:
    """Do it, and let its process die after so many exchanges; tell whether it came to that."""
    do = case.do(scene)
    scene.network.mortality.expect(case.application, at, is_deadly=True)
    await scene.network.endure(case.application, do)
    scene.network.mortality.revive()
    if scene.network.mortality.has_struck and case.is_asked_again:
        await do()
    return scene.network.mortality.has_struck


async def lose_connections(scene: Scene, case: Case) -> None:
    """Do it until it is done, while the first try loses its connection after the first exchange, the second after the second, and so on."""
    do = case.do(scene)
    for at in range(1, MAX_EXCHANGES):
        scene.network.mortality.expect(case.application, at, is_deadly=False)
        is_done = False
        with suppress(Unavailable, Conflict):
            await do()
            is_done = True
        scene.network.mortality.revive()
        if is_done and not scene.network.mortality.has_struck:
            return
    raise AssertionError(f"{case.name} is never done")


async def assert_sound(network: Network, case: Case, scenes: Sequence[Scene]) -> None:
    await network.come_to_rest()
    faults = await network.faults([member for scene in scenes for member in scene.members])
    made = [scene.count(case.query) if case.query else case.expected for scene in scenes]
    assert (faults, made) == ([], [case.expected] * len(scenes))


@pytest.mark.parametrize("case", TRIED, ids=lambda case: case.name)
async def test_a_crash_at_any_step_leaves_no_trace(network: Network, case: Case) -> None:
    await crash_at_every_step(network, case)


async def test_what_is_not_safe_to_ask_again_leaves_one(network: Network) -> None:
    with pytest.raises(AssertionError, match=r"^assert \(\[\], \[[^\]]*[23]"):
        await crash_at_every_step(network, UNSAFE)


async def crash_at_every_step(network: Network, case: Case) -> None:
    """Let it crash, each time for other members, after each of its exchanges with PostgreSQL. Raises AssertionError for a trace of that."""
    exchanges = await count_exchanges(network, case)
    assert 0 < exchanges < MAX_EXCHANGES
    losing, *dying = await set_up(network, case, exchanges + 1)
    deaths = [await die(scene, case, at) for at, scene in enumerate(dying, start=1)]
    assert any(deaths), "nobody died"
    await lose_connections(losing, case)
    try:
        await assert_sound(network, case, [losing, *dying])
    finally:
        network.forget_faults()


def test_every_write_and_every_task_is_among_the_cases() -> None:
    tried = {case.name.partition(",")[0] for case in CASES}
    writes = {
        method.name
        for service in SERVICES
        for module in Path(f"protos/gen/kodama/{service}/v1").glob("*_service_pb2.py")
        for found in importlib.import_module(f"kodama.{service}.v1.{module.stem}").DESCRIPTOR.services_by_name.values()
        for method in found.methods
        if "request_id" in method.input_type.fields_by_name
    }
    assert (writes | topology.TASKS.keys()) - tried == LEFT_OUT
