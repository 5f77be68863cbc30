"""What acts for the member: sign-ins and apps, each of which can be ended, and the password."""

import msgspec
from starlette.responses import Response

from chassis.errors import InvalidField, TooManyAttempts, Unauthenticated
from services.gateway.browser.endpoint import Audience, Page
from services.gateway.browser.forms import Form
from services.gateway.browser.languages import mark
from services.gateway.browser.scope_words import meanings
from services.gateway.browser.sessions import PASSWORD_MISSING, too_many
from services.gateway.browser.settings import Saved
from services.gateway.browser.visit import Visit
from services.gateway.limiting import SIGN_INS
from services.gateway.parameters import LongText, NoParameters
from services.gateway.rendering import iso_time

NEW_FAULT = mark("A password has 8 to 128 characters.")
OLD_WRONG = mark("This is not your password.")


class NewPassword(msgspec.Struct, frozen=True, kw_only=True):
    """The old password and the new one."""

    old_password: LongText = ""
    new_password: LongText = ""


async def get_apps(visit: Visit[Saved]) -> Response:
    """Show where the member is signed in, and which apps act for them."""
    grants = await visit.gateway.clients.grants(visit.viewer_id)
    own_id = await _own_token_id(visit)
    shown = [
        {
            "id": str(grant.token_id),
            "name": grant.app.name,
            "website": grant.app.website,
            "label": grant.label,
            "is_session": grant.is_session,
            "is_this": grant.token_id == own_id,
            "since": iso_time(grant.created_at_ms),
            "meanings": [visit.say(meaning) for meaning in meanings(grant.scopes)],
        }
        for grant in grants
    ]
    return await visit.page("settings_apps.html", grants=shown, saved=visit.params.saved)


async def _own_token_id(visit: Visit[Saved]) -> int:
    token_hash = bytes.fromhex(visit.caller.token)
    found = await visit.gateway.clients.verify_tokens([token_hash])
    return found[token_hash].token_id if token_hash in found else 0


async def post_revoke(visit: Visit[NoParameters]) -> Response:
    """End a sign-in or take an app its token away."""
    await visit.gateway.clients.revoke_grant(visit.viewer_id, visit.path_id())
    return visit.go("/settings/apps?saved=true")


async def get_password(visit: Visit[Saved]) -> Response:
    """Ask for the old password and a new one."""
    return await visit.page("settings_password.html", form=Form(), saved=visit.params.saved)


async def post_password(visit: Visit[NewPassword]) -> Response:
    """Change the password; all other sign-ins end."""
    params, code = visit.params, 422
    faults: dict[str, str] = {}
    headers: dict[str, str] = {}
    if not params.old_password:
        faults["old_password"] = visit.say(PASSWORD_MISSING)
    else:
        try:
            await visit.gateway.clients.change_password(
                visit.viewer_id,
                old_password=params.old_password,
                new_password=params.new_password,
                kept_token_hash=bytes.fromhex(visit.caller.token),
            )
        except InvalidField:
            faults["new_password"] = visit.say(NEW_FAULT)
        except Unauthenticated:
            faults["old_password"] = visit.say(OLD_WRONG)
        except TooManyAttempts as error:
            code = 429
            faults["old_password"], headers = too_many(visit, error)
    if faults:
        return await visit.page("settings_password.html", code, headers, form=Form({}, faults), saved=False)
    return visit.go("/settings/password?saved=true")


PAGES = (
    Page(method="GET", path="/settings/apps", handler=get_apps, audience=Audience.MEMBER, params=Saved),
    Page(method="POST", path="/settings/apps/{id}/revoke", handler=post_revoke, audience=Audience.MEMBER),
    Page(method="GET", path="/settings/password", handler=get_password, audience=Audience.MEMBER, params=Saved),
    Page(
        method="POST",
        path="/settings/password",
        handler=post_password,
        audience=Audience.MEMBER,
        params=NewPassword,
        limits=(SIGN_INS,),
    ),
)
