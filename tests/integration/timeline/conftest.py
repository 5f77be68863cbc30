"""A world with all services."""

from collections.abc import AsyncIterator

import pytest

from chassis.settings import SERVICES, Settings
from tests.conftest import Running
from tests.world import World, open_world


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings under which every read looks at the ledgers anew."""
    return settings.model_copy(update={"timeline_open_work_max_age_ms": 0})


@pytest.fixture
async def world(settings: Settings, running: Running) -> AsyncIterator[World]:
    """All services, and nobody working on the ledgers but the test."""
    async with running(*SERVICES), open_world(settings) as opened:
        yield opened
