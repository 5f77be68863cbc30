"""The member's own account: signing up, what they see of themselves, what they change of it."""

import asyncio
from typing import Literal

import msgspec
from kodama.account.v1 import account_pb2
from kodama.account.v1.account_service_pb2 import UpdateAccountRequest
from kodama.status.v1 import status_pb2
from starlette.datastructures import UploadFile
from starlette.responses import Response

from chassis.errors import InvalidField, PermissionDenied
from services.gateway.auth import Open
from services.gateway.calling import part_of_write
from services.gateway.context import Call
from services.gateway.entities import CredentialAccount, Preferences, Token
from services.gateway.limiting import MEDIA, SIGN_UPS, Standing
from services.gateway.parameters import LongText, NoParameters, ShortText
from services.gateway.rendering import STATUS_VISIBILITIES
from services.gateway.routes.media import pieces_of
from services.gateway.routing import Route, json_response
from services.gateway.signing_up import SignUp, SignUpErrorBody, check_sign_up, language_of, sign_up_error

MAX_SHOWN_REQUESTS = 1000
AVATAR, HEADER = "avatar", "header"

DefaultVisibility = Literal["public", "unlisted", "private"]
DEFAULT_VISIBILITIES = {
    "public": status_pb2.VISIBILITY_PUBLIC,
    "unlisted": status_pb2.VISIBILITY_UNLISTED,
    "private": status_pb2.VISIBILITY_FRIENDS,
}


class SourceChange(msgspec.Struct, frozen=True, kw_only=True):
    """What new statuses are like unless they say otherwise."""

    privacy: DefaultVisibility | None = None
    sensitive: bool | None = None
    language: ShortText | None = None


class CredentialsChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a member changes of their account; what is missing stays. A multipart body can bring avatar and header as files: JPEG, PNG,
    WebP or GIF, together at most 8 MiB; of an animation the first picture is taken."""

    display_name: ShortText | None = None
    note: LongText | None = None
    locked: bool | None = None
    """Always true here: friendship is asked for."""
    bot: bool | None = None
    discoverable: bool | None = None
    hide_collections: bool | None = None
    """Whether the list of friends is nobody else's to read."""
    source: SourceChange | None = None


async def post_account(call: Call[SignUp]) -> Response:
    """Sign a member up. The token in the answer works at once, unless the network has addresses confirmed by e-mail: then once that
    is done."""
    form, gateway = call.params, call.gateway
    if not gateway.settings.registrations_open:
        raise PermissionDenied("This network does not take new members at the moment.")
    check_sign_up(form)
    account = await gateway.clients.create_account(
        handle=form.username,
        email=form.email,
        password=form.password,
        locale=language_of(form.locale),
        display_name=form.display_name,
        app_id=call.caller.app_id,
    )
    token = await gateway.clients.issue_account_token(account_id=account.id, app_id=call.caller.app_id)
    return json_response(gateway.renderer.token(token), {"cache-control": "no-store"})


async def get_own_account(call: Call[NoParameters]) -> Response:
    """Return the member whom the token stands for, with their settings."""
    own = await call.gateway.clients.own_account(call.caller.account_id)
    return json_response(await _credential_account(call, own.account, own.settings))


async def patch_own_account(call: Call[CredentialsChange]) -> Response:
    """Change the member whom the token stands for; return them as they are then."""
    change, source = call.params, call.params.source or SourceChange()
    if change.locked is False:
        raise InvalidField("locked", "Every account is locked here: friendship is asked for.")
    pictures = {name: await _upload(call, name, file) for name, file in call.files.items()}
    answer = await call.gateway.clients.update_account(
        UpdateAccountRequest(
            account_id=call.caller.account_id,
            display_name=change.display_name,
            note=change.note,
            is_bot=change.bot,
            is_discoverable=change.discoverable,
            hides_friends=change.hide_collections,
            avatar=pictures.get(AVATAR),
            header=pictures.get(HEADER),
            default_visibility=None if source.privacy is None else DEFAULT_VISIBILITIES[source.privacy],
            default_sensitive=source.sensitive,
            default_language=source.language,
        )
    )
    return json_response(await _credential_account(call, answer.account, answer.settings))


