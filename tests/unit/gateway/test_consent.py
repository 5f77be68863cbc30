"""The words of the sign-in page: complete in both languages, in the one that the browser likes best."""

import dataclasses

import pytest

from services.account import domain
from services.gateway.consent import WORDS, choose_language, meanings


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


def test_every_scope_has_words_in_every_language() -> None:
    known = {scope for scope in domain._MEANING if domain.check_scopes([scope])}
    for words in WORDS.values():
        assert set(words.scopes) == known
        assert all(meaning.strip() for meaning in words.scopes.values())


def test_no_sentence_was_forgotten_in_translation() -> None:
    english, japanese = (dataclasses.asdict(WORDS[language]) for language in ("en", "ja"))
    for name, sentence in english.items():
        assert japanese[name]
        assert japanese[name] != sentence
        for place in ("{app}", "{place}", "{minutes}"):
            assert (place in japanese[name]) == (place in sentence), name


def test_what_a_wide_scope_holds_is_not_said_twice() -> None:
    said = WORDS["en"].scopes
    assert meanings(["read:statuses", "read", "write:statuses"], "en") == [said["read"], said["write:statuses"]]
    assert meanings(["follow", "unknown", "push"], "en") == [said["follow"], said["push"]]
