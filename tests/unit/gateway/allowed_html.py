"""What blog entries may be as HTML, said in words of its own, and a reader that refuses everything else."""

import re
from html.parser import HTMLParser

ALLOWED = {
    **dict.fromkeys(("p", "br", "em", "strong", "ul", "li", "blockquote", "code", "pre", "h2", "h3", "h4", "hr"), ()),
    "a": ("href", "rel"),
    "ol": ("start",),
    "img": ("src", "alt"),
}
EMPTY = {"br", "hr", "img"}
REL = {"nofollow", "noopener", "ugc"}


class AllowedHtml(HTMLParser):
    """Reads HTML and collects its text, links and pictures; raises AssertionError at what may not be there."""

    def __init__(self, html: str, base_url: str) -> None:
        super().__init__()
        self.base_url = base_url
        self.text = ""
        self.tags: list[str] = []
        self.links: list[str] = []
        self.pictures: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], f"{self._open} are not closed"
        assert html.count("<") == len(self.tags) + len([tag for tag in self.tags if tag not in EMPTY])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED, tag
        values = dict(attrs)
        assert len(values) == len(attrs)
        assert set(values) <= set(ALLOWED[tag]), (tag, attrs)
        self.tags.append(tag)
        if tag == "a":
            assert set((values["rel"] or "").split()) == REL
            assert re.match(r"https?://[^/]", values["href"] or "", re.IGNORECASE), attrs
            assert "a" not in self._open, "a link in a link"
            self.links.append(values["href"] or "")
        if tag == "img":
            address = re.escape(self.base_url) + r"/media/[0-9]+/[A-Za-z0-9_-]+\.[a-z]+"
            assert re.fullmatch(address, values["src"] or ""), attrs
            self.pictures.append(values["src"] or "")
        if tag == "ol" and "start" in values:
            assert re.fullmatch("[0-9]{1,9}", values["start"] or "")
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError("a declaration")

    def handle_pi(self, data: str) -> None:
        raise AssertionError("an instruction")
