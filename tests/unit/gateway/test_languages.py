"""The language of a page, its sentences in both, and how moments and numbers are written."""

from datetime import UTC, datetime, timedelta

import pytest

from deploy import messages
from services.account import domain
from services.gateway.browser import failures, formats
from services.gateway.browser.languages import Language, choose_language, translate
from services.gateway.browser.scope_words import MEANINGS, meanings
from services.gateway.browser.table import PAGES
from services.gateway.limiting import MEDIA, PAGING


@pytest.mark.parametrize(
    ("wanted", "accepted", "language"),
    [
        ("", "", "en"),
        ("", "ja", "ja"),
        ("", "ja-JP,ja;q=0.9,en;q=0.8", "ja"),
        ("", "en-GB, ja;q=0.9", "en"),
        ("", "de, fr;q=0.9, ja;q=0.2, en;q=0.1", "ja"),
        ("", "en;q=0.1,ja;q=0.5", "ja"),
        ("", "*", "en"),
        ("", "ja;q=x, en;q=0.1", "en"),
        ("", ",;q=,;;;", "en"),
        ("", "de," * 50 + "ja", "en"),
        ("ja", "en", "ja"),
        ("JA-jp", "", "ja"),
        ("en", "ja", "en"),
        ("de", "ja", "ja"),
    ],
)
def test_the_language_is_the_one_that_is_liked_best(wanted: str, accepted: str, language: str) -> None:
    assert choose_language(wanted, accepted) == language


def test_every_sentence_is_translated_and_none_is_left_over() -> None:
    assert sorted(messages.faults()) == [], "run make messages and translate what is empty"
    assert len(list(messages.collect())) > 200


def test_what_is_wrong_with_a_catalogue_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    found = messages.stored()
    for message in found:
        if message.id == "Home":
            message.string = ""
        elif message.id == "Friends of %(name)s":
            message.string = "友だち"
    found.add("Nobody says this", "無い")
    monkeypatch.setattr(messages, "stored", lambda: found)
    assert sorted(messages.faults()) == [
        "has other placeholders in Japanese: Friends of %(name)s",
        "is not said any more: Nobody says this",
        "is not translated: Home",
    ]


def test_every_scope_has_words() -> None:
    assert {scope for scope in domain._MEANING if domain.check_scopes([scope])} == MEANINGS.keys()
    for meaning in MEANINGS.values():
        assert translate("ja", meaning) != meaning


def test_what_a_page_is_limited_by_is_said_in_both_languages() -> None:
    sentences = {limit.sentence for page in PAGES for limit in (*page.held_to(), PAGING, MEDIA)}
    assert sentences <= failures.OWN
    assert len(sentences) > 5


def test_what_a_wide_scope_holds_is_not_said_twice() -> None:
    assert meanings(["read:statuses", "read", "write:statuses"]) == [MEANINGS["read"], MEANINGS["write:statuses"]]
    assert meanings(["follow", "unknown", "push"]) == [MEANINGS["follow"], MEANINGS["push"]]


@pytest.mark.parametrize(
    ("ago", "japanese", "english"),
    [
        (timedelta(seconds=-3), "1 秒前", "1 sec ago"),
        (timedelta(minutes=5), "5 分前", "5 min ago"),
        (timedelta(hours=3), "3 時間前", "3 hr ago"),
        (timedelta(days=30), "2026年10月26日", "26 October 2026"),
    ],
)
def test_moments_as_people_write_them(ago: timedelta, japanese: str, english: str) -> None:
    now = datetime(2026, 11, 25, 3, tzinfo=UTC)
    for language, written in (("ja", japanese), ("en", english)):
        spoken: Language = "ja" if language == "ja" else "en"
        zone = formats.zone_of("", spoken)
        assert formats.since(now - ago, spoken, zone, now) == written


def test_a_day_is_that_of_the_reader() -> None:
    moment = datetime(2026, 11, 24, 20, 30, tzinfo=UTC)
    assert formats.day(moment, "ja", formats.zone_of("", "ja")) == "2026年11月25日"
    assert formats.day(moment, "en", formats.zone_of("America/New_York", "en")) == "24 November 2026"
    for nonsense in ("Nowhere/Town", "../../etc/passwd", "x" * 51, "\x00"):
        assert formats.zone_of(nonsense, "ja") == formats.zone_of("Asia/Tokyo", "ja")
    assert formats.number(1234567, "en") == formats.number(1234567, "ja") == "1,234,567"


def test_texts_are_marked_up_as_what_they_are() -> None:
    assert [formats.language_of(text) for text in ("やっほー", "漢字", "カナ", "hello", "123 🎉", "")] == [
        *("ja", "ja", "ja"),
        *("", "", ""),
    ]
