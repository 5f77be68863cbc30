"""Texts of blog entries become HTML in which only what is allowed is markup."""

import asyncio
import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kodama.blog.v1 import blog_entry_pb2

from services.gateway.contents import LONG_TEXT, Contents
from services.gateway.markdown import Markdown
from tests.unit.gateway.allowed_html import AllowedHtml

BASE = "https://kodama.example"
MARKDOWN = Markdown(BASE)
REL = 'rel="nofollow noopener ugc"'

# The classes of published corpora (OWASP's cheat sheet, markdown-it's and CommonMark's own cases), as vectors of a few lines.
PAYLOADS = (
    "<script>alert(1)</script>",
    "<ScRiPt\n>alert(1)</sCrIpT >",
    '<img src=x onerror="alert(1)">',
    "<svg/onload=alert(1)>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<iframe srcdoc='&lt;script&gt;alert(1)&lt;/script&gt;'></iframe>",
    "<a href='javascript:alert(1)' onclick=alert(1)>x</a>",
    "<form action=//evil.example><button>x</button></form>",
    "<style>@import '//evil.example/x.css'</style>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?php echo 1 ?>",
    "</p></article><script>alert(1)</script>",
    "<<script>alert(1);//<</script>",
    '"><script>alert(1)</script>',
    "' onmouseover='alert(1)",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "\\<script>alert(1)\\</script>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<template><script>alert(1)</script></template>",
    "<textarea><script>alert(1)</script>",
    "<x-y onfocus=alert(1) tabindex=1 autofocus>",
)
ADDRESSES = (
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "&#106;avascript:alert(1)",
    "javascript&colon;alert(1)",
    "\x01javascript:alert(1)",
    "data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==",
    "data:image/svg+xml,<svg onload=alert(1)>",
    "vbscript:msgbox(1)",
    "file:///etc/passwd",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "http:alert(1)",
    "http:///evil.example",
    "/settings",
    "#x",
    "https://evil.example/\"onmouseover='alert(1)'",
    "https://evil.example/<script>",
    "https://evil.example/) onclick=alert(1)",
    "HTTPS://EVIL.example",
    "https://bank.example@evil.example",
    "https://a.example:99999",
    "https://999.999.999.999",
    "https://xn--a",
    "https://[::1",
)
FORMS = (
    "{}",
    "[x]({})",
    "[x](<{}>)",
    '[x]({} "t")',
    "![x]({})",
    "![x][r]\n\n[r]: {}",
    "<{}>",
    "[![x]({})](https://e.example)",
    "# {}",
    "> {}",
    "- {}",
    "`{}`",
    "```{}\n{}\n```",
    "~~~\n{}\n~~~",
    "    {}",
    "*{}*",
    "[{}](https://e.example)",
    "![{}](/media/1/original-a.webp)",
    '![x](/media/1/original-a.webp "{}")',
    "| {} |\n|---|\n| {} |",
)


def read(text: str) -> AllowedHtml:
    return AllowedHtml(MARKDOWN.render(text), BASE)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_hostile_is_markup(form: str) -> None:
    for vector in (*PAYLOADS, *ADDRESSES):
        read(form.replace("{}", vector))
        read(f"before {form.replace('{}', vector)}\nafter <b>")


@pytest.mark.parametrize("one", ["**", "[", "<", "`", "&", "\\"])
def test_nothing_hostile_is_markup_between_halves_of_markup(one: str) -> None:
    for other, vector in itertools.product(("**", "](", ">", "`", ";", "\\"), (*PAYLOADS, *ADDRESSES)):
        read(f"{one}{vector}{other}{vector}{one}")


MARKS = st.sampled_from(
    [
        *"*_`[]()<>!#-+.&;:/\"'\\\n\t ~=|",
        "](",
        "![",
        "<a",
        "</",
        "<!--",
        "http://",
        "javascript:",
        "&lt;",
        "/media/1/a.png",
    ]
)


@given(st.lists(MARKS | st.text(max_size=5) | st.sampled_from([*PAYLOADS, *ADDRESSES]), max_size=40).map("".join))
@example("[a](<https://x.example/\n>)")
def test_whatever_is_written_is_what_is_allowed(text: str) -> None:
    read(text)


def test_the_reader_refuses_what_is_not_allowed() -> None:
    for html in (
        "<script>",
        '<a href="javascript:alert(1)" rel="nofollow noopener ugc">x</a>',
        '<a href="https://e.example">x</a>',
        '<p class="x">x</p>',
        '<img src="https://evil.example/x.png" alt="">',
        '<img src="/media/1/a.png" alt="" onerror="x">',
        "<p>open",
        "a < b",
        "<!-- x -->",
    ):
        with pytest.raises((AssertionError, KeyError, IndexError)):
            AllowedHtml(html, BASE)


