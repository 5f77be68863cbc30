"""Plain text as HTML: everything is escaped first, addresses and mentions become links, line ends become breaks."""

import html
import re
from collections.abc import Sequence

from chassis.characters import URL

EXCERPT_CHARACTERS = 300

Names = Sequence[tuple[int, int, str]]
"""Where a text names members: text[start:end] is the name, and the address of their page."""


def paragraph(text: str, names: Names = ()) -> str:
    """Return text as one HTML paragraph; nothing for nothing."""
    return f"<p>{inline(text, names)}</p>" if text else ""


def paragraphs(text: str) -> str:
    """Return text as HTML paragraphs, which blank lines separate."""
    return "".join(paragraph(part.strip("\n")) for part in re.split(r"\n{2,}", text) if part.strip())


def inline(text: str, names: Names = ()) -> str:
    """Return text as HTML without a block around it."""
    links = [(start, stop, _mention(address, text[start:stop])) for start, stop, address in names]
    links += ((match.start(), match.end(), link(match[0], match[0])) for match in URL.finditer(text))
    pieces: list[str] = []
    end = 0
    for start, stop, made in sorted(links):
        if start >= end:
            pieces += (_escape(text[end:start]), made)
            end = stop
    pieces.append(_escape(text[end:]))
    return "".join(pieces)


def link(address: str, text: str) -> str:
    """Return a link to an http(s) address."""
    href, shown = html.escape(address), html.escape(text)
    return f'<a href="{href}" rel="nofollow noopener noreferrer" target="_blank">{shown}</a>'


def _mention(address: str, name: str) -> str:
    """Return a link to a member's page, marked up as clients of the Mastodon API find mentions."""
    href, shown = html.escape(address), html.escape(name.removeprefix("@"))
    return (
        f'<span class="h-card" translate="no"><a href="{href}" class="u-url mention">@<span>{shown}</span></a></span>'
    )


def excerpt(text: str) -> str:
    """Return the beginning of a text in one line, cut at a blank where there is one near."""
    line = " ".join(text.split())
    if len(line) <= EXCERPT_CHARACTERS:
        return line
    cut = line[: EXCERPT_CHARACTERS - 1]
    return (cut.rsplit(" ", 1)[0] if " " in cut[-30:] else cut) + "…"


def _escape(text: str) -> str:
    return html.escape(text).replace("\n", "<br>")
