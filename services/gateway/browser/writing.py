"""Writing blog entries: Markdown with a preview, drafts, who may see them, and changing what is published."""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import msgspec
from starlette.responses import Response

from chassis.errors import InvalidField, LimitReached
from services.gateway.browser.blogs import visible_entry
from services.gateway.browser.endpoint import Audience, Page
from services.gateway.browser.forms import Form
from services.gateway.browser.languages import mark
from services.gateway.browser.pictures import PICTURE_FAULT, upload
from services.gateway.browser.visit import Visit
from services.gateway.parameters import LongText, NoParameters, ShortText, WindowParameters
from services.gateway.routes.blogs import VISIBILITIES, visibility_of
from services.gateway.routes.media import FILE

DRAFTS = 20

FAULTS = {
    "title": mark("A title has 1 to 200 characters in one line."),
    "text": mark("Please write something; a text has at most 50,000 characters."),
    "file": PICTURE_FAULT,
    "visibility": mark("Please choose who may see it. An entry that is published can only be narrowed."),
}
DRAFTS_FULL = mark("You have too many drafts. Please publish or delete one first.")


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """What the editor holds, and what is to be done with it."""

    title: LongText = ""
    text: LongText = ""
    visibility: ShortText = ""
    action: ShortText = ""
    """"preview", "picture", "draft" or "publish"."""
    description: LongText = ""
    """Of a picture that is put into the text."""


@dataclass(frozen=True)
class Place:
    """What is being written: something new, a draft, or an entry that is published."""

    kind: Literal["new", "draft", "entry"]
    id: int = 0

    @property
    def address(self) -> str:
        """Where its form is sent."""
        return {"new": "/blog/write", "draft": f"/blog/drafts/{self.id}", "entry": f"/blog/entries/{self.id}"}[
            self.kind
        ]


async def get_new(visit: Visit[NoParameters]) -> Response:
    """Show an empty editor."""
    return await _editor(visit, Place("new"), Form({"visibility": "friends"}))


async def get_draft(visit: Visit[NoParameters]) -> Response:
    """Go on with a draft."""
    draft = visit.gateway.renderer.draft(await visit.gateway.clients.draft(visit.viewer_id, visit.path_id()))
    values = {"title": draft.title, "text": draft.text, "visibility": draft.visibility}
    return await _editor(visit, Place("draft", int(draft.id)), Form(values))


async def get_entry(visit: Visit[NoParameters]) -> Response:
    """Change an entry."""
    entry = await visible_entry(visit, visit.path_id())
    if entry.account.id != str(visit.viewer_id) or not isinstance(entry.text, str):
        return visit.go(f"/@{entry.account.username}/blog/{entry.id}")
    values = {"title": entry.title, "text": entry.text, "visibility": entry.visibility}
    return await _editor(visit, Place("entry", int(entry.id)), Form(values))


async def get_drafts(visit: Visit[WindowParameters]) -> Response:
    """Show the member's drafts, the youngest first."""
    window = visit.params.window(default=DRAFTS, maximum=DRAFTS)
    drafts = await visit.gateway.clients.drafts(visit.viewer_id, window)
    return await visit.page(
        "drafts.html",
        drafts=[visit.gateway.renderer.draft(draft) for draft in drafts],
        older=drafts[-1].id if len(drafts) >= DRAFTS else None,
    )


async def post_new(visit: Visit[Words]) -> Response:
    """Preview, keep or publish something new."""
    return await _act(visit, Place("new"))


async def post_draft(visit: Visit[Words]) -> Response:
    """Preview, keep or publish a draft."""
    return await _act(visit, Place("draft", visit.path_id()))


async def post_entry(visit: Visit[Words]) -> Response:
    """Preview or save a change of an entry."""
    return await _act(visit, Place("entry", visit.path_id()))


