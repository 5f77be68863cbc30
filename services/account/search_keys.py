"""What accounts are found by: names, folded, from the beginning of each word on.

Japanese writes words without blanks between them, so every ideograph and kana can begin one; 花子 finds 山田花子.
"""

import unicodedata

import regex

MAX_KEY = 30
MAX_KEYS = 100

_SEPARATORS = regex.compile(r"[^\p{L}\p{M}\p{N}]+")
_BEGINNING = regex.compile(r"(?<![^ ])[^ ]|[\p{Han}\p{Hiragana}\p{Katakana}]")
_BEYOND = "\U0010ffff"  # sorts behind everything that a key can go on with


def fold(text: str) -> str:
    """Return text so that spellings which mean the same are the same: no case, no width, one blank for all between words."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return _SEPARATORS.sub(" ", folded).strip()


def search_keys(handle: str, display_name: str) -> list[str]:
    """Return the keys that an account is found by, each 1 to 30 characters."""
    keys = (
        name[match.start() : match.start() + MAX_KEY].strip()
        for name in (fold(handle), fold(display_name))
        for match in _BEGINNING.finditer(name)
    )
    return list(dict.fromkeys(keys))[:MAX_KEYS]


def key_range(query: str) -> tuple[str, str] | None:
    """Return the first key that a search finds and what is behind the last; None where it looks for nothing."""
    wanted = fold(query)[:MAX_KEY].strip()
    return (wanted, wanted + _BEYOND) if wanted else None
