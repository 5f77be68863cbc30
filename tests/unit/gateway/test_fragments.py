"""A page made of kept fragments says exactly what the entities say, and never what another version or viewer saw."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from kodama.account.v1 import account_pb2
from kodama.media.v1 import media_pb2
from kodama.status.v1 import status_pb2

from services.gateway.fragment_cache import FRAGMENT_BYTES, FragmentCache
from services.gateway.fragments import Fragments
from services.gateway.home_pages import HomeEntry
from services.gateway.rendering import Counts, Renderer

RENDERER = Renderer("https://kodama.example")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
IDS = st.integers(1, 2**62)
TIMES = st.integers(0, 4 * 10**12)
SMALL = st.integers(0, 10**6)
ACCOUNTS = st.builds(
    account_pb2.Account,
    id=IDS,
    handle=st.from_regex(r"[a-z0-9_]{1,30}", fullmatch=True),
    display_name=TEXTS,
    note=TEXTS,
    created_at_ms=TIMES,
    version=SMALL,
    is_bot=st.booleans(),
    is_discoverable=st.booleans(),
)
STATUSES = st.builds(
    status_pb2.Status,
    id=IDS,
    account_id=IDS,
    text=TEXTS,
    visibility=st.sampled_from([1, 2, 3, 4]),
    created_at_ms=TIMES,
    version=SMALL,
    edited_at_ms=TIMES,
    in_reply_to_id=IDS | st.just(0),
    in_reply_to_account_id=IDS | st.just(0),
    mentions=st.lists(st.builds(status_pb2.Mention, account_id=IDS, handle=st.sampled_from(["hana", "ken"]))),
    media_ids=st.lists(st.integers(1, 4), max_size=4, unique=True),
    replies_count=SMALL,
    favourites_count=SMALL,
    is_favourited=st.booleans(),
)
MEDIA = {
    number: media_pb2.Media(
        id=number,
        token="0" * 32,
        extension="jpg",
        original=media_pb2.Rendition(width=9, height=number),
        preview=media_pb2.Rendition(width=4, height=number),
        description="説明" * (number % 2),
    )
    for number in (1, 2, 3)
}
COUNTS = st.builds(Counts, SMALL, SMALL, TIMES)


def shown(fragments: Fragments, status: status_pb2.Status, account: account_pb2.Account, counts: Counts) -> Any:
    return msgspec.json.decode(fragments.status(status, account, fragments.account(account, counts), MEDIA))


def shown_on_home(fragments: Fragments, status: status_pb2.Status, account: account_pb2.Account, counts: Counts) -> Any:
    entry = HomeEntry(
        status.id,
        account.id,
        status.version,
        status.replies_count,
        status.favourites_count,
        status.is_favourited,
        status.media_ids,
    )
    start, author = fragments.find_status(status.id, status.version), fragments.kept_account(*known(account), counts)
    assert start is not None
    assert author is not None
    return msgspec.json.decode(fragments.complete(start, entry, author, MEDIA))


def known(account: account_pb2.Account) -> tuple[int, int]:
    return account.id, account.version


def expected(status: status_pb2.Status, account: account_pb2.Account, counts: Counts) -> Any:
    return msgspec.json.decode(msgspec.json.encode(RENDERER.status(status, RENDERER.account(account, counts), MEDIA)))


@given(STATUSES, ACCOUNTS, st.lists(st.tuples(SMALL, SMALL, st.booleans(), COUNTS), min_size=1, max_size=3))
def test_fragments_say_what_entities_say(
    status: status_pb2.Status, account: account_pb2.Account, views: list[tuple[int, int, bool, Counts]]
) -> None:
    fragments = Fragments(RENDERER)
    for replies, favourites, is_favourited, counts in views:  # the first makes the fragment, the others find it
        status.replies_count, status.favourites_count, status.is_favourited = replies, favourites, is_favourited
        assert shown(fragments, status, account, counts) == expected(status, account, counts)
        assert shown_on_home(fragments, status, account, counts) == expected(status, account, counts)


def test_another_version_is_another_fragment() -> None:
    fragments = Fragments(RENDERER)
    account = account_pb2.Account(id=1, handle="hana", display_name="Hana", version=1)
    status = status_pb2.Status(id=5, account_id=1, text="before", visibility=status_pb2.VISIBILITY_PUBLIC, version=1)
    assert "before" in shown(fragments, status, account, Counts())["content"]
    assert fragments.find_status(5, 2) is None
    assert fragments.find_status(6, 1) is None
    status.text, status.version, account.display_name, account.version = "after", 2, "Hanako", 2
    now = shown(fragments, status, account, Counts())
    assert "after" in now["content"]
    assert now["account"]["display_name"] == "Hanako"


def test_the_cache_is_bounded_and_drops_what_was_used_longest_ago() -> None:
    made: list[int] = []

    def make(number: int) -> bytes:
        made.append(number)
        return bytes(1000)

    cache = FragmentCache(max_bytes=3 * (1000 + FRAGMENT_BYTES))
    for number in (1, 2, 3, 1, 4, 1, 2):
        cache.get((number,), lambda number=number: make(number))  # type: ignore[misc]  # bound now, on purpose
    assert made == [1, 2, 3, 4, 2]
    assert cache.size <= 3 * (1000 + FRAGMENT_BYTES)
    cache.get(("large",), lambda: bytes(10_000))
    assert cache.size == 0
