"""Moments and numbers as people write them: in a language and in the zone of the browser."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

from babel.dates import format_date, format_datetime, format_timedelta, get_timezone
from babel.numbers import format_decimal

from services.gateway.browser.languages import Language

ZONES: Mapping[Language, str] = {"ja": "Asia/Tokyo", "en": "UTC"}
"""Where a browser has not said where it is."""
LOCALES: Mapping[Language, str] = {"ja": "ja_JP", "en": "en_GB"}
Write = Callable[[datetime, Language, tzinfo], str]
"""How a moment is written."""
RECENT = timedelta(days=7)
MAX_ZONE = 50

_JAPANESE = re.compile(r"[\u3041-\u30ff\u3400-\u9fff\uff66-\uff9f]")


@lru_cache(maxsize=512)
def zone_of(name: str, language: Language) -> tzinfo:
    """Return the zone that a browser names; its language's where it names none that there is."""
    try:
        return get_timezone(name if 0 < len(name) <= MAX_ZONE else ZONES[language])
    except (LookupError, ValueError, OSError):
        return get_timezone(ZONES[language])


def parse(iso: str) -> datetime:
    """Return the moment that an entity names."""
    return datetime.fromisoformat(iso)


def since(moment: datetime, language: Language, zone: tzinfo, now: datetime | None = None) -> str:
    """Return how long ago something was, or its day where that is more than a week."""
    ago = (now or datetime.now(UTC)) - moment
    if ago >= RECENT:
        return day(moment, language, zone)
    return format_timedelta(
        -max(ago, timedelta(seconds=1)), add_direction=True, format="short", locale=LOCALES[language]
    )


def day(moment: datetime, language: Language, zone: tzinfo) -> str:
    """Return the day of a moment."""
    return format_date(moment.astimezone(zone), "long", locale=LOCALES[language])


def instant(moment: datetime, language: Language, zone: tzinfo) -> str:
    """Return a moment to the minute."""
    return format_datetime(moment, "medium", tzinfo=zone, locale=LOCALES[language])


def number(value: int, language: Language) -> str:
    """Return a number with its separators."""
    return format_decimal(value, locale=LOCALES[language])


def language_of(text: str) -> str:
    """Return what a text is marked up as, so that it is read aloud and broken into lines as it should be: Japanese, or unknown."""
    return "ja" if _JAPANESE.search(text) else ""
