"""One visit of a page: who looks at it in which language, and how it is answered."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Literal

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response

from chassis.errors import NotFound
from services.gateway import entities
from services.gateway.browser import cookies, formats, templates
from services.gateway.browser.forgery import FormTokens
from services.gateway.browser.languages import Language, as_language, choose_language, translate
from services.gateway.context import Call
from services.gateway.parameters import Params
from services.gateway.rendering import NOTIFICATION_TYPES

Theme = Literal["light", "dark", ""]
MAX_BADGE = 100
REMEMBERED = "language"
"""What an address says of a language with this, the browser remembers; `lang`, as apps and mails say it, is for one page."""
PRIVATE = {"cache-control": "private, no-store"}


@dataclass(frozen=True)
class Taste:
    """What a browser prefers."""

    language: Language
    zone: tzinfo
    theme: Theme

    @staticmethod
    def of(request: HTTPConnection) -> "Taste":
        """Return what a request says of it: in its address, else its cookie, else Accept-Language."""
        query = request.query_params
        asked = as_language(query.get(REMEMBERED, "")) or as_language(query.get("lang", ""))
        wanted = asked or cookies.read(request, cookies.LANGUAGE)
        language = choose_language(wanted, request.headers.get("accept-language", ""))
        theme = cookies.read(request, cookies.THEME)
        return Taste(
            language,
            formats.zone_of(cookies.read(request, cookies.ZONE), language),
            "light" if theme == "light" else "dark" if theme == "dark" else "",
        )


@dataclass(frozen=True)
class Surroundings:
    """What a page has around its content for a member who is signed in."""

    account: entities.Account
    unread: int
    """Notifications; more than MAX_BADGE are not counted."""
    requests: int
    """Friend requests that wait; more than MAX_BADGE are not counted."""


@dataclass(frozen=True, kw_only=True)
class Visit(Call[Params]):
    """A call of a page."""

    taste: Taste
    form_tokens: FormTokens

    @property
    def is_partial(self) -> bool:
        """Whether a script asks for a part of a page."""
        return self.request.headers.get("hx-request") == "true"

    @property
    def address(self) -> str:
        """The page's path with its query."""
        query = self.request.url.query
        return self.request.url.path + (f"?{query}" if query else "")

    def say(self, sentence: str) -> str:
        """Return a sentence in the reader's language."""
        return translate(self.taste.language, sentence)

    async def page(
        self, template: str, code: int = 200, headers: Mapping[str, str] | None = None, **values: object
    ) -> Response:
        """Return a whole page."""
        return self.part(template, code, headers, me=await self._surroundings(), **values)

    def part(
        self, template: str, code: int = 200, headers: Mapping[str, str] | None = None, **values: object
    ) -> Response:
        """Return a part of a page that stands by itself."""
        html = templates.render(self.taste.language, template, {**self._common(), **values})
        return templates.respond(
            html,
            code,
            {**PRIVATE, **(headers or {})},
            accept_encoding=self.request.headers.get("accept-encoding", ""),
        )

    def go(self, path: str) -> Response:
        """Send the browser to another page of this network after a form."""
        if self.is_partial:
            return Response(status_code=204, headers={"hx-redirect": path})
        return RedirectResponse(path, 303, PRIVATE)

    def _common(self) -> dict[str, object]:
        return {
            "title": self.gateway.settings.title,
            "theme": self.taste.theme,
            "zone": self.taste.zone,
            "address": self.address,
            "path": self.request.url.path,
            "me": None,
            "my_id": str(self.viewer_id) if self.viewer_id else "",
            "csrf_token": self.form_tokens.issue(self.caller) if self.viewer_id else "",
        }

    async def _surroundings(self) -> Surroundings | None:
        if not self.viewer_id or self.caller.awaits_confirmation:
            return None
        clients = self.gateway.clients
        account, unread, requests = await asyncio.gather(
            self.gateway.hydration.account(self.viewer_id),
            clients.notifications.count_unread(
                self.viewer_id, types=list(NOTIFICATION_TYPES), from_id=0, limit=MAX_BADGE
            ),
            clients.friend_requests(self.viewer_id, page_size=MAX_BADGE),
        )
        return Surroundings(account, unread, len(requests.account_ids))

    async def member(self) -> entities.Account:
        """Return the member whom the handle in the path names. Raises NotFound."""
        found = await self.gateway.clients.find_account(self.path_handle())
        if found is None:
            raise NotFound("There is no member with this name.", resource="account")
        return await self.gateway.hydration.rendered(found)
