"""The route table's rows, and what is done for every row alike: authorization, parameters, deadline, errors.

A route without a policy cannot be made, and one with an unknown scope neither: what is not allowed is denied.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.routing import Route as StarletteRoute
from starlette.types import Scope

from chassis.errors import InvalidField, KodamaError, PermissionDenied, Unauthenticated, Unavailable
from services.gateway import bodies
from services.gateway.auth import ANYBODY, Caller, Open, Policy, authorize
from services.gateway.calling import idempotency_key
from services.gateway.context import Call, Gateway
from services.gateway.errors import ErrorBody, ErrorStyle, api_error, log_failure
from services.gateway.limiting import DELETES, GENERAL, PAGING, WRITES, RateLimit, Standing
from services.gateway.parameters import NoParameters, Reader
from services.gateway.presence import Presence
from services.gateway.scopes import SCOPES
from services.gateway.shedding import Urgency

DEADLINE_SECONDS = 10
MAX_IDEMPOTENCY_KEY = 255
UPLOAD_SECONDS = 150
"""A file of 8 MiB arrives in a minute over 1 Mbit/s, and is then worked on."""
MAX_UPLOADS = 32
"""So many files may arrive at once at a route; each takes up to 8 MiB of memory."""

# Any, because each handler has a struct of its own, which the route names again as `params`.
Handler = Callable[[Call[Any]], Awaitable[Response]]


@dataclass(frozen=True, kw_only=True)
class Route:
    """One row of the table."""

    method: str
    path: str
    """Starlette's pattern without a trailing slash; the route answers with one too."""
    handler: Handler
    policy: Policy
    summary: str
    tag: str
    params: type[msgspec.Struct] = NoParameters
    response: Any = None
    """The type of the JSON that it answers, for the documentation; None for pages and images."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Names of fields in the contracts → names of parameters here, where they differ."""
    limits: tuple[RateLimit, ...] = ()
    """What holds beside what every route of its kind is limited to."""
    is_limited: bool = True
    """Whether anything is counted: pictures and probes are not."""
    urgency: Urgency | None = Urgency.FOREGROUND
    """Who comes first where there is too much to do; None for probes, which are answered at once and always."""
    holds_no_place: bool = False
    """It is let in as any other, and then mostly waits: for its client, or for the broker."""
    errors: ErrorStyle = api_error
    refusal: type[msgspec.Struct] = ErrorBody
    """What a 422 holds, for the documentation."""
    success: int = 200
    """The code of the answer that `response` describes."""
    answers: Mapping[int, Any] = field(default_factory=dict)
    """Other answers that are no common errors: code → type of the JSON, or None."""
    takes_query_token: bool = False
    """The token can be a parameter, access_token: for streams, to which browsers can send no headers."""
    admits_unconfirmed: bool = False
    """Members are let in too who have not confirmed their e-mail addresses."""
    media_type: str = "text/html"
    """What is answered where `response` is None; empty for nothing."""

    takes_files: tuple[str, ...] = ()
    """Names of files that can be uploaded to it: it takes larger multipart bodies, for longer."""
    needs_file: bool = True
    """Without a file it does nothing."""

    def __post_init__(self) -> None:
        if not isinstance(self.policy, Open) and self.policy not in SCOPES:
            raise ValueError(f"{self.method} {self.path}: {self.policy!r} is neither a scope nor an open policy")
        if not self.path.startswith("/") or (self.path != "/" and self.path.endswith("/")):
            raise ValueError(f"{self.method} {self.path}: a path starts with a slash and does not end with one")

    def held_to(self) -> tuple[RateLimit, ...]:
        """Return every limit that its requests are counted for; the general ones come first."""
        if not self.is_limited:
            return ()
        is_write = self.method != "GET" and self.policy is not Open.PUBLIC
        by_kind = ((WRITES, is_write), (DELETES, is_write and self.method == "DELETE"))
        return (*GENERAL, *(limit for limit, holds in by_kind if holds), *self.limits)


def json_response(entity: object, headers: Mapping[str, str] | None = None, code: int = 200) -> Response:
    """Return an entity, or a list of them, as JSON."""
    return encoded_response(msgspec.json.encode(entity), headers, code)


def encoded_response(json: bytes, headers: Mapping[str, str] | None = None, code: int = 200) -> Response:
    """Return what has been rendered already."""
    return Response(json, code, dict(headers or {}), "application/json")


class ExactRoute(StarletteRoute):
    """A route that answers every request for its path, with 405 where the method is another.

    Otherwise `GET accounts/update_credentials` would be looked up as the account with that id.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Take the path as it is; the method is looked at afterwards."""
        match, child_scope = super().matches(scope)
        return (Match.FULL if match is Match.PARTIAL else match), child_scope


def make_routes(table: Iterable[Route], gateway: Gateway) -> list[StarletteRoute]:
    """Return the table as Starlette routes. Raises ValueError where two rows say the same method and path."""
    by_path: defaultdict[str, dict[str, Endpoint]] = defaultdict(dict)
    for route in table:
        if route.method in by_path[route.path]:
            raise ValueError(f"{route.method} {route.path} is there twice")
        by_path[route.path][route.method] = Endpoint(route, gateway)
    routes: list[StarletteRoute] = []
    for path in sorted(by_path, key=specific_first):
        endpoint, methods = by_method(by_path[path]), list(by_path[path])
        routes.append(ExactRoute(path, endpoint, methods=methods))
        if path != "/":
            routes.append(ExactRoute(f"{path}/", endpoint, methods=methods))
    return routes


