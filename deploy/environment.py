"""Make the project's own Python environment in .venv, from the pinned and hashed lock files; standard library only.

    python3 deploy/environment.py runtime    what `make up` needs
    python3 deploy/environment.py dev        that, and what tests and checks need

Does nothing where the environment is there already and the lock has not changed since.
"""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCKS = {"runtime": "requirements/runtime.lock", "dev": "requirements/dev.lock"}


def main(kind: str) -> int:
    """Bring the environment up to date; return the exit code."""
    python = VENV / "bin" / "python"
    wanted = fingerprint(kind)
    if python.exists() and wanted in installed():
        return 0
    started = time.monotonic()
    say(f"Preparing the Python environment in {VENV.name} ({kind}) …")
    if not python.exists() and not make_environment():
        return 1
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    lock = str(ROOT / LOCKS[kind])
    steps = (
        [*pip, "install", "--require-hashes", "--no-deps", "--requirement", lock],
        [*pip, "install", "--no-deps", "--no-build-isolation", "--no-index", "--editable", str(ROOT)],
    )
    for step in steps:
        if subprocess.run(step, cwd=ROOT, check=False).returncode != 0:
            say(
                "The pinned packages could not be installed; pip says why above. Without a network, they must be in pip's cache."
            )
            return 1
    valid = {fingerprint(each) for each in LOCKS}
    marks = (installed() & valid) | {wanted} | ({fingerprint("runtime")} if kind == "dev" else set())
    (VENV / ".kodama").write_text("\n".join(sorted(marks)))
    say(f"The environment is ready ({time.monotonic() - started:.0f} s).")
    return 0


def make_environment() -> bool:
    """Create the virtual environment, as root on Debian with the package that its Python lacks; tell whether it is there."""
    make = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    if subprocess.run(make, check=False, capture_output=True).returncode == 0:
        return True
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if os.geteuid() == 0 and Path("/usr/bin/apt-get").exists():
        say(f"Installing {package}, which this Python lacks …")
        for arguments in (["update", "-qq"], ["install", "-qq", "--yes", "--no-install-recommends", package]):
            subprocess.run(["apt-get", *arguments], check=False, stdout=subprocess.DEVNULL)
        if subprocess.run(make, check=False, capture_output=True).returncode == 0:
            return True
    say(
        f"This Python cannot make virtual environments; install it whole (on Debian and Ubuntu: apt-get install {package})."
    )
    return False


def fingerprint(kind: str) -> str:
    """Return what an environment of this kind is known by: its lock, the project's metadata, the Python, the place."""
    parts = (
        kind.encode(),
        (ROOT / LOCKS[kind]).read_bytes(),
        (ROOT / "pyproject.toml").read_bytes(),
        sys.version.encode(),
        str(ROOT).encode(),
    )
    return f"{kind} {hashlib.sha256(b'|'.join(parts)).hexdigest()}"


def installed() -> set[str]:
    """Return the fingerprints that have been installed."""
    try:
        return set((VENV / ".kodama").read_text().splitlines())
    except FileNotFoundError:
        return set()


def say(line: str) -> None:
    """Tell the person at the terminal."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - this runs before any library is there


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in LOCKS:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
