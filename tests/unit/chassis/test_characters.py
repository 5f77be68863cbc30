"""The 150-character rule and what text is, by the vectors that every edge and client can use."""

import json
import unicodedata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis import characters
from chassis.characters import UnacceptableText, clean, count, is_blank

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "docs" / "status_length_vectors.json").read_text("ascii")
)

TROUBLE = st.sampled_from(
    "\u202a\u202c\u202e\u2066\u2069"
    "a か\u3099\u0301\u0323\u200d\u200c\u200b\r\n\t\u2028\u1112\u1161\u11ab\U0001f1ef\U0001f468\u00a0:/"
)
TEXTS = st.text(TROUBLE) | st.text()


def vectors(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", VECTORS[kind], ids=[vector["name"] for vector in VECTORS[kind]])


def text_of(written: str | list[tuple[str, int]]) -> str:
    return written if isinstance(written, str) else "".join(part * times for part, times in written)


@vectors("counted")
def test_clean_and_count(vector: dict[str, Any]) -> None:
    cleaned = clean(text_of(vector["text"]))
    assert cleaned == text_of(vector.get("clean", vector["text"]))
    assert count(cleaned) == vector["count"]


@vectors("blank")
def test_blank(vector: dict[str, Any]) -> None:
    text = text_of(vector["text"])
    assert is_blank(text)
    assert is_blank(clean(text))


@vectors("visible")
def test_visible(vector: dict[str, Any]) -> None:
    assert not is_blank(clean(text_of(vector["text"])))


@vectors("refused")
def test_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(UnacceptableText, match=vector["because"]):
        clean(text_of(vector["text"]))


def test_vector_names_are_distinct() -> None:
    for kind in ("counted", "blank", "visible", "refused"):
        names = [vector["name"] for vector in VECTORS[kind]]
        assert len(names) == len(set(names)), kind


@settings(deadline=None)
@given(TEXTS)
def test_clean_text_stays_as_it_is(text: str) -> None:
    try:
        cleaned = clean(text)
    except UnacceptableText:
        return
    assert clean(cleaned) == cleaned
    assert unicodedata.is_normalized("NFC", cleaned)
    assert cleaned == cleaned.strip()
    assert not set(cleaned) & {"\0", "\r", "\t", "\u2028", "\x1b"}
    cleaned.encode()
    assert 0 <= count(cleaned) <= len(cleaned) + characters.URL_LENGTH * cleaned.lower().count("http")


@settings(deadline=None)
@given(TEXTS | st.text(st.characters(exclude_categories=("C", "M", "Zl", "Zp"))))
def test_the_short_way_leads_where_the_long_one_does(text: str) -> None:
    answers: list[str | None] = []
    for way in (clean, characters._clean_closely):
        try:
            answers.append(way(text))
        except UnacceptableText:
            answers.append(None)
    assert answers[0] == answers[1]


@settings(deadline=None)
@given(TEXTS)
def test_composition_does_not_change_what_is_stored(text: str) -> None:
    """The same text from a keyboard that composes and from one that does not."""
    stored: list[str | None] = []
    for form in ("NFC", "NFD"):
        try:
            stored.append(clean(unicodedata.normalize(form, text)))
        except UnacceptableText:
            stored.append(None)
    assert stored[0] == stored[1]


def test_floods_are_refused_before_they_are_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Normalisation sorts marks with quadratic work; it must never be handed many on one character."""

    def normalize(form: str, text: str) -> str:
        raise AssertionError("a flood reached the normalisation")

    monkeypatch.setattr(characters, "unicodedata", SimpleNamespace(normalize=normalize))
    with pytest.raises(UnacceptableText, match="combining marks"):
        clean("x" + "\u0301\u0323" * 25_000)