async def _upload(call: Call[CredentialsChange], name: str, file: UploadFile) -> str:
    """Store a picture and return what the account calls it. Raises InvalidField, which names the file."""
    call.gateway.limiter.count(call.request, call.caller, (MEDIA,), Standing())
    try:
        with part_of_write(name):
            media = await call.gateway.clients.upload_media(
                account_id=call.caller.account_id, description="", focus=None, content=pieces_of(file)
            )
    except InvalidField as error:
        raise InvalidField(name, error.message) from error
    return f"{media.id}/{media.token}.{media.extension}"


async def delete_avatar(call: Call[NoParameters]) -> Response:
    """Take the member's picture away: the one that is drawn from their id is shown again."""
    return await _change(call, UpdateAccountRequest(account_id=call.caller.account_id, avatar=""))


async def delete_header(call: Call[NoParameters]) -> Response:
    """Take the picture above the member's profile away."""
    return await _change(call, UpdateAccountRequest(account_id=call.caller.account_id, header=""))


async def _change(call: Call[NoParameters], request: UpdateAccountRequest) -> Response:
    answer = await call.gateway.clients.update_account(request)
    return json_response(await _credential_account(call, answer.account, answer.settings))


async def get_preferences(call: Call[NoParameters]) -> Response:
    """Return how the member's clients start a new status."""
    account, settings = await call.gateway.clients.own_account(call.caller.account_id)
    return json_response(
        Preferences(
            visibility=STATUS_VISIBILITIES[settings.default_visibility],
            sensitive=settings.default_sensitive,
            language=settings.default_language or account.locale or None,
        )
    )


async def _credential_account(
    call: Call[CredentialsChange] | Call[NoParameters],
    account: account_pb2.Account,
    settings: account_pb2.AccountSettings,
) -> CredentialAccount:
    rendered, requests = await asyncio.gather(
        call.gateway.hydration.rendered(account),
        call.gateway.clients.friend_requests(account.id, page_size=MAX_SHOWN_REQUESTS),
    )
    return call.gateway.renderer.credential_account(rendered, account, settings, len(requests.account_ids))


ROUTES = (
    Route(
        method="POST",
        path="/api/v1/accounts",
        handler=post_account,
        policy=Open.APP,
        params=SignUp,
        response=Token,
        errors=sign_up_error,
        refusal=SignUpErrorBody,
        limits=(SIGN_UPS,),
        summary="Sign up",
        tag="accounts",
    ),
    Route(
        method="GET",
        path="/api/v1/accounts/verify_credentials",
        handler=get_own_account,
        policy="read:accounts",
        response=CredentialAccount,
        summary="The member whom the token stands for",
        tag="accounts",
    ),
    Route(
        method="PATCH",
        path="/api/v1/accounts/update_credentials",
        handler=patch_own_account,
        policy="write:accounts",
        params=CredentialsChange,
        response=CredentialAccount,
        fields={"default_language": "source[language]", "default_visibility": "source[privacy]"},
        takes_files=(AVATAR, HEADER),
        needs_file=False,
        summary="Change the member whom the token stands for",
        tag="accounts",
    ),
    Route(
        method="DELETE",
        path="/api/v1/profile/avatar",
        handler=delete_avatar,
        policy="write:accounts",
        response=CredentialAccount,
        summary="Take the member's picture away",
        tag="accounts",
    ),
    Route(
        method="DELETE",
        path="/api/v1/profile/header",
        handler=delete_header,
        policy="write:accounts",
        response=CredentialAccount,
        summary="Take the picture above the profile away",
        tag="accounts",
    ),
    Route(
        method="GET",
        path="/api/v1/preferences",
        handler=get_preferences,
        policy="read:accounts",
        response=Preferences,
        summary="How the member's clients start a new status",
        tag="accounts",
    ),
)
