"""Rendered JSON that is kept by (id, version), with what changes without a version put in when it is shown.

Whether somebody may see a status is never decided here: a fragment is only looked up for what its owner has just said may be shown,
in the version that it has just said. Counts and the viewer's own flags are not part of a fragment.
"""

from collections.abc import Mapping

import msgspec
from kodama.account.v1 import account_pb2
from kodama.media.v1 import media_pb2
from kodama.status.v1 import status_pb2

from services.gateway.fragment_cache import FragmentCache
from services.gateway.home_pages import HomeEntry
from services.gateway.rendering import Counts, Renderer, iso_date

MAX_BYTES = 32 * 1024 * 1024

CHANGING_STATUS = ("account", "media_attachments", "replies_count", "favourites_count", "favourited")
CHANGING_ACCOUNT = ("followers_count", "following_count", "statuses_count", "last_status_at")


class Fragments:
    """JSON of accounts and statuses, field for field what the renderer's entities say."""

    def __init__(self, renderer: Renderer, cache: FragmentCache | None = None) -> None:
        self._renderer = renderer
        self._cache = cache or FragmentCache(MAX_BYTES)

    def account(self, account: account_pb2.Account, counts: Counts) -> bytes:
        """Return a member as everybody may see them."""
        start = self._cache.get(
            ("account", account.id, account.version),
            lambda: _without(self._renderer.account(account, Counts()), CHANGING_ACCOUNT),
        )
        return _counted(start, counts)

    def status(
        self,
        status: status_pb2.Status,
        author: account_pb2.Account,
        author_json: bytes,
        media: Mapping[int, media_pb2.Media],
    ) -> bytes:
        """Return a status as its viewer may see it; `author_json` is what `account` says of its author."""
        start = self._cache.get(
            ("status", status.id, status.version),
            lambda: _without(
                self._renderer.status(status, self._renderer.address_only(author.handle)), CHANGING_STATUS
            ),
        )
        return self.complete(start, status, author_json, media)

    def find_status(self, status_id: int, version: int) -> bytes | None:
        """Return what is kept of a status in this version, to be completed; None where nothing is."""
        return self._cache.find(("status", status_id, version))

    def kept_account(self, account_id: int, version: int, counts: Counts) -> bytes | None:
        """Return a member as everybody may see them; None where this version is not kept."""
        start = self._cache.find(("account", account_id, version))
        return None if start is None else _counted(start, counts)

    def complete(
        self,
        start: bytes,
        seen: status_pb2.Status | HomeEntry,
        author_json: bytes,
        media: Mapping[int, media_pb2.Media],
    ) -> bytes:
        """Return a status of which the beginning is kept, with what its owner has just said of it to its viewer."""
        attachments = (
            msgspec.json.encode(self._renderer.attachments(seen.media_ids, media)) if seen.media_ids else b"[]"
        )
        return b'%b,"replies_count":%d,"favourites_count":%d,"favourited":%b,"account":%b,"media_attachments":%b}' % (
            start,
            seen.replies_count,
            seen.favourites_count,
            b"true" if seen.is_favourited else b"false",
            author_json,
            attachments,
        )


def _counted(start: bytes, counts: Counts) -> bytes:
    last = b'"%b"' % iso_date(counts.last_status_at_ms).encode() if counts.last_status_at_ms else b"null"
    return b'%b,"followers_count":%d,"following_count":%d,"statuses_count":%d,"last_status_at":%b}' % (
        start,
        counts.friends,
        counts.friends,
        counts.statuses,
        last,
    )


def _without(entity: msgspec.Struct, changing: tuple[str, ...]) -> bytes:
    """Return an entity's JSON without some fields and without its end."""
    fields = msgspec.to_builtins(entity)
    for name in changing:
        del fields[name]
    return msgspec.json.encode(fields)[:-1]
