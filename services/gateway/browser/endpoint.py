"""The rows of the pages' table, and what is done for every page alike.

A page without a policy cannot be made. A session is a cookie and opens pages only; what opens the API opens no page. Every form is held
against its session and its site before anything of it is done, so that no page can forget to.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import msgspec
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from chassis.errors import KodamaError, PermissionDenied, Unauthenticated, Unavailable
from services.gateway import bodies
from services.gateway.auth import ANYBODY, Caller, require_confirmed
from services.gateway.browser import cookies
from services.gateway.browser.failures import failure
from services.gateway.browser.forgery import FIELD, HEADER, FormTokens
from services.gateway.browser.languages import as_language
from services.gateway.browser.visit import REMEMBERED, Taste, Visit
from services.gateway.calling import idempotency_key
from services.gateway.context import Gateway
from services.gateway.errors import log_failure
from services.gateway.limiting import DELETES, GENERAL, MEDIA, PAGING, WRITES, RateLimit, Standing
from services.gateway.parameters import NoParameters, Reader
from services.gateway.presence import Presence
from services.gateway.routing import (
    DEADLINE_SECONDS,
    MAX_IDEMPOTENCY_KEY,
    MAX_UPLOADS,
    UPLOAD_SECONDS,
    ExactRoute,
    by_method,
    specific_first,
)
from services.gateway.shedding import Urgency

KEY_FIELD = "idempotency_key"
"""A page gives each of its forms a key of its own, so that a form that is sent twice does what it does once."""

PageHandler = Callable[[Visit[Any]], Awaitable[Response]]


class Audience(Enum):
    """Who may see a page."""

    ANYBODY = "anybody"
    """Anybody; the session is looked at where there is one."""
    MEMBER = "member"
    """A member who is signed in; others are sent to do so."""
    UNCONFIRMED = "unconfirmed"
    """A member who is signed in, even if the e-mail address is not confirmed yet."""
    FILE = "file"
    """Anybody; it is a file, for which no session is looked at and nothing is counted."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """One row of the table."""

    method: str
    path: str
    """Starlette's pattern without a trailing slash."""
    handler: PageHandler
    audience: Audience
    params: type[msgspec.Struct] = NoParameters
    limits: tuple[RateLimit, ...] = ()
    """What holds beside what every page of its kind is limited to."""
    holds_no_place: bool = False
    """It is let in as any other, and then mostly waits."""
    takes_files: tuple[str, ...] = ()
    """Names of pictures that can come with the form, which then takes longer and may be larger."""

    def __post_init__(self) -> None:
        if not self.path.startswith("/") or (self.path != "/" and self.path.endswith("/")):
            raise ValueError(f"{self.method} {self.path}: a path starts with a slash and does not end with one")
        if self.method not in ("GET", "POST"):
            raise ValueError(f"{self.method} {self.path}: browsers send forms with GET and POST")

    def held_to(self) -> tuple[RateLimit, ...]:
        """Return every limit that its requests are counted for."""
        if self.audience is Audience.FILE:
            return ()
        is_write = self.method == "POST" and self.audience is not Audience.ANYBODY
        is_deletion = is_write and self.path.endswith("/delete")
        kinds = ((WRITES, is_write), (DELETES, is_deletion))
        return (*GENERAL, *(limit for limit, holds in kinds if holds), *self.limits)


