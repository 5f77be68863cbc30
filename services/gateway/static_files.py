"""The files that pages load: named by their content, so that browsers keep them for ever, and compressed once."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath

TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
HASH_LENGTH = 16


@dataclass(frozen=True)
class Asset:
    """A file that pages load."""

    name: str
    """With a hash of its content."""
    media_type: str
    content: bytes
    compressed: bytes


@cache
def assets() -> dict[str, Asset]:
    """Return the files by the names that templates give them."""
    own = files("services.gateway") / "assets"
    sources: dict[str, Traversable] = {name: own / name for name in ("kodama.css", "kodama.js", "favicon.svg")}
    # Of the package django-htmx, which keeps it up to date, nothing else is used.
    sources["htmx.js"] = files("django_htmx") / "static" / "django_htmx" / "htmx-2.min.js"
    return {name: _load(name, source.read_bytes()) for name, source in sources.items()}


@cache
def by_address() -> dict[str, Asset]:
    """Return the files by the last part of their addresses."""
    return {asset.name: asset for asset in assets().values()}


def address_of(name: str) -> str:
    """Return where a file is served. Raises KeyError for one that there is not."""
    return f"/assets/{assets()[name].name}"


def _load(name: str, content: bytes) -> Asset:
    path = PurePosixPath(name)
    digest = hashlib.sha256(content).hexdigest()[:HASH_LENGTH]
    return Asset(f"{path.stem}-{digest}{path.suffix}", TYPES[path.suffix], content, gzip.compress(content, 9, mtime=0))
