"""Blog entries as HTML: CommonMark (spec.commonmark.org) without HTML of its own, cleaned once more by an allow-list.

A line end is a line break, since people who write a diary mean one. A page has its title above the text, so that headings begin at
the second level. An address is a link; a picture of this network is shown, any other is a link to it, so that reading tells nobody.
"""

import html
import re
from collections.abc import Iterator, Sequence

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from chassis.characters import URL

TAGS = {"p", "br", "em", "strong", "a", "ul", "ol", "li", "blockquote", "code", "pre", "h2", "h3", "h4", "hr", "img"}
ATTRIBUTES: dict[str, set[str]] = {"*": set(), "a": {"href"}, "img": {"src", "alt"}, "ol": {"start"}}
SCHEMES = {"http", "https"}
REL = "nofollow noopener ugc"
HEADINGS = {"h1": "h2", "h2": "h3"}
LOWEST_HEADING = "h4"
EXCERPT_SOURCE = 2000
"""So much of a text is looked at for how it begins."""

_ADDRESS = re.compile(r"https?://[\w.-]+(?::[0-9]+)?(?:[/?#].*)?", re.IGNORECASE | re.DOTALL)
"""Without a name before the host, which is only there to be taken for the host."""
_PICTURE = re.compile(r"/media/[0-9]{1,19}/[\w-]+\.[a-z]+", re.ASCII)


class Markdown:
    """Renders texts for the network under one address. Pure, also in several threads: a parser is never changed after it is made."""

    def __init__(self, base_url: str) -> None:
        self._base = base_url
        self._parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "xhtmlOut": False})
        self._parser.validateLink = self._is_link  # type: ignore[method-assign]  # the way that its documentation names
        self._parser.core.ruler.push("kodama", self._adapt)

    def render(self, text: str) -> str:
        """Return a text as HTML with the tags and attributes of TAGS and ATTRIBUTES only."""
        return nh3.clean(
            self._parser.render(text),
            tags=TAGS,
            attributes=ATTRIBUTES,
            attribute_filter=self._filter_attribute,
            url_schemes=SCHEMES,
            link_rel=REL,
        )

    def plain(self, text: str) -> str:
        """Return how a text begins without its markup, paragraphs as lines."""
        lines: list[str] = []
        for token in self._parser.parse(text[:EXCERPT_SOURCE]):
            if token.type == "inline":
                lines.append("".join(_words(token.children or ())))
            elif token.type in ("fence", "code_block"):
                lines.append(token.content)
        return "\n".join(lines)

    def _is_link(self, url: str) -> bool:
        """Tell whether an address may be a link or a picture: it is one that will not be cleaned away."""
        if self._picture(url) is not None:
            return True
        link = f'<a href="{html.escape(url)}">'
        return _ADDRESS.fullmatch(url) is not None and "href=" in nh3.clean(link, tags={"a"}, url_schemes=SCHEMES)

    def _picture(self, address: str) -> str | None:
        """Return the full address of a picture of this network; None for anything else."""
        path = address.removeprefix(self._base)
        return f"{self._base}{path}" if _PICTURE.fullmatch(path) else None

    def _filter_attribute(self, tag: str, name: str, value: str) -> str | None:
        if (tag, name) == ("a", "href"):
            return value if _ADDRESS.fullmatch(value) else None
        if (tag, name) == ("img", "src"):
            return self._picture(value)
        return value

    def _adapt(self, state: StateCore) -> None:
        """Change what has been parsed from what CommonMark says to what is shown here."""
        for token in state.tokens:
            if token.type in ("heading_open", "heading_close"):
                token.tag = HEADINGS.get(token.tag, LOWEST_HEADING)
            elif token.type == "inline":
                token.children = list(self._shown(token.children or ()))

    def _shown(self, tokens: Sequence[Token]) -> Iterator[Token]:
        depth = 0
        for token in tokens:
            depth += {"link_open": 1, "link_close": -1}.get(token.type, 0)
            if token.type == "link_open":
                address = str(token.attrGet("href") or "")
                token.attrSet("href", self._picture(address) or address)
            if token.type == "image":
                yield from self._image(token, is_linked=depth > 0)
            elif token.type == "text" and not depth:
                yield from self._linked(token.content)
            else:
                yield token

    def _image(self, token: Token, *, is_linked: bool) -> Iterator[Token]:
        address = str(token.attrGet("src") or "")
        picture = self._picture(address)
        if picture is not None:
            token.attrSet("src", picture)
            yield token
        elif is_linked:
            yield _text("".join(_words(token.children or ())))
        else:
            yield from _link(address, "".join(_words(token.children or ())) or address)

    def _linked(self, text: str) -> Iterator[Token]:
        """Return text with the addresses in it as links."""
        end = 0
        for match in URL.finditer(text):
            address = self._parser.normalizeLink(match[0])
            if not self._is_link(address):
                continue
            if match.start() > end:
                yield _text(text[end : match.start()])
            yield from _link(address, match[0])
            end = match.end()
        if end < len(text):
            yield _text(text[end:])


def _words(tokens: Sequence[Token]) -> Iterator[str]:
    """Return the words of inline tokens."""
    for token in tokens:
        if token.type == "image":
            yield from _words(token.children or ())
        elif token.type in ("softbreak", "hardbreak"):
            yield "\n"
        else:
            yield token.content


def _link(address: str, words: str) -> Iterator[Token]:
    yield Token("link_open", "a", 1, attrs={"href": address})
    yield _text(words)
    yield Token("link_close", "a", -1)


def _text(words: str) -> Token:
    return Token("text", "", 0, content=words)
