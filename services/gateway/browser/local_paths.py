"""Where a browser is sent after a form: only ever to a page of this network."""

import re

MAX_PATH = 1000

# A path, and no address: "//host" and "/\host" are addresses to browsers, and so is what they make of it without control characters.
_LOCAL = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*", re.ASCII)


def local_path(wanted: str, otherwise: str) -> str:
    """Return a path on this network that was asked for, or the other one where it is none."""
    return wanted if len(wanted) <= MAX_PATH and _LOCAL.fullmatch(wanted) else otherwise
