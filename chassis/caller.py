"""Who calls an RPC: every process signs its role, every RPC lists the roles it lets in.

The signature is an HMAC-SHA256 over role and expiry with a key derived from the network's secret. It keeps strangers on the
same machine or network out; it does not replace TLS between hosts.
"""

import contextvars
import functools
import hashlib
import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass

METADATA_KEY = "kodama-caller"
LIFETIME_SECONDS = 300
GATEWAY = "gateway"
WORKER = "worker"
OPERATOR = "operator"
ACCOUNT = "account"
SOCIAL_GRAPH = "social_graph"
STATUS = "status"
BLOG = "blog"
MEDIA = "media"
TIMELINE = "timeline"

ROLES = frozenset({GATEWAY, WORKER, OPERATOR, ACCOUNT, SOCIAL_GRAPH, MEDIA, STATUS, BLOG, TIMELINE})

current_role: contextvars.ContextVar[str] = contextvars.ContextVar("current_role", default="")
"""The verified role of the caller of the RPC that is being served."""


@dataclass(frozen=True)
class Signer:
    """Signs the role of this process into the metadata of its calls."""

    role: str
    key: str

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"unknown role {self.role!r}")

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return the metadata to send with a call; the same within a second."""
        return ((METADATA_KEY, _signature(self.key, self.role, int(time.time()) + LIFETIME_SECONDS)),)


@dataclass(frozen=True)
class Verified:
    """What a signature says: the role, empty where it is none of ours, and until when it holds, in Unix time."""

    signature: str
    role: str
    expires: int


def verify(metadata: Sequence[tuple[str, str | bytes]] | None, key: str) -> str:
    """Return the caller's role, or the empty string where the signature is missing, wrong or expired."""
    for name, value in metadata or ():
        if name == METADATA_KEY and isinstance(value, str):
            verified = verify_signature(value, key)
            if verified.role and verified.expires >= time.time():
                return verified.role
    return ""


def verify_signature(signature: str, key: str) -> Verified:
    """Return what a signature says. Whoever keeps the answer has to look at `expires` again."""
    if signature.count(";") == 2:
        role, expires, mac = signature.split(";")
        genuine = hmac.compare_digest(mac.encode(), _mac(key, role, expires).encode())
        if genuine and role in ROLES:
            return Verified(signature, role, int(expires))
    return Verified(signature, "", 0)


@functools.lru_cache(maxsize=64)
def _signature(key: str, role: str, expires: int) -> str:
    return f"{role};{expires};{_mac(key, role, str(expires))}"


def _mac(key: str, role: str, expires: str) -> str:
    return hmac.new(key.encode(), f"{role};{expires}".encode(), hashlib.sha256).hexdigest()
