"""What handlers work with: the gateway's parts, and one call of a route."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic

from starlette.datastructures import UploadFile
from starlette.requests import Request

from chassis.settings import Settings
from services.gateway.auth import Caller, Tokens
from services.gateway.clients import Clients
from services.gateway.hydration import Hydration
from services.gateway.limiting import Limiter
from services.gateway.parameters import Params, parse_handle, parse_id
from services.gateway.rendering import Renderer
from services.gateway.shedding import Shedder
from services.gateway.size import NetworkSize
from services.gateway.streaming.hub import Hub


@dataclass(frozen=True)
class Gateway:
    """The parts, made once per process."""

    settings: Settings
    clients: Clients
    tokens: Tokens
    renderer: Renderer
    hydration: Hydration
    size: NetworkSize
    limiter: Limiter
    shedder: Shedder
    hub: Hub

    @property
    def base_url(self) -> str:
        """The address that clients reach the gateway at, without a trailing slash."""
        return self.settings.base_url()


def make_gateway(settings: Settings, clients: Clients) -> Gateway:
    """Wire the parts together."""
    renderer = Renderer(settings.base_url())
    hydration, shedder = Hydration(clients, renderer), Shedder(is_on=settings.shed_load)
    return Gateway(
        settings,
        clients,
        Tokens(clients.verify_tokens),
        renderer,
        hydration,
        NetworkSize(clients),
        Limiter(settings),
        shedder,
        Hub(clients, hydration, shedder, settings.broker_url),
    )


@dataclass(frozen=True)
class Call(Generic[Params]):
    """One call of a route: who calls, with what."""

    gateway: Gateway
    caller: Caller
    params: Params
    request: Request
    files: Mapping[str, UploadFile] = field(default_factory=dict)
    """What was uploaded, by name, where the route takes files."""

    @property
    def viewer_id(self) -> int:
        """The member who looks; 0 for somebody who is not signed in."""
        return self.caller.account_id

    def path_id(self) -> int:
        """Return the id in the path. Raises NotFound for what cannot be one."""
        return parse_id(self.request.path_params["id"])

    def path_handle(self) -> str:
        """Return the handle in the path. Raises NotFound for what cannot be one."""
        return parse_handle(self.request.path_params["handle"])
