"""Where a text mentions members: `@handle`, or `@handle@domain` with this network's own domain.

The one reading of mentions: the status service stores whom a text mentions by it, the gateway makes links by it.
"""

from dataclasses import dataclass

import regex

from chassis.characters import URL

_MENTION = regex.compile(
    # Not inside a word, an address (/@ann) or an e-mail address (me@ann).
    r"(?<![\p{L}\p{N}_/@.=])@(?P<handle>[A-Za-z0-9_]{1,30})(?![A-Za-z0-9_])"
    # A full stop behind a domain belongs to the sentence around it.
    r"(?:@(?P<domain>[A-Za-z0-9-]++(?:\.[A-Za-z0-9-]++)*+(?::[0-9]{1,5}+)?+))?(?!@)"
)


@dataclass(frozen=True)
class Mention:
    """A place of a text where a member is named: text[start:end] is the name as it was written."""

    start: int
    end: int
    handle: str
    """As handles are stored: in small letters."""


def find_mentions(text: str, domain: str) -> list[Mention]:
    """Return the mentions in clean text, in its order; `domain` is this network's own, with its port where it has one.

    Names inside addresses and members of other networks are none.
    """
    if "@" not in text:
        return []
    urls = [match.span() for match in URL.finditer(text)]
    return [
        Mention(match.start(), match.end(), match["handle"].lower())
        for match in _MENTION.finditer(text)
        if (match["domain"] or domain).lower() == domain.lower()
        and not any(start <= match.start() < end for start, end in urls)
    ]


def find_handles(text: str, domain: str) -> list[str]:
    """Return the distinct handles that a text mentions, in the order in which they come."""
    return list(dict.fromkeys(mention.handle for mention in find_mentions(text, domain)))
