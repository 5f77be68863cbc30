"""What of a text is a mention: one reading for whom it tells, whom it lets in and what is a link."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.mentions import find_handles, find_mentions

DOMAIN = "kodama.example:8420"


@pytest.mark.parametrize(
    ("text", "handles"),
    [
        ("@ann", ["ann"]),
        ("@Ann @ANN @ann", ["ann"]),
        ("@b @a @b", ["b", "a"]),
        ("hello @ann, and (@bob)!", ["ann", "bob"]),
        ("@ann.", ["ann"]),
        ("@ann's", ["ann"]),
        ("こんにちは @ann さん", ["ann"]),
        ("「@ann」", ["ann"]),
        ("@annさん", ["ann"]),
        ("@ann\n@bob", ["ann", "bob"]),
        ("@ann@kodama.example:8420 @bob@KODAMA.example:8420.", ["ann", "bob"]),
        ("@ann@elsewhere.example", []),
        ("@ann@kodama.example", []),
        ("me@ann", []),
        ("me.@ann", []),
        ("あ@ann", []),
        ("@@ann", []),
        ("@ann@", []),
        ("/@ann", []),
        ("https://kodama.example/@ann", []),
        ("https://a.example/?who=@ann&x=(@bob) @carol", ["carol"]),
        ("@", []),
        ("@ ann", []),
        ("@" + "a" * 30, ["a" * 30]),
        ("@" + "a" * 31, []),
        ("＠ann", []),
        ("@ａｎｎ", []),
        ("", []),
    ],
)
def test_mentions(text: str, handles: list[str]) -> None:
    assert find_handles(text, DOMAIN) == handles


@given(st.text(st.sampled_from("@ab_.:/あ \nhttps1"), max_size=60))
def test_a_mention_is_where_it_says(text: str) -> None:
    end = 0
    for mention in find_mentions(text, DOMAIN):
        assert mention.start >= end
        end = mention.end
        written = text[mention.start : mention.end]
        assert written.lower().removesuffix(f"@{DOMAIN}") == f"@{mention.handle}"


def test_a_long_text_is_read_at_once() -> None:
    """Linear work: no text makes the reading go back and forth."""
    for text in (
        "@" * 100_000,
        "@a@" * 50_000,
        "@a@" + "a-" * 50_000,
        "@a@" + "a." * 50_000,
        "https://" + "@a" * 50_000,
    ):
        find_mentions(text, DOMAIN)
