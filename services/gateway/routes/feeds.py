"""Feeds: blogs for readers of Atom, who see what anybody may see."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime

from kodama.page.v1.window_pb2 import Window
from starlette.responses import Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles

from chassis.errors import NotFound
from services.gateway import atom
from services.gateway.auth import Open
from services.gateway.context import Call
from services.gateway.entities import Account, BlogEntry
from services.gateway.parameters import NoParameters
from services.gateway.routing import Route

FEED_ENTRIES = 20
ANONYMOUS = 0

_conditions = StaticFiles(check_dir=False)
"""Serves no files here; it knows when an answer would be what the client has (RFC 9110, section 13)."""


async def get_blog_feed(call: Call[NoParameters]) -> Response:
    """Return the newest public entries of a blog; 304 where the reader has them."""
    gateway = call.gateway
    account = await gateway.clients.find_account(call.path_handle())
    if account is None:
        raise NotFound("There is no member with this name.", resource="account")
    author = await gateway.hydration.rendered(account)
    found = await gateway.clients.account_blog_entries(ANONYMOUS, account.id, Window(limit=FEED_ENTRIES))
    entries = [await gateway.hydration.blog_entry(ANONYMOUS, entry, author) for entry in found]
    return _unless_known(call, atom.write_feed(gateway.base_url, author, entries), _changed_at(author, entries))


def _changed_at(author: Account, entries: Sequence[BlogEntry]) -> datetime:
    return datetime.fromisoformat(max(map(atom.updated_at, entries), default=author.created_at))


def _unless_known(call: Call[NoParameters], feed: bytes, changed_at: datetime) -> Response:
    """Return a feed, or nothing to a reader who has it. By its tag it is known exactly, by its date without what was deleted since."""
    headers = {
        "cache-control": "no-cache",  # whoever keeps it asks again: what is narrowed is gone at once
        "etag": f'"{hashlib.sha256(feed).hexdigest()[:32]}"',
        "last-modified": format_datetime(changed_at.replace(microsecond=0), usegmt=True),
    }
    response = Response(feed, 200, headers, atom.MEDIA_TYPE)
    is_known = _conditions.is_not_modified(response.headers, call.request.headers)
    return NotModifiedResponse(response.headers) if is_known else response


ROUTES = (
    Route(
        method="GET",
        path="/users/{handle}/blog.atom",
        handler=get_blog_feed,
        policy=Open.PUBLIC,
        media_type=atom.MEDIA_TYPE,
        answers={304: None},
        summary="A blog as an Atom feed",
        tag="blogs",
    ),
)
