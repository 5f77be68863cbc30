"""A clock that can be set for PostgreSQL alone: libfaketime, from the distribution's package, unpacked and not installed."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from deploy.local.apt import private_apt
from deploy.local.state import software_folder

PACKAGE = "libfaketime"


@dataclass(frozen=True)
class Clock:
    """How PostgreSQL's clock differs from the machine's. Make it with `find_clock`."""

    preloaded: Path
    file: Path
    """What is read again every second: by how many seconds the clock differs."""

    @property
    def environment(self) -> dict[str, str]:
        """What a process has to be told to go by this clock."""
        return {
            "LD_PRELOAD": str(self.preloaded),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_CACHE_DURATION": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, seconds: int) -> None:
        """Have the clock differ by so many seconds."""
        self.file.write_text(f"{seconds:+d}\n")


def find_clock(folder: Path) -> Clock:
    """Return a clock that goes right, whose file is in a folder that everybody may read. Raises MissingSoftware."""
    place = software_folder() / "faketime"
    found = _library(place)
    if found is None:
        with tempfile.TemporaryDirectory(prefix="kodama-apt-") as name:
            apt = private_apt(Path(name))
            apt.update()
            apt.unpack([PACKAGE], place)
        found = _library(place)
    if found is None:
        raise FileNotFoundError(f"{PACKAGE} holds no libfaketime.so.1")
    # Where the server's own account may read it, which a checkout need not allow.
    library = folder / "libfaketime.so.1"
    library.write_bytes(found.read_bytes())
    library.chmod(0o755)
    clock = Clock(library, folder / "faketime")
    clock.set(0)
    clock.file.chmod(0o644)
    return clock


def _library(place: Path) -> Path | None:
    return next(iter(sorted(place.rglob("libfaketime.so.1"))), None)
