"""Pages out of templates, in which everything is escaped unless it was made by services.gateway.markup."""

import gzip
import io
import secrets
from collections.abc import Mapping
from datetime import datetime, tzinfo
from functools import cache, partial
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.runtime import Context
from jinja2.utils import pass_context
from markupsafe import Markup
from starlette.responses import Response

from services.gateway import static_files
from services.gateway.browser import formats
from services.gateway.browser.languages import Language, catalogue

# Pages load nothing but what this address serves, run no script but its files, and cannot be framed.
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
REFERRER_POLICY = "same-origin"
"""Other sites are told nothing. With `no-referrer`, browsers would say of our own forms that they come from nowhere: Origin: null."""
COMPRESSION_LEVEL = 6
SMALL_BYTES = 1000
MAX_PADDING = 100


@cache
def environment(language: Language) -> Environment:
    """Return the templates in a language."""
    made = Environment(
        loader=PackageLoader("services.gateway"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    words = catalogue(language)
    made.install_gettext_callables(  # type: ignore[attr-defined]  # of the extension
        words.ugettext, words.ungettext, newstyle=True, pgettext=words.upgettext, npgettext=words.unpgettext
    )
    # The one way around escaping: what services.gateway.markup has escaped already.
    made.filters["made_by_markup"] = Markup
    made.filters["number"] = partial(formats.number, language=language)
    made.filters["path_of"] = lambda address: urlsplit(address).path
    made.filters["language_of"] = formats.language_of
    for name, write in (("since", formats.since), ("day", formats.day), ("instant", formats.instant)):
        made.filters[name] = _in_zone(partial(_written, write, language))
    made.globals["asset"] = static_files.address_of
    made.globals["language"] = language
    return made


def _written(write: formats.Write, language: Language, zone: tzinfo, moment: str | datetime) -> str:
    return write(formats.parse(moment) if isinstance(moment, str) else moment, language, zone)


def _in_zone(write: "partial[str]") -> object:
    @pass_context
    def written(context: Context, moment: str | datetime) -> str:
        return write(context["zone"], moment)

    return written


def render(language: Language, template: str, values: Mapping[str, object]) -> str:
    """Return what a template makes of values, which it escapes."""
    return environment(language).get_template(template).render(values)


def respond(
    html: str, code: int, headers: Mapping[str, str], *, accept_encoding: str, media_type: str = "text/html"
) -> Response:
    """Return a page, compressed where the browser takes it so."""
    body, shape = html.encode(), {"vary": "accept-encoding, cookie, hx-request"}
    if len(body) > SMALL_BYTES and "gzip" in accept_encoding:
        body, shape["content-encoding"] = compress(body), "gzip"
    safe = {"content-security-policy": POLICY, "referrer-policy": REFERRER_POLICY}
    return Response(body, code, {**safe, **shape, **headers}, media_type)


def compress(body: bytes) -> bytes:
    """Return a page compressed, with a file name of random length in its head (RFC 1952 2.3).

    Pages hold secrets beside what was typed; their sizes would tell of them (BREACH). The form tokens are masked besides. This is how
    Django does it, after "Heal the Breach" (Palacios and others, IEEE Access 2022).
    """
    file = io.BytesIO()
    padding = "a" * secrets.randbelow(MAX_PADDING)
    with gzip.GzipFile(filename=padding, mode="wb", compresslevel=COMPRESSION_LEVEL, fileobj=file, mtime=0) as packed:
        packed.write(body)
    return file.getvalue()
