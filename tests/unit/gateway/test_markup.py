"""Text becomes HTML in which nothing of it is markup."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.mentions import find_mentions
from services.gateway import markup


class Strict(HTMLParser):
    """Collects text and fails on every element and attribute that markup does not make."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        allowed: dict[str, list[set[str]]] = {
            "p": [set()],
            "br": [set()],
            "a": [{"href", "rel", "target"}, {"href", "class"}],
        }
        allowed["span"] = [set(), {"class", "translate"}]
        assert {name for name, _ in attrs} in allowed[tag]
        if tag == "a":
            href = dict(attrs)["href"]
            assert href is not None
            assert href.lower().startswith(("http://", "https://"))
        if tag == "br":
            self.text += "\n"

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError("a declaration")


def shown(html: str) -> str:
    parser = Strict()
    parser.feed(html)
    parser.close()
    return parser.text


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "http://a.example/\"onmouseover='alert(1)'",
        "http://a.example/<b>&lt;",
        "javascript:alert(1)",
        "https://a.example/?a=1&b=2 & <!-- x -->",
        "http://http://a.example",
        "a\nb\n\nc",
    ],
)
def test_hostile_text_is_only_shown(text: str) -> None:
    assert shown(markup.paragraph(text)) == text


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n<>&\"'"), max_size=200))
def test_any_text_is_only_shown(text: str) -> None:
    for whole in (text, f"http://{text}", f"x https://a.example/{text}"):
        assert shown(markup.paragraph(whole)) == whole


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("see http://a.example/b.", "http://a.example/b"),
        ("(https://a.example)", "https://a.example"),
        ("読む：https://a.example/あ。次", "https://a.example/あ"),
        ("「https://a.example/x」", "https://a.example/x"),
        ("HTTPS://A.example/?q=1&r=2!", "HTTPS://A.example/?q=1&amp;r=2"),
    ],
)
def test_addresses_become_links(text: str, address: str) -> None:
    assert f'<a href="{address}" rel="nofollow noopener noreferrer" target="_blank">{address}</a>' in markup.paragraph(
        text
    )


BASE = "https://kodama.example"


def names_in(text: str) -> list[tuple[int, int, str]]:
    return [(one.start, one.end, f"{BASE}/@{one.handle}") for one in find_mentions(text, "kodama.example")]


def test_names_become_links() -> None:
    html = markup.paragraph("@Ann & @bob@kodama.example", names_in("@Ann & @bob@kodama.example"))
    ann, bob = (
        f'<span class="h-card" translate="no"><a href="{BASE}/@{handle}" class="u-url mention">@<span>{name}</span></a></span>'
        for handle, name in (("ann", "Ann"), ("bob", "bob@kodama.example"))
    )
    assert html == f"<p>{ann} &amp; {bob}</p>"


@given(st.text(st.sampled_from("@ab<>&\"' \n/.:") | st.characters(exclude_categories=["Cs", "Cc"]), max_size=80))
def test_any_text_with_names_is_only_shown(text: str) -> None:
    for whole in (text, f"@a{text}", f"https://a.example/{text} @b"):
        assert shown(markup.paragraph(whole, names_in(whole))) == whole


def test_what_is_no_address_is_no_link() -> None:
    assert "<a" not in markup.paragraph("http:// https://. ftp://a.example javascript://a.example")


def test_paragraphs_and_excerpts() -> None:
    assert markup.paragraph("") == ""
    assert markup.paragraphs("a\nb\n\n\nc\n") == "<p>a<br>b</p><p>c</p>"
    assert markup.excerpt("a\n b") == "a b"
    assert markup.excerpt("x" * 300) == "x" * 300
    cut = markup.excerpt("word " * 100)
    assert len(cut) <= markup.EXCERPT_CHARACTERS
    assert cut.endswith("word…")
    assert len(markup.excerpt("あ" * 400)) == markup.EXCERPT_CHARACTERS
