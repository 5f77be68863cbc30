"""What blog entries say, as clients show it: rendered once per (id, version) and kept."""

import asyncio

from kodama.blog.v1 import blog_entry_pb2

from services.gateway import markup
from services.gateway.fragment_cache import FragmentCache
from services.gateway.markdown import Markdown

MAX_BYTES = 16 * 1024 * 1024
LONG_TEXT = 4000
"""Longer texts are rendered in a thread: the longest take half a second at worst, in which nobody else would be answered."""


class Contents:
    """Renders texts of blog entries. Whether somebody may see one is never decided here."""

    def __init__(self, markdown: Markdown) -> None:
        self._markdown = markdown
        self._cache = FragmentCache(MAX_BYTES)

    async def html(self, entry: blog_entry_pb2.BlogEntry) -> str:
        """Return what an entry says, as HTML; its whole text is there."""
        key = ("html", entry.id, entry.version)
        kept = self._cache.find(key)
        if kept is None:
            made = (await self.preview(entry.text)).encode()
            kept = self._cache.get(key, lambda: made)
        return kept.decode()

    async def preview(self, text: str) -> str:
        """Return what a text will look like, as HTML; it is not kept."""
        if len(text) <= LONG_TEXT:
            return self._markdown.render(text)
        return await asyncio.to_thread(self._markdown.render, text)

    def excerpt(self, entry: blog_entry_pb2.BlogEntry) -> str:
        """Return how an entry begins, as plain text in one line. The beginning of its text is enough (markdown.EXCERPT_SOURCE)."""
        key = ("excerpt", entry.id, entry.version)
        return self._cache.get(key, lambda: markup.excerpt(self._markdown.plain(entry.text)).encode()).decode()