def test_what_there_is() -> None:
    text = """# One
## Two
##### Five

*a* **b** `c<d`
next line

1. one
2. two

- x

> quoted

---

```python
<x>
```

3. three
"""
    assert MARKDOWN.render(text).replace("\n", "") == (
        "<h2>One</h2><h3>Two</h3><h4>Five</h4><p><em>a</em> <strong>b</strong> <code>c&lt;d</code><br>next line</p>"
        "<ol><li>one</li><li>two</li></ol><ul><li>x</li></ul><blockquote><p>quoted</p></blockquote><hr>"
        '<pre><code>&lt;x&gt;</code></pre><ol start="3"><li>three</li></ol>'
    )


def test_html_is_shown_as_it_was_typed() -> None:
    for text in ("<script>alert(1)</script>", "a <b>c</b> <!-- d -->", "<div>\n<p>x</p>\n</div>"):
        assert read(text).text.strip() == text
        assert set(read(text).tags) <= {"p", "br"}


def test_addresses_are_links() -> None:
    assert MARKDOWN.render("見て https://a.example/b_c?d=1&e=2。") == (
        f'<p>見て <a href="https://a.example/b_c?d=1&amp;e=2" {REL}>https://a.example/b_c?d=1&amp;e=2</a>。</p>\n'
    )
    assert read("[https://a.example](https://b.example) `https://c.example` <https://d.example>").links == [
        "https://b.example",
        "https://d.example",
    ]


def test_only_pictures_of_this_network_are_shown() -> None:
    own = f"{BASE}/media/12/original-a_B-1.webp"
    for address in ("/media/12/original-a_B-1.webp", own):
        assert MARKDOWN.render(f"![海]({address})") == f'<p><img src="{own}" alt="海"></p>\n'
        assert read(f"[![x]({address})](https://e.example)").pictures == [own]
    for address in (
        "https://evil.example/media/12/original-a.webp",
        f"{BASE}.evil.example/media/12/a.webp",
        f"{BASE}/media/12/../../oauth/authorize",
        f"{BASE}/media/12/a.webp?x=1",
        f"{BASE}/avatars/1.svg",
    ):
        shown = read(f"![a *b*]({address})")
        assert (shown.pictures, shown.links, shown.text) == ([], [address], "a b\n")
    assert read("[![x](https://evil.example/x.png)](https://e.example)").links == ["https://e.example"]
    assert read("![](https://evil.example/x.png)").text == "https://evil.example/x.png\n"


def test_links_go_where_they_say() -> None:
    assert read("[x](/media/1/a.webp)").links == [f"{BASE}/media/1/a.webp"]
    assert read("https://例え.example/道").links == ["https://xn--r8jz45g.example/%E9%81%93"]
    for address in ("https://bank.example@evil.example/", "/oauth/authorize", "mailto:a@b.example"):
        assert read(f"[x]({address})").links == []
        assert address in read(f"[x]({address})").text


def test_how_a_text_begins_has_no_markup() -> None:
    text = "# A *b*\n\nc `d` ![e](/media/1/a.png) [f](https://g.example)\nh\n\n- i\n\n```\nj\n```\n\n<b>k</b>"
    assert MARKDOWN.plain(text) == "A b\nc d e f\nh\ni\nj\n\n<b>k</b>"
    assert len(MARKDOWN.plain("word " * 10_000)) <= 2000


def test_contents_are_kept_by_version() -> None:
    contents = Contents(MARKDOWN)

    def entry(text: str, version: int) -> blog_entry_pb2.BlogEntry:
        return blog_entry_pb2.BlogEntry(id=2, text=text, version=version)

    async def look() -> None:
        assert await contents.html(entry("*a*", 1)) == "<p><em>a</em></p>\n"
        assert await contents.html(entry("not looked at", 1)) == "<p><em>a</em></p>\n"
        assert await contents.html(entry("*b*", 2)) == "<p><em>b</em></p>\n"
        assert await contents.preview("x" * (LONG_TEXT + 1)) == f"<p>{'x' * (LONG_TEXT + 1)}</p>\n"

    asyncio.run(look())
    assert contents.excerpt(entry("*a*\n\nb", 3)) == "a b"
    assert contents.excerpt(entry("not looked at", 3)) == "a b"
