"""The Link header: how clients find the next page."""

from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import parse_qsl, quote_plus, urlencode

from starlette.requests import Request

PAGING = ("max_id", "since_id", "min_id")


def link_header(
    base_url: str, request: Request, *, next_page: object = None, previous: object = None
) -> dict[str, str]:
    """Return the header with links to the page below `next_page` and the one above `previous`; empty without both.

    `next` comes first and both are absolute: clients stop paging otherwise. The request's other parameters are kept.
    """
    return _links(base_url, request, (("next", "max_id", next_page), ("prev", "min_id", previous)))


def upward_links(base_url: str, request: Request, *, next_page: int, previous: int) -> dict[str, str]:
    """Return the header for a list that is read from its oldest on: the next page is above `next_page`, the one before it below
    `previous`; 0 for none.
    """
    return _links(base_url, request, (("next", "min_id", next_page), ("prev", "max_id", previous)))


def _links(base_url: str, request: Request, pages: Sequence[tuple[str, str, object]]) -> dict[str, str]:
    links = [
        f'<{_address(base_url, request, name, value)}>; rel="{relation}"' for relation, name, value in pages if value
    ]
    return {"link": ", ".join(links)} if links else {}


def window_links(base_url: str, request: Request, ids: Sequence[int], *, has_older: bool) -> dict[str, str]:
    """Return the header for a page of ids, newest first; none for an empty page."""
    if not ids:
        return {}
    return link_header(base_url, request, next_page=ids[-1] if has_older else None, previous=ids[0])


def _address(base_url: str, request: Request, name: str, value: object) -> str:
    path = request.scope["raw_path"].decode("ascii").rstrip("/")
    kept = _kept(request.scope["query_string"])
    return f"{base_url}{path}?{kept}{'&' if kept else ''}{name}={quote_plus(str(value))}"


@lru_cache(maxsize=256)
def _kept(query: bytes) -> str:
    """Return the parameters of a query that links keep; nearly all clients send one of a few."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return urlencode([pair for pair in pairs if pair[0] not in PAGING])
