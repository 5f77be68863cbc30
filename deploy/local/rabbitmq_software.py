"""RabbitMQ's programs: those on the machine, else fetched from the distribution without root.

Fetched programs live in one folder that `make up` and the tests share; it is complete or absent, never half
there.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.apt import private_apt
from deploy.local.command import call
from deploy.local.errors import LocalError, MissingSoftware
from deploy.local.state import REACHABLE, software_folder

# The directories where a distribution keeps the script that runs as any user; the one in PATH insists on
# root.
SCRIPTS = Path("/usr/lib/rabbitmq/bin")
# The first with at-least-once dead-lettering, which our queues ask for.
OLDEST = (3, 10)
PACKAGE = "rabbitmq-server"
# Of what the package needs, only these matter here; the rest rotates logs and makes system accounts.
NEEDED = ("erlang-", "lib", "rabbitmq-")

ERL_WRAPPER = """\
#!/bin/sh
# Erlang's own start script has its place in the system written into it; this one finds itself.
HERE=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd -P)
ROOTDIR=$HERE/usr/lib/erlang
for BINDIR in "$ROOTDIR"/erts-*/bin; do :; done
EMU=beam
PROGNAME=erl
for LIBRARIES in "$HERE"/usr/lib/*-linux-* "$HERE"/lib/*-linux-*; do
    [ -d "$LIBRARIES" ] && LD_LIBRARY_PATH=$LIBRARIES${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
done
export ROOTDIR BINDIR EMU PROGNAME LD_LIBRARY_PATH
exec "$BINDIR/erlexec" "$@"
"""


@dataclass(frozen=True)
class RabbitMQSoftware:
    """One installation: its `rabbitmq-server` script, its `epmd`, and the PATH that finds its Erlang."""

    server: Path
    epmd: Path | None
    path: str
    fetched: bool


def find_software(
    say: Callable[[str], None], *, cache: Path | None = None, fetch_only: bool = False
) -> RabbitMQSoftware:
    """RabbitMQ 3.10 or newer from this machine, else fetched: about 60 MB, without root.

    A fetch unpacks into `cache` (default: `software_folder`) once. `say` gets a line per step of a fetch,
    `fetch_only` ignores the machine's own. Raises MissingSoftware.
    """
    installed = None if fetch_only else _installed()
    if installed is not None:
        return installed
    folder = _without_spaces((cache or software_folder()) / "rabbitmq")
    try:
        return _fetched(folder) or _fetch(folder, say)
    except MissingSoftware as problem:
        raise MissingSoftware(
            f"RabbitMQ {'.'.join(map(str, OLDEST))} or newer is neither installed nor could it be fetched: "
            f"{problem}. Install your distribution's 'rabbitmq-server', or point KODAMA_BROKER_URL at a broker "
            f"of yours."
        ) from problem


def _installed() -> RabbitMQSoftware | None:
    in_path = shutil.which("rabbitmq-server")
    for script in (SCRIPTS / "rabbitmq-server", Path(in_path) if in_path else None):
        if script is None or not script.exists() or shutil.which("erl") is None:
            continue
        real = script.resolve()
        if "wrapper" in real.name or _version(real) < OLDEST:
            continue
        epmd = shutil.which("epmd")
        return RabbitMQSoftware(script, Path(epmd) if epmd else None, os.environ.get("PATH", os.defpath), fetched=False)
    return None


def _version(script: Path) -> tuple[int, ...]:
    """From the path …/rabbitmq_server-3.10.8/sbin/rabbitmq-server; one without it counts as new."""
    found = re.search(r"rabbitmq_server-(\d+)\.(\d+)", str(script))
    return (int(found[1]), int(found[2])) if found else OLDEST


def _fetched(folder: Path) -> RabbitMQSoftware | None:
    tree = folder / "tree"
    script = tree / "usr/lib/rabbitmq/bin/rabbitmq-server"
    if not script.exists():
        return None
    epmd = next(iter(tree.glob("usr/lib/erlang/erts-*/bin/epmd")), None)
    path = f"{tree / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return RabbitMQSoftware(script, epmd, path, fetched=True)


def _fetch(folder: Path, say: Callable[[str], None]) -> RabbitMQSoftware:
    folder.mkdir(parents=True, exist_ok=True)
    with _exclusive(folder):
        already = _fetched(folder)  # by another process, while we waited
        if already is not None:
            return already
        work = folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        try:
            tree = _unpack(work, say)
            tree.replace(folder / "tree")
        finally:
            shutil.rmtree(work, ignore_errors=True)
    software = _fetched(folder)
    if software is None:
        raise MissingSoftware("the fetched packages contain no rabbitmq-server script")
    say("RabbitMQ: ready to use, kept for next time.")
    return software


def _unpack(work: Path, say: Callable[[str], None]) -> Path:
    """Fetch and try out a tree below `work`."""
    apt = private_apt(work)
    say("RabbitMQ is not installed; fetching it into this folder only (about 35 MB, no root needed).")
    say("RabbitMQ: reading the package lists …")
    apt.update()
    packages = [name for name in apt.missing(PACKAGE) if name.startswith(NEEDED)]
    say(f"RabbitMQ: downloading and unpacking {len(packages)} packages …")
    tree = work / "tree"
    apt.unpack(packages, tree)
    wrapper = tree / "bin" / "erl"
    wrapper.parent.mkdir(exist_ok=True)
    wrapper.write_text(ERL_WRAPPER)
    wrapper.chmod(0o755)
    script = tree / "usr/lib/rabbitmq/bin/rabbitmq-server"
    if not script.exists() or _version(script.resolve()) < OLDEST:
        raise MissingSoftware("the distribution's RabbitMQ is older than that")
    _try_erlang(wrapper)
    return tree


def _try_erlang(erl: Path) -> None:
    """A library that is missing shows here, with a sentence, and not as a broker that does not start."""
    try:
        done = call([str(erl), "-noshell", "-eval", "application:ensure_all_started(crypto), halt()."], seconds=60)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise MissingSoftware(f"the fetched Erlang does not run: {problem}") from problem
    if done.returncode != 0:
        raise MissingSoftware(f"the fetched Erlang does not run: {(done.stderr or done.stdout).strip()[-300:]}")


def _without_spaces(folder: Path) -> Path:
    """`folder`, or one without a space: RabbitMQ's scripts do not quote their own path."""
    if re.fullmatch(r"[\w./+@:-]+", str(folder), re.ASCII):
        return folder
    fingerprint = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    replacement = REACHABLE / f"kodama-software-{os.geteuid()}-{fingerprint}"
    replacement.mkdir(mode=0o700, exist_ok=True)
    found = replacement.lstat()
    # Programs are run from here and /var/tmp is everybody's, so it must be a folder that nobody else can
    # write to.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise LocalError(f"{replacement} is not ours although it has our name; remove it and start again.")
    return replacement


@contextmanager
def _exclusive(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
