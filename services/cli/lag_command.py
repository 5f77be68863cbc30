"""`kodama ops lag`: what is open, and how long the last of it took, read from the ledgers themselves."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from kodama.ledger.v1 import ledger_service_pb2 as pb
from prometheus_client.parser import text_string_to_metric_families
from rich.table import Table

from chassis import topology
from chassis.rpc import call
from chassis.settings import Settings
from services.cli.network import Network
from services.cli.terminal import console, on_network

CALL_SECONDS = 10
STREAMED = "kodama_stream_delivered_seconds"


@dataclass(frozen=True)
class Streamed:
    """How long posts took until they were sent over open streams, since the gateway was started; milliseconds, "≤" included."""

    p50: str
    p99: str


@dataclass(frozen=True)
class Lags:
    """What the network says of itself."""

    ledgers: Sequence[tuple[str, pb.GetLagResponse]]
    streamed: Streamed | None


def lag() -> None:
    """Show per task how much work is open or given up, how old the oldest is, and how long the last took."""
    found = on_network(_ask)
    console.print(_open_work(found) or "Nothing is open: every change has had its effect.")
    paces = _paces(found)
    if paces is not None:
        console.print("From the commit of a change, median / 99th percentile of the last 1,000 of each task:")
        console.print(paces)
    if found.streamed is not None:
        console.print(
            f"Posts over open streams since the gateway was started: {found.streamed.p50} / {found.streamed.p99}"
        )


async def _ask(network: Network, settings: Settings) -> Lags:
    async def ask(name: str) -> tuple[str, pb.GetLagResponse]:
        ledger = network.ledgers[name]
        return name, await call(ledger.GetLag, pb.GetLagRequest(), network.signer, timeout_seconds=CALL_SECONDS)

    answers = await asyncio.gather(*(ask(name) for name in network.ledgers))
    return Lags(answers, await _ask_gateway(settings.metrics_address("gateway")))


async def _ask_gateway(address: str) -> Streamed | None:
    """Return what the gateway's metrics say; None where it serves none, or has sent nothing."""
    if not address:
        return None
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=CALL_SECONDS) as http:
            return streamed_of((await http.get(f"http://{address}/metrics")).raise_for_status().text)
    except httpx.HTTPError:
        return None


def streamed_of(metrics: str) -> Streamed | None:
    """Return the quantiles of what was sent over streams, as the upper bounds of their buckets; None where nothing was."""
    buckets: dict[float, float] = {}
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name == f"{STREAMED}_bucket":
                bound = float(sample.labels["le"])
                buckets[bound] = buckets.get(bound, 0) + sample.value
    total = max(buckets.values(), default=0)
    if not total:
        return None
    bounds = [min(bound for bound, count in buckets.items() if count >= q * total) for q in (0.5, 0.99)]
    return Streamed(*(f"≤ {bound * 1000:,.0f} ms" for bound in bounds))


def _open_work(found: Lags) -> Table | None:
    table = Table("ledger", "queue", "task", "open", "published", "failing", "parked", "dead", "oldest")
    for name, answer in found.ledgers:
        for task in answer.tasks:
            known = topology.TASKS.get(task.task)
            table.add_row(
                name,
                known.queue if known else "?",
                task.task,
                f"{task.open_rows:,}",
                f"{task.published_rows:,}",
                f"{task.failing_rows:,}",
                f"{task.parked_rows:,}",
                f"{task.dead_rows:,}",
                f"{task.oldest_age_ms / 1000:.1f} s",
            )
    return table if table.row_count else None


def _paces(found: Lags) -> Table | None:
    """Return a row per task and ledger, below a row per queue."""
    table = Table("queue, task", "ledger", "relayed", "delivered")
    rows = sorted(
        ((pace.queue, pace.task, name, pace) for name, answer in found.ledgers for pace in answer.paces),
        key=lambda row: row[:3],
    )
    shown = ""
    for queue, task, name, pace in rows:
        if queue != shown:
            table.add_row(queue, style="bold")
            shown = queue
        relayed = f"{pace.relayed_p50_ms:,} / {pace.relayed_p99_ms:,} ms"
        table.add_row(f"  {task}", name, relayed, f"{pace.delivered_p50_ms:,} / {pace.delivered_p99_ms:,} ms")
    return table if table.row_count else None
