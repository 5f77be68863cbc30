"""Who calls an RPC: every process signs its role, every RPC lists the roles it lets in.

The signature is an HMAC-SHA256 over role and expiry with a key derived from the network's secret. It keeps strangers on the
same machine or network out; it does not replace TLS between hosts.
"""

import contextvars
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
TIMELINE = "timeline"

ROLES = frozenset({GATEWAY, WORKER, OPERATOR, ACCOUNT, SOCIAL_GRAPH, STATUS, BLOG, TIMELINE})

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
        """Return the metadata to send with a call."""
        expires = str(int(time.time()) + LIFETIME_SECONDS)
        return ((METADATA_KEY, f"{self.role};{expires};{_mac(self.key, self.role, expires)}"),)


def verify(metadata: Sequence[tuple[str, str | bytes]] | None, key: str) -> str:
    """Return the caller's role, or the empty string where the signature is missing, wrong or expired."""
    for name, value in metadata or ():
        if name == METADATA_KEY and isinstance(value, str) and value.count(";") == 2:
            role, expires, mac = value.split(";")
            genuine = hmac.compare_digest(mac.encode(), _mac(key, role, expires).encode())
            if genuine and role in ROLES and int(expires) >= time.time():
                return role
    return ""


def _mac(key: str, role: str, expires: str) -> str:
    return hmac.new(key.encode(), f"{role};{expires}".encode(), hashlib.sha256).hexdigest()
