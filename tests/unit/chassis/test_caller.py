"""Signatures of callers: only genuine, unexpired ones of known roles count."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis import caller

KEY = "the key of this network"


def signed(role: str = caller.GATEWAY, key: str = KEY) -> str:
    ((_, value),) = caller.Signer(role, key).metadata()
    return value


@pytest.mark.parametrize("role", sorted(caller.ROLES))
def test_a_genuine_signature_tells_the_role(role: str) -> None:
    assert caller.verify(caller.Signer(role, KEY).metadata(), KEY) == role


def test_a_signature_among_other_metadata_is_found() -> None:
    assert caller.verify([("user-agent", "x"), (caller.METADATA_KEY, signed())], KEY) == caller.GATEWAY


@pytest.mark.parametrize("metadata", [None, [], [("user-agent", "x")]])
def test_no_signature_is_nobody(metadata: list[tuple[str, str | bytes]] | None) -> None:
    assert caller.verify(metadata, KEY) == ""


@pytest.mark.parametrize(
    "value",
    [
        "",
        ";;",
        "gateway",
        signed(key="the key of another network"),
        signed().replace("gateway", "operator"),
        signed()[:-1],
        signed() + "0",
        signed() + ";",
        signed().upper(),
        signed().encode(),
        "gateway;soon;" + "0" * 64,
        "gateway;9999999999;é",
    ],
    ids=range(12),  # not the values, in which the time is: processes that share the tests have to agree on their names
)
def test_a_forged_signature_is_nobody(value: str | bytes) -> None:
    assert caller.verify([(caller.METADATA_KEY, value)], KEY) == ""


def test_a_longer_life_cannot_be_written_into_a_signature() -> None:
    role, expires, mac = signed().split(";")
    later = f"{role};{int(expires) + 1};{mac}"
    assert caller.verify([(caller.METADATA_KEY, later)], KEY) == ""


def test_a_signature_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    value, now = signed(), time.time()
    monkeypatch.setattr(time, "time", lambda: now + caller.LIFETIME_SECONDS - 2)
    assert caller.verify([(caller.METADATA_KEY, value)], KEY) == caller.GATEWAY
    monkeypatch.setattr(time, "time", lambda: now + caller.LIFETIME_SECONDS + 2)
    assert caller.verify([(caller.METADATA_KEY, value)], KEY) == ""


def test_only_known_roles_sign() -> None:
    with pytest.raises(ValueError, match="unknown role 'administrator'"):
        caller.Signer("administrator", KEY)


def test_an_unknown_role_with_a_genuine_signature_is_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    value = signed(caller.BLOG)
    monkeypatch.setattr(caller, "ROLES", frozenset({caller.GATEWAY}))
    assert caller.verify([(caller.METADATA_KEY, value)], KEY) == ""


@given(st.text() | st.binary())
def test_whatever_strangers_send_is_nobody(value: str | bytes) -> None:
    assert caller.verify([(caller.METADATA_KEY, value)], KEY) == ""
