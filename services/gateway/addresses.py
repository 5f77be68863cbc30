"""Who a request comes from: the TCP peer, or what proxies that are trusted say of it."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.requests import HTTPConnection

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_HOPS = 20
# A subscriber of IPv6 has at least so much of it, and could come from another address with each request.
SHARED_IPV6_BITS = 64


def client_address(request: HTTPConnection, trusted: Sequence[Network]) -> str:
    """Return what stands for the client in counts: its IPv4 address, or the /64 of its IPv6 address.

    Without trusted proxies it is the TCP peer; X-Forwarded-For is anybody's word. With them it is the rightmost address
    of that header which is none of theirs: what stands to the left of it, the client can have written itself.
    """
    peer = request.client.host if request.client else ""
    if not trusted:
        return _shared(peer)
    nearest = peer
    hops = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    for hop in (peer, *reversed(hops[-MAX_HOPS:])):
        address = _parse(hop.strip())
        if address is None:
            break
        nearest = str(address)
        if not any(address in network for network in trusted):
            break
    return _shared(nearest)


def _parse(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(maxsize=4096)
def _shared(text: str) -> str:
    address = _parse(text)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, SHARED_IPV6_BITS), strict=False))
    return str(address or text)
