"""Packages of the distribution, unpacked into a folder of ours: no root, nothing installed.

apt verifies the signatures of the lists and the checksums of the packages exactly as it does for the
system; only its state lives elsewhere.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.command import call
from deploy.local.errors import MissingSoftware

UPDATE_SECONDS = 120.0
RESOLVE_SECONDS = 60.0
DOWNLOAD_SECONDS = 300.0
UNPACK_SECONDS = 60.0

# Hooks of the system (desktop caches, Docker's cleaning) would act on the system's files, hence #clear.
CONFIGURATION = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Pre-Install-Pkgs;
#clear DPkg::Post-Invoke;
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::CNF;
Dir::State "{folder}";
Dir::State::lists "{folder}/lists";
Dir::State::extended_states "{folder}/extended_states";
Dir::State::status "/var/lib/dpkg/status";
Dir::Cache "{folder}";
Dir::Cache::archives "{folder}/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Dir::Log "{folder}";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "15";
Acquire::https::Timeout "15";
APT::Sandbox::User "root";
"""


@dataclass(frozen=True)
class PrivateApt:
    """apt with its state in `folder`. Make it with `private_apt`."""

    folder: Path

    def update(self) -> None:
        """Fetch the package lists of the system's sources.

        A source that does not answer is apt's warning, not our failure: what matters is whether `missing`
        succeeds.
        """
        self._apt(UPDATE_SECONDS, "-q", "update")

    def missing(self, package: str) -> list[str]:
        """The names of `package` and of those of its dependencies that the system has not installed.

        Raises MissingSoftware when the sources do not offer it.
        """
        return new_packages(
            self._apt(RESOLVE_SECONDS, "-qq", "--simulate", "--no-install-recommends", "install", package)
        )

    def unpack(self, packages: Sequence[str], target: Path) -> None:
        """Download `packages` and unpack their files below `target`. Raises MissingSoftware."""
        archives = self.folder / "debs"
        archives.mkdir(exist_ok=True)
        self._apt(DOWNLOAD_SECONDS, "-q", "download", *packages, cwd=archives)
        target.mkdir(parents=True, exist_ok=True)
        for archive in sorted(archives.glob("*.deb")):
            _checked("dpkg-deb", ["dpkg-deb", "--extract", str(archive), str(target)], UNPACK_SECONDS)

    def _apt(self, seconds: float, *arguments: str, cwd: Path | None = None) -> str:
        argv = ["apt-get", "-c", str(self.folder / "apt.conf"), *arguments]
        return _checked(f"apt-get {arguments[1]}", argv, seconds, cwd=cwd)


def private_apt(folder: Path, have: Callable[[str], str | None] = shutil.which) -> PrivateApt:
    """Prepare `folder` (its path must hold no white space and no quotes) as the state of an apt of our own.

    Raises MissingSoftware on a system without apt and dpkg.
    """
    if have("apt-get") is None or have("dpkg-deb") is None:
        raise MissingSoftware("this system has no apt-get and dpkg-deb to fetch it with")
    for part in ("lists/partial", "archives/partial"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "apt.conf").write_text(CONFIGURATION.format(folder=folder))
    return PrivateApt(folder)


def new_packages(simulation: str) -> list[str]:
    """The packages that `apt-get --simulate install` would add.

    Lines read "Inst NAME (VERSION …)"; one of an installed package has its present version first, "Inst
    NAME [OLD] (NEW …)", and is left out: we unpack beside the system, so what it has is used as it is.
    """
    added: list[str] = []
    for line in simulation.splitlines():
        words = line.split()
        if len(words) > 2 and words[0] == "Inst" and not words[2].startswith("["):
            added.append(words[1])
    return added


def _checked(what: str, argv: Sequence[str], seconds: float, cwd: Path | None = None) -> str:
    try:
        done = call(
            argv,
            seconds=seconds,
            cwd=cwd or Path("/"),
            env={"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
        )
    except subprocess.TimeoutExpired:
        raise MissingSoftware(f"{what} did not finish within {seconds:.0f} s") from None
    except OSError as problem:
        raise MissingSoftware(f"{what} could not be started: {problem}") from problem
    if done.returncode != 0:
        last = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()][-1:]
        raise MissingSoftware(f"{what} failed: {last[0] if last else 'no reason given'}")
    return done.stdout