class PageEndpoint:
    """Answers the requests of one page."""

    def __init__(self, page: Page, gateway: Gateway, form_tokens: FormTokens) -> None:
        self._page = page
        self._gateway = gateway
        self._form_tokens = form_tokens
        self._reader = Reader(page.params)
        self._limits = page.held_to()
        self._uploads = 0
        self._is_paged = any(field.encode_name == "max_id" for field in msgspec.structs.fields(page.params))

    async def __call__(self, request: Request) -> Response:
        """Answer within the deadline; whatever fails becomes a page too."""
        taste, standing = Taste.of(request), Standing()
        response = await self._respond(request, taste, standing)
        response.raw_headers.extend(standing.headers())
        wanted = as_language(request.query_params.get(REMEMBERED, ""))
        if wanted is not None:
            cookies.set_preference(response, cookies.LANGUAGE, wanted)
        return response

    async def _respond(self, request: Request, taste: Taste, standing: Standing) -> Response:
        caller, presence = ANYBODY, Presence(request)
        try:
            async with presence.deadline(UPLOAD_SECONDS if self._page.takes_files else DEADLINE_SECONDS):
                caller = await self._admit(request, standing)
                return await self._answer(request, taste, caller, presence)
        except KodamaError as error:
            return self._fail(error, request, taste, caller)
        except TimeoutError:
            if presence.is_gone:
                return Response(status_code=400)  # nobody reads it
            return self._fail(Unavailable("The request took too long."), request, taste, caller)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except Exception as error:  # the last line: no defect may reach a browser as a traceback
            log_failure(error, request.url.path)
            return self._fail(KodamaError("Something went wrong here."), request, taste, caller)

    def _urgency(self, request: Request) -> Urgency:
        is_further = self._is_paged and b"max_id" in request.scope["query_string"]
        return Urgency.BACKGROUND if is_further else Urgency.FOREGROUND

    async def _admit(self, request: Request, standing: Standing) -> Caller:
        """Return who looks, having counted it; nobody whose session is unknown or over."""
        if self._page.audience is Audience.FILE:
            return ANYBODY
        caller, secret = ANYBODY, cookies.read(request, cookies.SESSION)
        if secret:
            try:
                caller = await self._gateway.tokens.session(secret)
            except Unauthenticated:
                caller = ANYBODY
        self._gateway.limiter.count(request, caller, self._limits, standing)
        if self._is_paged and b"max_id" in request.scope["query_string"]:
            self._gateway.limiter.count(request, caller, (PAGING,), standing)
        return caller

    async def _answer(self, request: Request, taste: Taste, caller: Caller, presence: Presence) -> Response:
        if self._page.audience in (Audience.MEMBER, Audience.UNCONFIRMED) and not caller.account_id:
            raise Unauthenticated("This needs a session.")
        if self._page.audience is Audience.MEMBER:
            require_confirmed(caller)
        elif caller.awaits_confirmation and self._page.audience is Audience.ANYBODY and self._page.method == "GET":
            caller = ANYBODY  # sees what anybody sees
        if not self._page.takes_files:
            values = await bodies.read_values(request)
            if self._page.holds_no_place:
                await self._gateway.shedder.pass_by(Urgency.BACKGROUND)
            if self._page.holds_no_place or self._page.audience is Audience.FILE:
                return await self._hand_on(request, taste, caller, values, {})
            ticket = await self._gateway.shedder.enter(self._urgency(request))
            try:
                if self._page.method != "GET":
                    presence.stay()  # what was begun is finished
                return await self._hand_on(request, taste, caller, values, {})
            finally:
                self._gateway.shedder.leave(ticket)
        if self._uploads >= MAX_UPLOADS:
            raise Unavailable("Too many files are uploaded at the moment; please try again soon.")
        await self._gateway.shedder.pass_by(Urgency.FOREGROUND)  # that they arrive slowly is nobody's load
        self._uploads += 1
        try:
            async with bodies.read_upload(request) as (values, files):
                # Browsers send an empty file without a name where none was chosen.
                chosen = {name: file for name in self._page.takes_files if (file := files.get(name)) and file.filename}
                for _ in chosen:
                    self._gateway.limiter.count(request, caller, (MEDIA,), Standing())
                return await self._hand_on(request, taste, caller, values, chosen)
        finally:
            self._uploads -= 1

    async def _hand_on(
        self,
        request: Request,
        taste: Taste,
        caller: Caller,
        values: dict[str, object],
        files: Mapping[str, UploadFile],
    ) -> Response:
        if self._page.method == "POST":
            token = request.headers.get(HEADER, "") or str(values.get(FIELD, ""))
            self._form_tokens.check(request, caller, token, self._gateway.base_url)
            key = str(values.get(KEY_FIELD, ""))
            if len(key) > MAX_IDEMPOTENCY_KEY:
                raise PermissionDenied("The form's key is too long.")
            idempotency_key.set(key)
        params = self._reader.read(values)
        asked = as_language(str(values.get("lang", "")))  # of a form whose page was opened so
        taste = replace(taste, language=asked) if asked is not None else taste
        visit = Visit(self._gateway, caller, params, request, files, taste=taste, form_tokens=self._form_tokens)
        try:
            return await self._page.handler(visit)
        finally:
            if self._page.method == "POST":
                self._gateway.hydration.forget(caller.account_id)  # what they see next shows it

    def _fail(self, error: KodamaError, request: Request, taste: Taste, caller: Caller) -> Response:
        if type(error) is KodamaError:
            log_failure(error, request.url.path)
        return failure(error, request, taste, self._gateway.settings.title, caller)


def make_page_routes(table: Iterable[Page], gateway: Gateway) -> list[StarletteRoute]:
    """Return the table as Starlette routes. Raises ValueError where two rows say the same method and path."""
    form_tokens = FormTokens(gateway.settings.derive("form"))
    by_path: defaultdict[str, dict[str, PageEndpoint]] = defaultdict(dict)
    for page in table:
        if page.method in by_path[page.path]:
            raise ValueError(f"{page.method} {page.path} is there twice")
        by_path[page.path][page.method] = PageEndpoint(page, gateway, form_tokens)
    routes: list[StarletteRoute] = []
    for path in sorted(by_path, key=specific_first):
        endpoint, methods = by_method(by_path[path]), list(by_path[path])
        routes.append(ExactRoute(path, endpoint, methods=methods))
        if path != "/":
            routes.append(ExactRoute(f"{path}/", endpoint, methods=methods))
    return routes
