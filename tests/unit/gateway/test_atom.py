"""A feed is what RFC 4287 says: what has to be there is there, once, and every document can be read as XML."""

import re
from datetime import datetime
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kodama.account.v1 import account_pb2

from services.gateway.atom import NAMESPACE, write_feed
from services.gateway.entities import Account, BlogEntry
from services.gateway.rendering import Counts, Renderer

BASE = "https://kodama.example:8443"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def author(name: str = "花") -> Account:
    account = account_pb2.Account(id=7, handle="hana", display_name=name, created_at_ms=1_750_000_000_000)
    return Renderer(BASE).account(account, Counts())


def entry(
    number: int, *, edited_at: str | None = None, title: str = "題", content: str = "<p>x &amp; y</p>"
) -> BlogEntry:
    return BlogEntry(
        id=str(number),
        uri="",
        url=f"{BASE}/@hana/blog/{number}",
        created_at=f"2026-01-{number:02}T10:00:00.000Z",
        edited_at=edited_at,
        account=author(),
        title=title,
        content=content,
        excerpt="x & y",
        visibility="public",
        comments_count=0,
    )


def parse(feed: bytes) -> ET.Element:
    root = ET.fromstring(feed)
    assert root.tag == f"{{{NAMESPACE}}}feed"
    return root


def texts(element: ET.Element, name: str) -> list[str]:
    return [each.text or "" for each in element.findall(f"{{{NAMESPACE}}}{name}")]


def links(element: ET.Element) -> dict[str, tuple[str, str]]:
    found = [each.attrib for each in element.findall(f"{{{NAMESPACE}}}link")]
    assert len({each["rel"] for each in found}) == len(found)
    return {each["rel"]: (each["type"], each["href"]) for each in found}


def test_a_feed_has_what_it_must() -> None:
    feed = parse(write_feed(BASE, author(), [entry(2, edited_at="2026-02-01T00:00:00.000Z"), entry(1)]))
    assert texts(feed, "id") == ["tag:kodama.example,2025-06-15:blog/7"]
    assert texts(feed, "title") == ["花 (@hana)"]
    assert texts(feed, "updated") == ["2026-02-01T00:00:00.000Z"]
    assert links(feed) == {
        "self": ("application/atom+xml", f"{BASE}/users/hana/blog.atom"),
        "alternate": ("text/html", f"{BASE}/@hana"),
    }
    [person] = feed.findall(f"{{{NAMESPACE}}}author")
    assert (texts(person, "name"), texts(person, "uri")) == (["花"], [f"{BASE}/@hana"])
    newest, oldest = feed.findall(f"{{{NAMESPACE}}}entry")
    assert texts(newest, "id") == ["tag:kodama.example,2026-01-02:blog_entry/2"]
    assert texts(newest, "published") == ["2026-01-02T10:00:00.000Z"]
    assert texts(newest, "updated") == ["2026-02-01T00:00:00.000Z"]
    assert texts(oldest, "updated") == ["2026-01-01T10:00:00.000Z"]
    assert links(newest) == {"alternate": ("text/html", f"{BASE}/@hana/blog/2")}
    [content] = newest.findall(f"{{{NAMESPACE}}}content")
    assert (content.attrib, content.text) == ({"type": "html"}, "<p>x &amp; y</p>")
    assert texts(newest, "summary") == ["x & y"]
    for element in (feed, newest, oldest):
        for moment in (*texts(element, "updated"), *texts(element, "published")):
            assert TIME.fullmatch(moment)
            datetime.fromisoformat(moment)


def test_an_empty_feed_is_one_too() -> None:
    feed = parse(write_feed(BASE, author(), []))
    assert texts(feed, "updated") == [author().created_at]
    assert feed.findall(f"{{{NAMESPACE}}}entry") == []


@given(st.text(max_size=30))
def test_whatever_members_are_called_and_write_is_text(words: str) -> None:
    feed = parse(write_feed(BASE, author(words or "x"), [entry(1, title=words, content=words)]))
    [only] = feed.findall(f"{{{NAMESPACE}}}entry")
    assert {element.tag for element in only.iter()} <= {
        f"{{{NAMESPACE}}}{name}"
        for name in ("entry", "id", "title", "published", "updated", "link", "summary", "content")
    }
    kept = words.replace("\r\n", "\n").replace("\r", "\n")
    if kept.isprintable():
        assert texts(only, "title") == [kept]


@pytest.mark.parametrize("character", ["\x00", "\x0b", "\ud800", "\ufffe", "\uffff"])
def test_what_no_xml_holds_is_left_out(character: str) -> None:
    feed = parse(write_feed(BASE, author(), [entry(1, title=f"a{character}b")]))
    [only] = feed.findall(f"{{{NAMESPACE}}}entry")
    assert texts(only, "title") == ["ab"]
