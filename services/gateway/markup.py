"""Plain text as HTML: everything is escaped first, addresses become links, line ends become breaks."""

import html
import re

EXCERPT_CHARACTERS = 300

_URL = re.compile(r"https?://[^\s<>\"'\u3000、。「」『』（）]+", re.IGNORECASE)
# A full stop or bracket behind an address belongs to the sentence around it.
_TRAILING = ".,;:!?)]}…"


def paragraph(text: str) -> str:
    """Return text as one HTML paragraph; nothing for nothing."""
    return f"<p>{inline(text)}</p>" if text else ""


def paragraphs(text: str) -> str:
    """Return text as HTML paragraphs, which blank lines separate."""
    return "".join(paragraph(part.strip("\n")) for part in re.split(r"\n{2,}", text) if part.strip())


def inline(text: str) -> str:
    """Return text as HTML without a block around it."""
    pieces: list[str] = []
    end = 0
    for match in _URL.finditer(text):
        address = match[0].rstrip(_TRAILING)
        if address.partition("://")[2]:
            pieces.append(_escape(text[end : match.start()]))
            pieces.append(link(address, address))
            end = match.start() + len(address)
    pieces.append(_escape(text[end:]))
    return "".join(pieces)


def link(address: str, text: str) -> str:
    """Return a link to an http(s) address."""
    href, shown = html.escape(address), html.escape(text)
    return f'<a href="{href}" rel="nofollow noopener noreferrer" target="_blank">{shown}</a>'


def excerpt(text: str) -> str:
    """Return the beginning of a text in one line, cut at a blank where there is one near."""
    line = " ".join(text.split())
    if len(line) <= EXCERPT_CHARACTERS:
        return line
    cut = line[: EXCERPT_CHARACTERS - 1]
    return (cut.rsplit(" ", 1)[0] if " " in cut[-30:] else cut) + "…"


def _escape(text: str) -> str:
    return html.escape(text).replace("\n", "<br>")
