"""What a member may change of their account; pure."""

import re
from dataclasses import dataclass, replace
from typing import TypeVar

from chassis.errors import InvalidField
from services.account.domain import Account, AccountSettings, check_profile

DEFAULT_VISIBILITIES = frozenset({1, 2, 3})
"""Public, unlisted and friends, by their numbers in kodama.status.v1.Visibility: what a member can have statuses be by default."""

_PICTURE = re.compile(r"[1-9][0-9]{0,18}/[0-9a-f]{32}\.(jpg|webp)", re.ASCII)
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", re.ASCII)


@dataclass(frozen=True)
class AccountChange:
    """What a member changes of their account; None stays as it is."""

    display_name: str | None = None
    note: str | None = None
    is_bot: bool | None = None
    is_discoverable: bool | None = None
    hides_friends: bool | None = None
    avatar: str | None = None
    header: str | None = None
    default_visibility: int | None = None
    default_sensitive: bool | None = None
    default_language: str | None = None
    locale: str | None = None


def change_account(
    account: Account, settings: AccountSettings, change: AccountChange
) -> tuple[Account, AccountSettings]:
    """Return an account and its settings after a change; the version grows where others see a difference.

    Raises InvalidField, which names the field.
    """
    profile = check_profile(
        account.handle,
        _changed(change.display_name, account.display_name),
        _changed(change.note, account.note),
        _changed(change.locale, account.locale) or account.locale,
    )
    changed = replace(
        account,
        display_name=profile.display_name,
        note=profile.note,
        locale=profile.locale,
        is_bot=_changed(change.is_bot, account.is_bot),
        is_discoverable=_changed(change.is_discoverable, account.is_discoverable),
        hides_friends=_changed(change.hides_friends, account.hides_friends),
        avatar=_picture("avatar", _changed(change.avatar, account.avatar)),
        header=_picture("header", _changed(change.header, account.header)),
    )
    if changed != account:
        changed = replace(changed, version=account.version + 1)
    return changed, AccountSettings(
        account.id,
        _visibility(_changed(change.default_visibility, settings.default_visibility)),
        _changed(change.default_sensitive, settings.default_sensitive),
        _language(_changed(change.default_language, settings.default_language)),
    )


_Value = TypeVar("_Value")


def _changed(wanted: _Value | None, old: _Value) -> _Value:
    return old if wanted is None else wanted


def _visibility(visibility: int) -> int:
    if visibility not in DEFAULT_VISIBILITIES:
        raise InvalidField(
            "default_visibility", "Statuses are public, unlisted or for friends unless they say otherwise."
        )
    return visibility


def _picture(field: str, name: str) -> str:
    if name and not _PICTURE.fullmatch(name):
        raise InvalidField(field, "A picture is named MEDIA_ID/TOKEN.EXTENSION.")
    return name


def _language(language: str) -> str:
    if language and not _LANGUAGE.fullmatch(language):
        raise InvalidField("default_language", "The language is a code such as ja, en or pt-BR.")
    return language