async def _act(visit: Visit[Words], place: Place) -> Response:
    params = visit.params
    typed = Form({"title": params.title, "text": params.text, "visibility": params.visibility})
    if params.action == "preview":
        html = await visit.gateway.renderer.contents.preview(params.text)
        if visit.is_partial:
            return visit.part("preview.html", preview=html)
        return await _editor(visit, place, typed, preview=html)
    try:
        if params.action == "picture":
            return await _editor(visit, place, await _with_picture(visit, typed))
        if params.visibility not in VISIBILITIES:
            raise InvalidField("visibility", "There is no such visibility.")
        if params.action == "draft" and place.kind != "entry":
            return visit.go(f"/blog/drafts/{await _keep(visit, place)}")
        return visit.go(f"/@{await _own_name(visit)}/blog/{await _publish(visit, place)}")
    except InvalidField as error:
        field = error.metadata["field"]
        if field not in FAULTS:
            raise
        return await _editor(visit, place, Form(typed.values, {field: visit.say(FAULTS[field])}))
    except LimitReached:
        return await _editor(visit, place, Form(typed.values, {"text": visit.say(DRAFTS_FULL)}))


async def _with_picture(visit: Visit[Words], typed: Form) -> Form:
    """Return what was typed with the picture that came along at its end. Raises InvalidField where none came."""
    params = visit.params
    picture = await upload(visit, params.description)
    if picture is None:
        raise InvalidField("file", "There is no file.")
    address = urlsplit(visit.gateway.renderer.media(picture).url).path
    alt = re.sub(r"[\[\]\\\n]", " ", params.description).strip()
    return Form({**typed.values, "text": f"{params.text.rstrip()}\n\n![{alt}]({address})\n".lstrip()})


async def _keep(visit: Visit[Words], place: Place) -> int:
    """Keep what was written as a draft; return its id."""
    params, clients = visit.params, visit.gateway.clients
    visibility = visibility_of(params.visibility)
    if place.kind == "new":
        draft = await clients.create_draft(
            account_id=visit.viewer_id, title=params.title, text=params.text, visibility=visibility
        )
    else:
        draft = await clients.update_draft(
            account_id=visit.viewer_id,
            draft_id=place.id,
            title=params.title,
            text=params.text,
            visibility=visibility,
        )
    return draft.id


async def _publish(visit: Visit[Words], place: Place) -> int:
    """Publish what was written, or change what is published; return the entry's id."""
    params, clients, own_id = visit.params, visit.gateway.clients, visit.viewer_id
    visibility = visibility_of(params.visibility)
    if place.kind == "new":
        entry = await clients.create_blog_entry(
            account_id=own_id, title=params.title, text=params.text, visibility=visibility
        )
    elif place.kind == "draft":
        entry = await clients.publish_draft(
            account_id=own_id, draft_id=place.id, title=params.title, text=params.text, visibility=visibility
        )
    else:
        entry = await clients.update_blog_entry(
            account_id=own_id, blog_entry_id=place.id, title=params.title, text=params.text, visibility=visibility
        )
    return entry.id


async def _own_name(visit: Visit[Words] | Visit[NoParameters]) -> str:
    return (await visit.gateway.hydration.account(visit.viewer_id)).username


async def _editor(
    visit: Visit[Words] | Visit[NoParameters], place: Place, form: Form, *, preview: str = ""
) -> Response:
    return await visit.page("editor.html", form.code, place=place, form=form, preview=preview)


async def post_draft_deletion(visit: Visit[NoParameters]) -> Response:
    """Delete a draft."""
    await visit.gateway.clients.delete_draft(visit.viewer_id, visit.path_id())
    return visit.go("/blog/drafts")


async def post_entry_deletion(visit: Visit[NoParameters]) -> Response:
    """Delete an entry."""
    await visit.gateway.clients.delete_blog_entry(visit.viewer_id, visit.path_id())
    return visit.go(f"/@{await _own_name(visit)}/blog")


def _page(method: str, path: str, handler: object, params: type[msgspec.Struct] = NoParameters) -> Page:
    return Page(
        method=method,
        path=f"/blog{path}",
        handler=handler,  # type: ignore[arg-type]  # each handler's own struct is named by params
        audience=Audience.MEMBER,
        params=params,
        takes_files=(FILE,) if params is Words else (),
    )


PAGES = (
    _page("GET", "/write", get_new),
    _page("POST", "/write", post_new, Words),
    _page("GET", "/drafts", get_drafts, WindowParameters),
    _page("GET", "/drafts/{id}", get_draft),
    _page("POST", "/drafts/{id}", post_draft, Words),
    _page("POST", "/drafts/{id}/delete", post_draft_deletion),
    _page("GET", "/entries/{id}", get_entry),
    _page("POST", "/entries/{id}", post_entry, Words),
    _page("POST", "/entries/{id}/delete", post_entry_deletion),
)
