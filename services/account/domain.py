"""What an account is, what an app may ask for, and what the scopes of a token let it do."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from chassis import characters, ids
from chassis.errors import InvalidField

MAX_DISPLAY_NAME = 60
MAX_NOTE = 500
MAX_EMAIL = 254
MIN_PASSWORD_BYTES = 8
MAX_PASSWORD_BYTES = 128
MAX_APP_NAME = 60
MAX_URI = 2000
MAX_REDIRECT_URIS = 10
MAX_CREDENTIAL = 100
MAX_PAGE = 1000
MAX_QUERY = 200
DEFAULT_FOUND, MAX_FOUND = 40, 80
MAX_OFFSET = 1000

LOCALES = ("ja", "en")
DEFAULT_LOCALE = "ja"

OPERATOR_APP_ID = 4
"""The app that migration 0002 makes; it has no secret, so nobody can authenticate as it."""

PAGES_APP_ID = 8
"""The app that migration 0007 makes: the network's own pages. Its tokens are sessions of browsers."""
SESSION_SCOPES = ("read", "write", "follow")
SESSION_DAYS = 90

OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"
DEFAULT_SCOPES = ("read",)

_HANDLE = re.compile(r"[a-z0-9_]{1,30}", re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:.", re.ASCII)
_PAGE_TOKEN = re.compile(r"[0-9]{1,19}", re.ASCII)
_EMAIL_FORBIDDEN = frozenset('<>()[]\\,;:"')  # only legal inside quotes, where they have tricked mail software before
_FORBIDDEN_SCHEMES = frozenset(
    {"javascript", "vbscript", "data", "file", "blob"}
)  # would run or read on the member's side

_READ = (
    *("accounts", "blocks", "bookmarks", "favourites", "filters", "follows"),
    *("lists", "mutes", "notifications", "search", "statuses"),
)
_WRITE = (
    *("accounts", "blocks", "bookmarks", "conversations", "favourites", "filters", "follows"),
    *("lists", "media", "mutes", "notifications", "reports", "statuses"),
)
_FOLLOW = frozenset(f"{verb}:{noun}" for verb in ("read", "write") for noun in ("follows", "blocks", "mutes"))

_MEANING: dict[str, frozenset[str]] = {
    **{f"read:{noun}": frozenset({f"read:{noun}"}) for noun in _READ},
    **{f"write:{noun}": frozenset({f"write:{noun}"}) for noun in _WRITE},
    "read": frozenset({"read", *(f"read:{noun}" for noun in _READ)}),
    "write": frozenset({"write", *(f"write:{noun}" for noun in _WRITE)}),
    "follow": _FOLLOW,
    "push": frozenset({"push"}),
    "profile": frozenset({"profile"}),
}
"""Scope → all that it lets a token do. `read` holds itself too, so that all the `read:…` together do not make a `read`, which
will also mean what is added later."""


@dataclass(frozen=True)
class Account:
    """What everybody may know of a member."""

    id: int
    handle: str
    display_name: str
    note: str
    locale: str
    created_at: datetime
    version: int
    """One more with each change of what others see."""
    is_bot: bool
    is_discoverable: bool
    hides_friends: bool
    """Nobody else may read the list of the member's friends."""
    avatar: str = ""
    """The picture that the member is shown with, MEDIA_ID/TOKEN.EXTENSION; empty for none."""
    header: str = ""
    """The wide one above the profile, as well."""


@dataclass(frozen=True)
class AccountSettings:
    """What a member has decided for themselves; nobody else sees it."""

    account_id: int
    default_visibility: int
    """A kodama.status.v1.Visibility."""
    default_sensitive: bool
    default_language: str


@dataclass(frozen=True)
class NewProfile:
    """The public part of an account that may be made: checked and clean."""

    handle: str
    display_name: str
    note: str
    locale: str


@dataclass(frozen=True)
class SignUp:
    """A sign-up that may go ahead: checked and clean."""

    profile: NewProfile
    email: str = field(repr=False)
    email_key: str = field(repr=False)
    password: bytes = field(repr=False)


@dataclass(frozen=True)
class App:
    """A client program."""

    id: int
    client_id: str
    name: str
    website: str
    redirect_uris: list[str]
    scopes: list[str]
    is_public: bool = False
    """It has no secret, as whoever runs it could read it."""


@dataclass(frozen=True)
class NewApp:
    """An app that may be registered: checked and clean."""

    name: str
    website: str
    redirect_uris: list[str]
    scopes: list[str]
    is_public: bool = False


@dataclass(frozen=True)
class TokenInfo:
    """What a token stands for; `account_id` is None where it acts for the app itself."""

    id: int
    app_id: int
    account_id: int | None
    scopes: list[str]
    created_at: datetime
    awaits_confirmation: bool = False
    """The member has not shown yet that the e-mail address is theirs, and may do next to nothing."""

    @property
    def is_session(self) -> bool:
        """Whether it is a session of a member's browser."""
        return self.app_id == PAGES_APP_ID


def is_handle(text: str) -> bool:
    """Tell whether an account can have this handle."""
    return _HANDLE.fullmatch(text) is not None


def check_profile(handle: str, display_name: str, note: str, locale: str) -> NewProfile:
    """Return the profile as it is stored; an empty display name becomes the handle. Raises InvalidField."""
    if not is_handle(handle):
        raise InvalidField("handle", "A handle has 1 to 30 of the characters a-z, 0-9 and _.")
    if locale not in ("", *LOCALES):
        raise InvalidField("locale", 'The locale is "ja" or "en".')
    name = _line("display_name", "The display name", display_name, MAX_DISPLAY_NAME)
    if display_name and characters.is_blank(name):
        raise InvalidField("display_name", "The display name cannot be blank.")
    return NewProfile(handle, name or handle, _text("note", "The note", note, MAX_NOTE), locale or DEFAULT_LOCALE)


def check_sign_up(handle: str, email: str, password: str, locale: str, display_name: str) -> SignUp:
    """Return the sign-up as it is stored. Raises InvalidField, which names the field, where it may not go ahead."""
    profile = check_profile(handle, display_name, "", locale)
    return SignUp(profile, *check_email(email), check_password(password))


def check_email(email: str) -> tuple[str, str]:
    """Return an address as written and its key, the same for all spellings of one address. Raises InvalidField.

    Only whether mail arrives would prove an address right; here it is only kept from being nonsense or an injection.
    """
    if len(email) > MAX_EMAIL:
        raise InvalidField("email", f"An e-mail address has at most {MAX_EMAIL} characters.")
    local, _, domain = email.partition("@")
    plain = email.isprintable() and not any(sign.isspace() or sign in _EMAIL_FORBIDDEN for sign in email)
    if not (plain and local and domain) or "@" in domain or domain.startswith((".", "-")) or domain.endswith("."):
        raise InvalidField("email", "This is not an e-mail address.")
    return email, _email_key(email)


def _email_key(email: str) -> str:
    return unicodedata.normalize("NFC", email.casefold())


def check_login(login: str) -> tuple[str, str]:
    """Return the handle and the key of the e-mail address that somebody signs in with: one is empty, both for what is neither."""
    login = login.strip()
    if len(login) > MAX_EMAIL or not login.isprintable():
        return "", ""
    handle = login.removeprefix("@").lower()
    if is_handle(handle):
        return handle, ""
    return "", _email_key(login) if "@" in login else ""


def check_password(password: str) -> bytes:
    """Return a password as it is hashed, the same for however a keyboard composes its characters. Raises InvalidField."""
    size = len(password.encode())
    if size < MIN_PASSWORD_BYTES:
        raise InvalidField("password", f"A password has at least {MIN_PASSWORD_BYTES} characters.")
    if size > MAX_PASSWORD_BYTES:
        raise InvalidField("password", f"A password has at most {MAX_PASSWORD_BYTES} bytes.")
    return unicodedata.normalize("NFC", password).encode()


def check_app(
    name: str, website: str, redirect_uris: Sequence[str], scopes: Sequence[str], *, is_public: bool = False
) -> NewApp:
    """Return what may be registered. Raises InvalidField, which names the field, where it may not."""
    clean_name = _line("name", "The app's name", name, MAX_APP_NAME)
    if characters.is_blank(clean_name):
        raise InvalidField("name", "An app needs a name.")
    if website and not _is_web_address(website):
        raise InvalidField("website", "The website must be an http:// or https:// address.")
    if not 1 <= len(redirect_uris) <= MAX_REDIRECT_URIS:
        raise InvalidField("redirect_uris", f"An app has 1 to {MAX_REDIRECT_URIS} redirect URIs.")
    for uri in redirect_uris:
        if not is_redirect_uri(uri):
            raise InvalidField(
                "redirect_uris",
                f"A redirect URI is {OUT_OF_BAND} or an absolute URI of at most {MAX_URI} characters without a fragment.",
            )
    distinct = list(dict.fromkeys(redirect_uris))
    return NewApp(clean_name, website, distinct, check_scopes(scopes) or [*DEFAULT_SCOPES], is_public)


def is_redirect_uri(uri: str) -> bool:
    """Tell whether members may be sent to this URI with a code; schemes of native apps are fine."""
    if uri == OUT_OF_BAND:
        return True
    if not _is_plain_uri(uri) or "#" in uri or not _SCHEME.match(uri):
        return False
    try:
        parts = urlsplit(uri)
        web = parts.scheme in ("http", "https")
        return parts.scheme not in _FORBIDDEN_SCHEMES and not (web and not parts.hostname)
    except ValueError:
        return False


def check_scopes(scopes: Sequence[str]) -> list[str]:
    """Return the scopes without repetitions, in their order. Raises InvalidField for unknown ones."""
    distinct = list(dict.fromkeys(scopes))
    if not _MEANING.keys() >= set(distinct):
        raise InvalidField("scopes", f"A scope is unknown; there are {', '.join(sorted(_MEANING))}.")
    return distinct


def covers(granted: Iterable[str], asked: Iterable[str]) -> bool:
    """Tell whether granted scopes allow all that is asked, as Mastodon's do: `read` covers every `read:…`, `write` every
    `write:…`, and `follow` reading and writing of follows, blocks and mutes. Unknown scopes allow nothing and are never allowed.
    """
    allowed = frozenset[str]().union(*(_MEANING.get(scope, frozenset()) for scope in granted))
    return all(scope in _MEANING and _MEANING[scope] <= allowed for scope in asked)


def grant(app: App, asked: Sequence[str], default: Sequence[str]) -> list[str]:
    """Return the scopes of a new token of an app: what is asked, or the default. Raises InvalidField beyond the app's own."""
    scopes = check_scopes(asked) or list(default)
    if not covers(app.scopes, scopes):
        raise InvalidField("scopes", "The app has not registered for all of these scopes.")
    return scopes


def is_credential(text: str) -> bool:
    """Tell whether a text can be a client id, secret or token of ours at all; everything else need not be looked up."""
    return 0 < len(text) <= MAX_CREDENTIAL and text.isascii() and text.isprintable()


def secret_hash(secret: str) -> bytes:
    """Return how a secret is stored. It is random and long, so that a plain hash tells nothing of it."""
    return hashlib.sha256(secret.encode()).digest()


def check_page(page_size: int, page_token: str) -> tuple[int, int]:
    """Return the size of a page of accounts and the id that it starts after. Raises InvalidField."""
    if page_size < 0:
        raise InvalidField("page_size", "page_size cannot be negative.")
    if page_token and not _PAGE_TOKEN.fullmatch(page_token):
        raise InvalidField("page_token", "This page_token is not one that a page ended with.")
    after = min(int(page_token or 0), ids.MAX_ID)
    return min(page_size or MAX_PAGE, MAX_PAGE), after


def check_search(query: str, limit: int, offset: int) -> tuple[int, int]:
    """Return how many of what a search finds are wanted, and how many of the first are not. Raises InvalidField."""
    if len(query) > MAX_QUERY:
        raise InvalidField("query", f"A search has at most {MAX_QUERY} characters.")
    if not 0 <= limit <= MAX_FOUND:
        raise InvalidField("limit", f"The limit is 1 to {MAX_FOUND}.")
    if not 0 <= offset <= MAX_OFFSET:
        raise InvalidField("offset", f"The offset is at most {MAX_OFFSET}.")
    return limit or DEFAULT_FOUND, offset


def _is_plain_uri(uri: str) -> bool:
    return len(uri) <= MAX_URI and uri.isascii() and uri.isprintable() and " " not in uri


def _is_web_address(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        return _is_plain_uri(uri) and parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _line(field_name: str, what: str, text: str, maximum: int) -> str:
    cleaned = _text(field_name, what, text, maximum)
    if "\n" in cleaned:
        raise InvalidField(field_name, f"{what} has one line.")
    return cleaned


def _text(field_name: str, what: str, text: str, maximum: int) -> str:
    # Decomposed text gets shorter by cleaning, to a quarter at most; beyond that it is not worth the work.
    if len(text) <= 4 * maximum:
        try:
            cleaned = characters.clean(text)
        except characters.UnacceptableText as error:
            raise InvalidField(field_name, f"{what} {error}.") from error
        if len(cleaned) <= maximum:
            return cleaned
    raise InvalidField(field_name, f"{what} has at most {maximum} characters.")
