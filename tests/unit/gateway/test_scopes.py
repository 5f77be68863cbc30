"""Which scope covers which."""

import pytest

from services.gateway.scopes import SCOPES, covers


@pytest.mark.parametrize(
    ("granted", "needed", "expected"),
    [
        (["read"], "read:statuses", True),
        (["read"], "write:statuses", False),
        (["write"], "write:statuses", True),
        (["write"], "read:statuses", False),
        (["read:statuses"], "read:statuses", True),
        (["read:statuses"], "read:accounts", False),
        (["read:statuses"], "read", False),
        (["follow"], "write:follows", True),
        (["follow"], "read:blocks", True),
        (["follow"], "write:mutes", True),
        (["follow"], "write:statuses", False),
        (["follow"], "read", False),
        (["read:"], "read:statuses", False),
        (["profile", "push"], "read:accounts", False),
        ([], "read:statuses", False),
    ],
)
def test_covers(granted: list[str], needed: str, expected: bool) -> None:
    assert covers(granted, needed) is expected


def test_nothing_is_covered_by_nothing() -> None:
    assert not any(covers([], scope) for scope in SCOPES)
