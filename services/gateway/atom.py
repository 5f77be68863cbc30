"""A blog as an Atom feed (RFC 4287): what anybody may see of it."""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from services.gateway.entities import Account, BlogEntry

NAMESPACE = "http://www.w3.org/2005/Atom"
MEDIA_TYPE = "application/atom+xml"

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML 1.0 document can hold, escaped or not."""


def feed_address(base_url: str, handle: str) -> str:
    """Return where a member's feed is."""
    return f"{base_url}/users/{handle}/blog.atom"


def updated_at(entry: BlogEntry) -> str:
    """Return when an entry was published or changed last, ISO 8601."""
    return entry.edited_at or entry.created_at


def write_feed(base_url: str, author: Account, entries: Sequence[BlogEntry]) -> bytes:
    """Return the feed of an author's public entries, newest first, as UTF-8."""
    feed = ET.Element("feed", xmlns=NAMESPACE)
    _add(feed, "id", _tag(base_url, author.created_at, f"blog/{author.id}"))
    _add(feed, "title", f"{author.display_name} (@{author.username})")
    _add(feed, "updated", max(map(updated_at, entries), default=author.created_at))
    _link(feed, "self", feed_address(base_url, author.username), MEDIA_TYPE)
    _link(feed, "alternate", author.url, "text/html")
    _add(feed, "generator", "Kodama")
    person = ET.SubElement(feed, "author")
    _add(person, "name", author.display_name)
    _add(person, "uri", author.url)
    for entry in entries:
        _add_entry(feed, base_url, entry)
    return bytes(ET.tostring(feed, encoding="utf-8", xml_declaration=True))


def _add_entry(feed: ET.Element, base_url: str, entry: BlogEntry) -> None:
    element = ET.SubElement(feed, "entry")
    _add(element, "id", _tag(base_url, entry.created_at, f"blog_entry/{entry.id}"))
    _add(element, "title", entry.title)
    _add(element, "published", entry.created_at)
    _add(element, "updated", updated_at(entry))
    _link(element, "alternate", entry.url, "text/html")
    _add(element, "summary", entry.excerpt)
    _add(element, "content", entry.content, type="html")


def _add(parent: ET.Element, name: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, name, attributes).text = _NOT_XML.sub("", text)


def _link(parent: ET.Element, relation: str, address: str, media_type: str) -> None:
    ET.SubElement(parent, "link", rel=relation, type=media_type, href=address)


def _tag(base_url: str, created_at: str, name: str) -> str:
    """Return a name that stays when the address changes (RFC 4151): of this host, on the day that it was made."""
    return f"tag:{urlsplit(base_url).hostname},{created_at[:10]}:{name}"
