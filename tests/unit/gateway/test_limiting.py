"""Who is counted, and what a store of counts forgets."""

import pytest
from starlette.requests import Request

from chassis.settings import Settings
from services.gateway.addresses import client_address
from services.gateway.auth import ANYBODY, Caller
from services.gateway.errors import TooManyRequests
from services.gateway.limiting import ALL, GENERAL, Counters, Limiter, Standing


def request_from(peer: str, *forwarded: str) -> Request:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    return Request({"type": "http", "headers": headers, "client": (peer, 1)})


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "address"),
    [
        ("203.0.113.1", (), "", "203.0.113.1"),
        ("203.0.113.1", ("198.51.100.1",), "", "203.0.113.1"),
        ("203.0.113.1", ("198.51.100.1",), "10.0.0.0/8", "203.0.113.1"),
        ("10.0.0.1", ("198.51.100.1",), "10.0.0.0/8", "198.51.100.1"),
        ("10.0.0.1", ("192.0.2.1, 198.51.100.1",), "10.0.0.0/8", "198.51.100.1"),
        ("10.0.0.1", ("192.0.2.1", "198.51.100.1, 10.0.0.2"), "10.0.0.0/8", "198.51.100.1"),
        ("10.0.0.1", ("198.51.100.1, garbage",), "10.0.0.0/8", "10.0.0.1"),
        ("10.0.0.1", ("",), "10.0.0.0/8", "10.0.0.1"),
        ("10.0.0.1", ("10.0.0.2, 10.0.0.3",), "10.0.0.0/8", "10.0.0.2"),
        ("::ffff:10.0.0.1", ("198.51.100.1",), "10.0.0.0/8", "198.51.100.1"),
        ("2001:db8:1:2:3:4:5:6", (), "", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.1", (), "", "203.0.113.1"),
    ],
)
def test_whose_address_it_is(peer: str, forwarded: tuple[str, ...], trusted: str, address: str) -> None:
    settings = Settings(secret="x" * 32, trusted_proxies=trusted)
    networks = Limiter(settings)._trusted
    assert client_address(request_from(peer, *forwarded), networks) == address


def test_a_store_forgets_the_oldest_windows() -> None:
    counters = Counters(size=2)
    assert [counters.incr("a", 60), counters.incr("a", 60), counters.incr("b", 60)] == [2 - 1, 2, 1]
    counters.incr("c", 60)
    assert [counters.get(key) for key in "abc"] == [0, 1, 1]
    assert counters.incr("b", 60) == 2
    assert counters.check()
    counters.clear("b")
    assert counters.get("b") == 0
    assert counters.reset() == 1


def test_strangers_cannot_push_a_members_count_out() -> None:
    limiter = Limiter(
        Settings(secret="x" * 32, limit_per_member="1/hour", limit_per_address="1/hour", limit_per_token="")
    )
    ann = Caller(account_id=5, token="a")
    limiter.count(request_from("203.0.113.1"), ann, GENERAL, Standing())
    for number in range(30_000):
        stranger = request_from(f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")
        limiter.count(stranger, ANYBODY, GENERAL, Standing())
    with pytest.raises(TooManyRequests):
        limiter.count(request_from("203.0.113.1"), ann, GENERAL, Standing())


def test_lifted_limits_count_nothing() -> None:
    for settings in (
        Settings(secret="x" * 32, rate_limits=False),
        Settings.model_validate({"secret": "x" * 32} | {limit.setting: "" for limit in ALL}),
    ):
        limiter, standing = Limiter(settings), Standing()
        for _ in range(1000):
            limiter.count(request_from("203.0.113.1"), ANYBODY, ALL, standing)
        assert standing.headers() == []


@pytest.mark.parametrize("rate", ["5", "0/minute", "5/minutes/3", "-1/minute", "5 per minute", "5/fortnight"])
def test_what_is_no_rate(rate: str) -> None:
    with pytest.raises(ValueError, match="must be like"):
        Settings(secret="x" * 32, limit_per_member=rate)


@pytest.mark.parametrize("networks", ["10.0.0.1/8", "proxy", "10.0.0.0/40"])
def test_what_is_no_network(networks: str) -> None:
    with pytest.raises(ValueError, match="must be networks"):
        Settings(secret="x" * 32, trusted_proxies=networks)
