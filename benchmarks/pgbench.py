"""pgbench, from the same PostgreSQL, as the measure of what the database alone can do with a statement."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.figures import Latency, latency_of
from deploy.local.postgres import Postgres

MAX_SECONDS = 120
START_SECONDS = 60


class PgbenchMissing(Exception):
    """There is no pgbench on this machine, so there is no baseline."""


@dataclass(frozen=True)
class PgbenchResult:
    """What pgbench reached."""

    per_second: float
    latency: Latency | None


def find_pgbench(server: Postgres) -> Path:
    """Return the pgbench that came with the server's programs, else the machine's. Raises PgbenchMissing."""
    own = server.bin / "pgbench"
    if own.exists():
        return own
    found = shutil.which("pgbench")
    if found is None:
        raise PgbenchMissing("pgbench is missing; it comes with PostgreSQL's programs (Debian: postgresql-contrib)")
    return Path(found)


def run_pgbench(server: Postgres, script: str, *, clients: int, seconds: int, search_path: str) -> PgbenchResult:
    """Run a custom script for so many seconds with so many clients, over TCP and with prepared statements, as our services do.

    Raises RuntimeError, with what pgbench says, where a transaction failed.
    """
    if not (1 <= clients <= 128 and 1 <= seconds <= MAX_SECONDS):
        raise ValueError("pgbench is to run beyond its bounds")
    url = urlsplit(server.url)
    with tempfile.TemporaryDirectory(prefix="kodama-pgbench-") as name:
        folder = Path(name)
        (folder / "script.sql").write_text(script)
        done = subprocess.run(
            [
                *(str(find_pgbench(server)), "--no-vacuum", "--protocol=prepared", "--file=script.sql"),
                *(f"--client={clients}", f"--jobs={min(clients, os.cpu_count() or 1)}", f"--time={seconds}"),
                *("--log", "--log-prefix=transactions", "-h", str(url.hostname), "-p", str(url.port)),
                *("-U", str(url.username), url.path.removeprefix("/")),
            ],
            cwd=folder,
            env={**os.environ, "PGPASSWORD": str(url.password), "PGOPTIONS": f"-c search_path={search_path}"},
            capture_output=True,
            text=True,
            timeout=seconds + START_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"pgbench failed: {done.stderr[-2000:]}")
        lines = (line for log in sorted(folder.glob("transactions*")) for line in log.read_text().splitlines())
        return PgbenchResult(parse_per_second(done.stdout), latency_of(list(parse_log(lines))))


def parse_per_second(output: str) -> float:
    """Return the transactions per second, without the time to connect. Raises ValueError where pgbench does not say."""
    found = re.search(r"^tps = ([0-9.]+) \(without initial connection time\)", output, re.MULTILINE)
    if found is None:
        raise ValueError(f"pgbench does not say how fast it was: {output[-500:]}")
    return float(found[1])


def parse_log(lines: Iterable[str]) -> Iterable[float]:
    """Yield the milliseconds of each transaction in pgbench's log, whose third column are microseconds."""
    for line in lines:
        yield int(line.split(maxsplit=3)[2]) / 1000
