"""`kodama health SERVICE`: the probe of containers and of people.

Probes run every few seconds beside every process, so this module can be run alone (`python -m services.cli.health_command`), which
costs a third of what the whole command line does, and imports late what only one case needs.
"""

import asyncio
import os
from typing import Annotated, Any, NoReturn

import grpc
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chassis.rpc import open_channel
from chassis.settings import SERVICES, Settings, load_settings

PROBE_SECONDS = 5.0
PROBED = (*SERVICES, "gateway")


def health(service: Annotated[str, typer.Argument(help=f"One of {', '.join(PROBED)}.")]) -> None:
    """Ask a service whether it serves: exit code 0 if it does, else 1 and a sentence."""
    if service not in PROBED:
        _fail(f"there is no service {service!r}; there are {', '.join(PROBED)}")
    settings = _find_settings()
    address = _reachable(settings.gateway_address if service == "gateway" else settings.address(service))
    fault = _probe_gateway(address) if service == "gateway" else asyncio.run(_probe_service(address))
    if fault:
        _fail(f"{service} does not serve at {address}: {fault}")
    typer.echo(f"{service} serves at {address}")


def _find_settings() -> Settings:
    if os.environ.get("KODAMA_SECRET"):
        return load_settings()
    from services.cli.network import find_settings  # the network that `kodama up` runs here; probes are told theirs

    return find_settings()


def _reachable(address: str) -> str:
    """Return where a process answers that was told to listen there: on all interfaces includes the loopback."""
    host, _, port = address.rpartition(":")
    return f"127.0.0.1:{port}" if host == "0.0.0.0" else address  # noqa: S104 - read, not listened on


async def _probe_service(address: str) -> str:
    """Return what is wrong with a gRPC service, empty when it says that it serves."""
    async with open_channel(address, "grpc.health.v1.Health") as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)  # its RPCs are not in its types
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=PROBE_SECONDS)
        except grpc.aio.AioRpcError as error:
            return error.details() or error.code().name
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return ""
    return f"it says {health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}"


def _probe_gateway(address: str) -> str:
    """Return what is wrong with the gateway, or with what it says of the services behind it; empty when all is well."""
    import httpx  # only here: the other probes do without

    try:
        answer = httpx.get(f"http://{address}/health", timeout=PROBE_SECONDS, trust_env=False)
    except httpx.HTTPError as error:
        return str(error) or type(error).__name__
    return "" if answer.is_success else f"GET /health answers {answer.status_code}: {answer.text[:500]}"


def _fail(sentence: str) -> NoReturn:
    typer.echo(f"kodama: {sentence}", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(health)