def specific_first(path: str) -> list[bool]:
    """Sort `accounts/lookup` before `accounts/{id}`, so that the order of the table means nothing."""
    return [("{" in segment) for segment in path.split("/")]


def by_method(
    endpoints: Mapping[str, Callable[[Request], Awaitable[Response]]],
) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers a path by the method of the request."""

    async def answer(request: Request) -> Response:
        return await endpoints["GET" if request.method == "HEAD" else request.method](request)

    return answer


def _is_further_page(request: Request) -> bool:
    query: bytes = request.scope["query_string"]
    return b"max_id" in query or b"min_id" in query


class Endpoint:
    """Answers the requests of one route."""

    def __init__(self, route: Route, gateway: Gateway) -> None:
        self._route = route
        self._gateway = gateway
        self._reader = Reader(route.params)
        self._limits = route.held_to()
        self._is_paged = any(field.encode_name == "max_id" for field in msgspec.structs.fields(route.params))
        self._uploads = 0

    async def __call__(self, request: Request) -> Response:
        """Answer within the deadline; whatever fails becomes an answer too."""
        standing = Standing()
        response = await self._respond(request, standing)
        response.raw_headers.extend(standing.headers())
        return response

    async def _respond(self, request: Request, standing: Standing) -> Response:
        presence = Presence(request)
        try:
            async with presence.deadline(UPLOAD_SECONDS if self._route.takes_files else DEADLINE_SECONDS):
                return await self._answer(request, standing, presence)
        except KodamaError as error:
            return self._fail(error, request)
        except TimeoutError:
            if presence.is_gone:
                return Response(status_code=400)  # nobody reads it
            return self._fail(Unavailable("The request took too long; please try again in a moment."), request)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except Exception as error:  # the last line: no defect may reach a client as a traceback
            log_failure(error, request.url.path)
            return self._fail(KodamaError("Something went wrong here; the fault is ours and has been logged."), request)

    async def _admit(self, request: Request, standing: Standing) -> Caller:
        """Return who calls, having counted the call; who is refused is counted by address."""
        limiter = self._gateway.limiter
        try:
            caller = await authorize(
                request,
                self._route.policy,
                self._gateway.tokens,
                in_query=self._route.takes_query_token,
                admits_unconfirmed=self._route.admits_unconfirmed,
            )
        except (Unauthenticated, PermissionDenied):
            limiter.count(request, ANYBODY, self._limits, standing)
            raise
        limiter.count(request, caller, self._limits, standing)
        if self._is_paged and _is_further_page(request):
            limiter.count(request, caller, (PAGING,), standing)
        return caller

    async def _answer(self, request: Request, standing: Standing, presence: Presence) -> Response:
        caller = await self._admit(request, standing)
        if self._route.method == "GET":
            return await self._handle(caller, request, presence)
        try:
            return await self._write(caller, request, presence)
        finally:
            self._gateway.hydration.forget(caller.account_id)  # whatever it was, what they read next shows it

    async def _write(self, caller: Caller, request: Request, presence: Presence) -> Response:
        key = request.headers.get("idempotency-key", "")
        if len(key) > MAX_IDEMPOTENCY_KEY:
            raise InvalidField("request_id", f"Idempotency-Key has more than {MAX_IDEMPOTENCY_KEY} characters.")
        idempotency_key.set(key)  # a request is answered in a task of its own
        if self._route.takes_files:
            return await self._take_files(caller, request)
        return await self._handle(caller, request, presence)

    async def _handle(self, caller: Caller, request: Request, presence: Presence) -> Response:
        params = self._reader.read(await bodies.read_values(request))
        call = Call(self._gateway, caller, params, request)
        if self._route.urgency is None:
            return await self._route.handler(call)
        if self._route.holds_no_place:
            await self._gateway.shedder.pass_by(self._urgency(request))
            return await self._route.handler(call)
        ticket = await self._gateway.shedder.enter(self._urgency(request))
        try:
            if self._route.method != "GET":
                presence.stay()  # what was begun is finished
            return await self._route.handler(call)
        finally:
            self._gateway.shedder.leave(ticket)

    def _urgency(self, request: Request) -> Urgency:
        is_further = self._is_paged and _is_further_page(request)
        return Urgency.BACKGROUND if is_further or self._route.urgency is Urgency.BACKGROUND else Urgency.FOREGROUND

    async def _take_files(self, caller: Caller, request: Request) -> Response:
        if self._uploads >= MAX_UPLOADS:
            raise Unavailable("Too many files are uploaded at the moment; please try again soon.")
        await self._gateway.shedder.pass_by(self._urgency(request))  # that they arrive slowly is nobody's load
        self._uploads += 1
        try:
            async with bodies.read_upload(request) as (values, files):
                wanted = {name: files[name] for name in self._route.takes_files if name in files}
                call = Call(self._gateway, caller, self._reader.read(values), request, wanted)
                return await self._route.handler(call)
        finally:
            self._uploads -= 1

    def _fail(self, error: KodamaError, request: Request) -> Response:
        if type(error) is KodamaError:
            log_failure(error, request.url.path)
        return self._route.errors(error, self._route.fields)
