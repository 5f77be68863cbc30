"""One status: writing it, replying, favouring, deleting, and its page with the thread around it."""

from typing import Any

import msgspec
from starlette.responses import RedirectResponse, Response

from chassis.errors import InvalidField, NotFound
from chassis.ids import Kind, kind_of
from services.gateway import entities
from services.gateway.browser.compose import NewStatus, compose_form, faults_of
from services.gateway.browser.endpoint import Audience, Page
from services.gateway.browser.forms import Form
from services.gateway.browser.local_paths import local_path
from services.gateway.browser.pictures import upload
from services.gateway.browser.sessions import Next
from services.gateway.browser.visit import Visit
from services.gateway.parameters import NoParameters, parse_id
from services.gateway.routes.media import FILE
from services.gateway.routes.statuses import VISIBILITIES


async def get_thread(visit: Visit[NoParameters]) -> Response:
    """Show a status in its thread, with a place to reply; a blog entry is sent to its own address."""
    gateway, post_id = visit.gateway, visit.path_id()
    member = await visit.member()
    if kind_of(post_id) is Kind.BLOG_ENTRY:
        return RedirectResponse(f"/@{member.username}/blog/{post_id}", 302)
    found = [
        one for one in await gateway.clients.statuses(visit.viewer_id, [post_id]) if str(one.account_id) == member.id
    ]
    if not found:
        raise NotFound("There is no such status.", resource="status")
    thread = await gateway.clients.context(visit.viewer_id, post_id)
    shown = await gateway.hydration.statuses([*thread.ancestors, *thread.descendants])
    above = {str(one.id) for one in thread.ancestors}
    status = await gateway.hydration.status(found[0], member)
    return await visit.page(
        "status.html",
        status=status,
        ancestors=[one for one in shown if one.id in above],
        replies=[one for one in shown if one.id not in above],
        form=await compose_form(visit, reply_to=status) if visit.viewer_id else None,
    )


async def post_status(visit: Visit[NewStatus]) -> Response:
    """Post what was written; the form comes back where it cannot be."""
    params, gateway = visit.params, visit.gateway
    media_id = params.media_id
    try:
        picture = await upload(visit, params.description)
        media_id = str(picture.id) if picture is not None else media_id
        made, _ = await gateway.clients.create_status(
            account_id=visit.viewer_id,
            text=params.status,
            visibility=_visibility(params.visibility),
            in_reply_to_id=_an_id("in_reply_to_id", params.in_reply_to_id),
            media_ids=[_an_id("media_ids", media_id)] if media_id else [],
        )
    except InvalidField as error:
        return await _refused(visit, error, media_id)
    except NotFound:
        return await _refused(visit, InvalidField("in_reply_to_id", "It is gone."), media_id)
    if visit.is_partial:
        status = await gateway.hydration.status(made, await gateway.hydration.account(visit.viewer_id))
        form = None if params.in_reply_to_id else await compose_form(visit)
        return visit.part("posted.html", status=status, form=form)
    return visit.go(f"{local_path(params.next, '/home')}")


def _visibility(name: str) -> Any:
    if name not in VISIBILITIES:
        raise InvalidField("visibility", "There is no such visibility.")
    return VISIBILITIES[name]


def _an_id(field: str, text: str) -> int:
    if not text:
        return 0
    try:
        return parse_id(text)
    except NotFound as error:
        raise InvalidField(field, error.message) from error


async def _refused(visit: Visit[NewStatus], error: InvalidField, media_id: str) -> Response:
    params, faults = visit.params, faults_of(visit, error)
    typed = {name: getattr(params, name) for name in ("status", "visibility", "in_reply_to_id", "description")}
    form = Form({**typed, "media_id": "" if "file" in faults else media_id}, faults)
    if visit.is_partial:
        return visit.part("compose_part.html", form.code, form=form)
    return await visit.page("compose.html", form.code, form=form, next=local_path(params.next, "/home"))


async def get_reply(visit: Visit[NoParameters]) -> Response:
    """Return the form for a reply, for a script that shows it under the status; others go to the status's page."""
    post = await _visible(visit)
    if not visit.is_partial:
        return visit.go(f"/@{post.account.username}/{post.id}#reply")
    return visit.part("compose_part.html", form=await compose_form(visit, reply_to=post))


async def post_favourite(visit: Visit[Next]) -> Response:
    """Favour a status; twice counts once."""
    await visit.gateway.clients.favourite_status(visit.viewer_id, _status_id(visit))
    return await _after(visit)


async def post_unfavourite(visit: Visit[Next]) -> Response:
    """Favour a status no more."""
    await visit.gateway.clients.unfavourite_status(visit.viewer_id, _status_id(visit))
    return await _after(visit)


async def post_delete(visit: Visit[Next]) -> Response:
    """Delete an own status."""
    await visit.gateway.clients.delete_status(visit.viewer_id, _status_id(visit))
    if visit.is_partial:
        return Response("", 200, media_type="text/html")
    return visit.go(local_path(visit.params.next, "/home"))


async def get_post(visit: Visit[NoParameters]) -> Response:
    """Return a post as it is now, for a script whose post has changed."""
    return visit.part("post_part.html", status=await _visible(visit))


def _status_id(visit: Visit[Any]) -> int:
    status_id = visit.path_id()
    if kind_of(status_id) is Kind.BLOG_ENTRY:
        raise NotFound("There is no such status.", resource="status")
    return status_id


async def _visible(visit: Visit[Any]) -> entities.Status:
    status_id = visit.path_id()
    posts = await visit.gateway.hydration.posts(visit.viewer_id, [status_id])
    if status_id not in posts:
        raise NotFound("There is no such status.", resource="status")
    return posts[status_id]


async def _after(visit: Visit[Next]) -> Response:
    post = await _visible(visit)
    if visit.is_partial:
        return visit.part("post_part.html", status=post)
    return visit.go(f"{local_path(visit.params.next, '/home')}#status-{post.id}")


def _page(
    method: str,
    path: str,
    handler: object,
    params: type[msgspec.Struct] = NoParameters,
    *,
    takes_files: tuple[str, ...] = (),
) -> Page:
    return Page(
        method=method,
        path=f"/statuses{path}",
        handler=handler,  # type: ignore[arg-type]  # each handler's own struct is named by params
        audience=Audience.MEMBER,
        params=params,
        takes_files=takes_files,
    )


PAGES = (
    Page(method="GET", path="/@{handle}/{id}", handler=get_thread, audience=Audience.ANYBODY),
    _page("POST", "", post_status, NewStatus, takes_files=(FILE,)),
    _page("GET", "/{id}", get_post),
    _page("GET", "/{id}/reply", get_reply),
    _page("POST", "/{id}/favourite", post_favourite, Next),
    _page("POST", "/{id}/unfavourite", post_unfavourite, Next),
    _page("POST", "/{id}/delete", post_delete, Next),
)
