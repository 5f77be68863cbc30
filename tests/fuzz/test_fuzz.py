"""schemathesis over the OpenAPI document: all its checks, thousands of requests, none of them answered with a 5xx."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from tests.integration.gateway.conftest import Member

CONFIG = Path(__file__).with_name("schemathesis.toml")
HOOKS = Path(__file__).with_name("hooks.py")
COMMAND = Path(sys.executable).with_name("schemathesis")
CASES = int(os.environ.get("KODAMA_FUZZ_CASES", "6000"))
SEED = os.environ.get("KODAMA_FUZZ_SEED", "20")
# For each operation; some 4,000 cases come before, and each example makes some 70 more, since not every operation can be varied.
EXAMPLES = max(1, (CASES - 4000) // 70)
# hypothesis parses Python as it goes, which CPython 3.11 gets wrong in two threads at once: "SystemError: AST constructor recursion
# depth mismatch" (python/cpython#106905).
WORKERS = "1"
SHOWN = 12_000
# They stay open for ever; tests/integration/gateway looks at them.
STREAMS = r"/api/v1/streaming/user"


@pytest.mark.timeout(7200)
async def test_no_request_breaks_the_network_or_the_contract(hana: Member, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *("--config-file", CONFIG, "run", f"{hana.http.base_url}/api/openapi.json"),
        *("--header", f"Authorization: {hana.http.headers['authorization']}"),
        *("--checks", "all", "--phases", "examples,coverage,fuzzing,stateful"),
        *("--max-examples", str(EXAMPLES), "--seed", SEED, "--workers", WORKERS, "--generation-database", "none"),
        *("--exclude-path-regex", STREAMS, "--continue-on-failure", "--no-shrink", "--warnings", "off", "--no-color"),
        cwd=tmp_path,
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    text = re.sub(r"(.)\1{200,}", r"\1\1\1…", said.decode())
    assert process.returncode == 0, text[-SHOWN:]
    found = re.search(r"^ +(\d+) generated", text, re.MULTILINE)
    assert found is not None, text[-SHOWN:]
    assert int(found[1]) >= CASES
    assert (await hana.http.get("/health")).json()["status"] == "ok"
