"""Debian's Chromium for the tests: the one on this machine, else installed from the distribution where that may be done."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

PROGRAM = Path("/usr/lib/chromium/chromium")
NAMES = ("chromium", "chromium-browser", "google-chrome")
INSTALL_SECONDS = 300
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
MISSING = (
    "These tests need Chromium. It is not on this machine and could not be installed; install your distribution's package"
    " 'chromium' (as root, `apt-get install chromium`)."
)


def find_chromium(lock: Path) -> Path:
    """Return the program. Installs it where this is root on a system with apt; raises RuntimeError where there is none."""
    found = _installed()
    if found is not None:
        return found
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise RuntimeError(MISSING)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for step in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
            done = subprocess.run(
                ["apt-get", "-qq", *step],
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                capture_output=True,
                text=True,
                timeout=INSTALL_SECONDS,
                check=False,
            )
        found = _installed()
    if found is None:
        raise RuntimeError(f"{MISSING} apt-get said: {(done.stderr or done.stdout).strip()[-300:]}")
    return found


def _installed() -> Path | None:
    if PROGRAM.exists():
        return PROGRAM
    return next((Path(path) for path in map(shutil.which, NAMES) if path), None)
