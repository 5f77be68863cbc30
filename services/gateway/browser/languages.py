"""Japanese and English: gettext catalogues, and which of them a browser is shown.

English is the source: its sentences are the keys of `locale/ja/LC_MESSAGES/kodama.po`. The catalogue is compiled when the process
starts, so that what is reviewed is what is shown, and nothing has to be built.
"""

import io
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

Language = Literal["ja", "en"]
LANGUAGES: Mapping[Language, str] = {"ja": "日本語", "en": "English"}
MAX_ACCEPTED = 20


@cache
def catalogue(language: Language) -> NullTranslations:
    """Return the sentences of a language."""
    if language == "en":
        return NullTranslations()
    source = files("services.gateway") / "locale" / language / "LC_MESSAGES" / "kodama.po"
    compiled = io.BytesIO()
    with source.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Translations(compiled)


def translate(language: Language, sentence: str) -> str:
    """Return a sentence in a language; as it is where the catalogue does not have it."""
    return catalogue(language).ugettext(sentence)


def mark(sentence: str) -> str:
    """Return a sentence as it is; what is marked so is collected for the catalogue, and translated where it is shown."""
    return sentence


def as_language(text: str) -> Language | None:
    """Return the language that a tag such as ja-JP names, if it is one of ours."""
    match text.strip().lower().partition("-")[0]:
        case "ja":
            return "ja"
        case "en":
            return "en"
        case _:
            return None


def choose_language(wanted: str, accept_language: str) -> Language:
    """Return the language of a page: the one that is wanted, or else the one that the browser likes best (RFC 9110 12.5.4)."""
    accepted = [_rank(part) for part in accept_language.split(",")[:MAX_ACCEPTED]]
    by_rank = [tag for _, tag in sorted(accepted, key=lambda each: each[0], reverse=True)]
    found = (as_language(tag) for tag in (wanted, *by_rank))
    return next((language for language in found if language is not None), "en")


def _rank(part: str) -> tuple[float, str]:
    tag, _, quality = part.partition(";q=")
    try:
        return (float(quality or 1), tag)
    except ValueError:
        return (0, tag)
