"""The proxies of a network: which edges there are, and how the harness commands them."""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.faults.proxy import Mode

ANSWER_SECONDS = 30.0

EDGES = (
    "gateways-services",
    "gateways-broker",
    "services-postgres",
    "relays-postgres",
    "relays-broker",
    "workers-postgres",
    "workers-broker",
    "workers-services",
)
"""Who connects, and to what. The edges to services are one per service, which all behave alike."""


@dataclass
class Proxies:
    """The process of the proxies. Make it with `start`."""

    process: asyncio.subprocess.Process
    ports: Mapping[str, Mapping[str, int]]
    """Edge → what it leads to → the port to connect to."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    async def start(cls, ports: Mapping[str, Mapping[str, int]], targets: Mapping[str, int]) -> "Proxies":
        """Start it; `targets` says where each thing really listens."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.faults.proxy",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        proxies = cls(process, ports)
        wires = [[f"{edge}/{to}", port, targets[to]] for edge, some in ports.items() for to, port in some.items()]
        await proxies._say(json.dumps(wires))
        return proxies

    async def set(self, edge: str, mode: Mode, value: float = 0.0) -> None:
        """Have an edge behave in this way."""
        for to in self.ports[edge]:
            await self._say(json.dumps({"edge": f"{edge}/{to}", "mode": mode.value, "value": value}))

    async def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()

    async def _say(self, line: str) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        async with self._turn:  # several nemeses speak at once, and each has to hear its own answer
            self.process.stdin.write(f"{line}\n".encode())
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self.process.stdout.readline()
        if answer != b"ok\n":
            raise RuntimeError(f"the proxies did not take {line!r}: {answer!r}")
