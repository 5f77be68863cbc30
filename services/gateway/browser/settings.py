"""Settings: the profile, who sees what, language and appearance."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from kodama.account.v1.account_service_pb2 import UpdateAccountRequest
from starlette.responses import Response

from chassis.errors import InvalidField
from services.gateway.browser import cookies
from services.gateway.browser.endpoint import Audience, Page
from services.gateway.browser.forms import Form
from services.gateway.browser.languages import LANGUAGES, as_language, mark
from services.gateway.browser.pictures import PICTURE_FAULT, upload
from services.gateway.browser.visit import Visit
from services.gateway.parameters import LongText, NoParameters, ShortText
from services.gateway.rendering import STATUS_VISIBILITIES
from services.gateway.routes.own_account import AVATAR, DEFAULT_VISIBILITIES

LISTED = 80
THEMES = ("", "light", "dark")

NAME_FAULT = mark("A display name has 1 to 60 characters in one line.")
NOTE_FAULT = mark("This text has at most 500 characters.")
CHOICE_FAULT = mark("Please choose one of these.")


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a change has just been saved."""

    saved: bool = False


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What others read of a member."""

    display_name: LongText = ""
    note: LongText = ""
    without_avatar: bool = False
    """Take the picture away."""


class Privacy(msgspec.Struct, frozen=True, kw_only=True):
    """Who finds the member, who sees the friends, who sees new statuses."""

    discoverable: bool = False
    hides_friends: bool = False
    visibility: ShortText = ""


class Appearance(msgspec.Struct, frozen=True, kw_only=True):
    """In which language and in which light."""

    language: ShortText = ""
    theme: ShortText = ""


async def get_settings(visit: Visit[NoParameters]) -> Response:
    """Begin with the profile."""
    return visit.go("/settings/profile")


async def get_profile(visit: Visit[Saved]) -> Response:
    """Show what others read of the member."""
    found = await visit.gateway.clients.accounts([visit.viewer_id])
    account = found[visit.viewer_id]
    form = Form({"display_name": account.display_name, "note": account.note})
    return await visit.page("settings_profile.html", form=form, saved=visit.params.saved)


async def post_profile(visit: Visit[Profile]) -> Response:
    """Change it."""
    params = visit.params
    faults = {"display_name": NAME_FAULT, "note": NOTE_FAULT, AVATAR: PICTURE_FAULT}

    async def change() -> None:
        picture = await upload(visit, "", AVATAR)
        avatar = "" if params.without_avatar else None
        if picture is not None:
            avatar = f"{picture.id}/{picture.token}.{picture.extension}"
        request = UpdateAccountRequest(
            account_id=visit.viewer_id, display_name=params.display_name.strip(), note=params.note, avatar=avatar
        )
        await visit.gateway.clients.update_account(request)

    refused = await _refused(visit, change, msgspec.structs.asdict(params), faults)
    if refused is not None:
        return await visit.page("settings_profile.html", 422, form=refused, saved=False)
    return visit.go("/settings/profile?saved=true")


async def get_privacy(visit: Visit[Saved]) -> Response:
    """Show who sees what."""
    account, settings = await visit.gateway.clients.own_account(visit.viewer_id)
    form = Form(
        {
            "discoverable": account.is_discoverable,
            "hides_friends": account.hides_friends,
            "visibility": STATUS_VISIBILITIES[settings.default_visibility],
        }
    )
    return await _privacy(visit, form, saved=visit.params.saved)


async def post_privacy(visit: Visit[Privacy]) -> Response:
    """Change it."""
    params = visit.params
    if params.visibility not in DEFAULT_VISIBILITIES:
        form = Form(msgspec.structs.asdict(params), {"visibility": visit.say(CHOICE_FAULT)})
        return await _privacy(visit, form, saved=False)
    request = UpdateAccountRequest(
        account_id=visit.viewer_id,
        is_discoverable=params.discoverable,
        hides_friends=params.hides_friends,
        default_visibility=DEFAULT_VISIBILITIES[params.visibility],
    )
    await visit.gateway.clients.update_account(request)
    return visit.go("/settings/privacy?saved=true")


async def _privacy(visit: Visit[Any], form: Form, *, saved: bool) -> Response:
    clients, hydration = visit.gateway.clients, visit.gateway.hydration
    blocks, (mutes, _) = await asyncio.gather(
        clients.blocks(visit.viewer_id, page_size=LISTED, page_token=""),
        clients.mutes(visit.viewer_id, page_size=LISTED, page_token=""),
    )
    blocked, muted = await asyncio.gather(
        hydration.account_list(blocks.account_ids), hydration.account_list([one.account_id for one in mutes])
    )
    return await visit.page("settings_privacy.html", form.code, form=form, saved=saved, blocked=blocked, muted=muted)


async def get_appearance(visit: Visit[Saved]) -> Response:
    """Show language and appearance."""
    form = Form({"language": visit.taste.language, "theme": visit.taste.theme})
    return await visit.page("settings_appearance.html", form=form, saved=visit.params.saved, languages=LANGUAGES)


async def post_appearance(visit: Visit[Appearance]) -> Response:
    """Change them: the language everywhere, the appearance in this browser."""
    params = visit.params
    language = as_language(params.language)
    faults = {
        name: visit.say(CHOICE_FAULT)
        for name, is_fine in (("language", language is not None), ("theme", params.theme in THEMES))
        if not is_fine
    }
    if faults or language is None:
        form = Form(msgspec.structs.asdict(params), faults)
        return await visit.page("settings_appearance.html", 422, form=form, saved=False, languages=LANGUAGES)
    await visit.gateway.clients.update_account(UpdateAccountRequest(account_id=visit.viewer_id, locale=language))
    response = visit.go("/settings/appearance?saved=true")
    cookies.set_preference(response, cookies.LANGUAGE, language)
    cookies.set_preference(response, cookies.THEME, params.theme)
    return response


async def _refused(
    visit: Visit[Any], change: Callable[[], Awaitable[None]], typed: dict[str, object], faults: dict[str, str]
) -> Form | None:
    """Make a change; return the form again where it cannot be."""
    try:
        await change()
    except InvalidField as error:
        field = error.metadata["field"]
        if field not in faults:
            raise
        return Form(typed, {field: visit.say(faults[field])})
    return None


def _page(method: str, name: str, handler: object, params: type[msgspec.Struct] = NoParameters) -> Page:
    return Page(
        method=method,
        path=f"/settings{name}",
        handler=handler,  # type: ignore[arg-type]  # each handler's own struct is named by params
        audience=Audience.MEMBER,
        params=params,
        takes_files=(AVATAR,) if params is Profile else (),
    )


PAGES = (
    _page("GET", "", get_settings),
    _page("GET", "/profile", get_profile, Saved),
    _page("POST", "/profile", post_profile, Profile),
    _page("GET", "/privacy", get_privacy, Saved),
    _page("POST", "/privacy", post_privacy, Privacy),
    _page("GET", "/appearance", get_appearance, Saved),
    _page("POST", "/appearance", post_appearance, Appearance),
)
