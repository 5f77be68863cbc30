"""What has been rendered once and is looked up by key: bounded by bytes, what was used longest ago goes first."""

from collections import OrderedDict
from collections.abc import Callable

FRAGMENT_BYTES = 200
"""About what a fragment costs beside its bytes."""


class FragmentCache:
    """The fragments used last, up to so many bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._known: OrderedDict[tuple[object, ...], bytes] = OrderedDict()

    def get(self, key: tuple[object, ...], make: Callable[[], bytes]) -> bytes:
        """Return a fragment, made where it is not known."""
        known = self.find(key)
        if known is not None:
            return known
        made = make()
        self._known[key] = made
        self._bytes += len(made) + FRAGMENT_BYTES
        while self._bytes > self._max_bytes:
            _, dropped = self._known.popitem(last=False)
            self._bytes -= len(dropped) + FRAGMENT_BYTES
        return made

    def find(self, key: tuple[object, ...]) -> bytes | None:
        """Return a fragment that is known."""
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
        return known

    @property
    def size(self) -> int:
        """About how many bytes are used."""
        return self._bytes
