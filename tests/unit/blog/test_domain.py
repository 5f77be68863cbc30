"""The rules of blog entries."""

import itertools

import pytest

from chassis.errors import InvalidField
from services.blog import domain
from services.blog.domain import (
    MAX_ANSWER_BYTES,
    EntryHeader,
    Relation,
    Visibility,
    check_new_entry,
    may_see,
    may_stand_on_home,
    split_answer,
)

AUTHOR, VIEWER = 1, 2
STRANGER = Relation()
FRIEND = Relation(is_friend=True)
FRIEND_OF_FRIEND = Relation(is_friend_of_friend=True)
EVERYTHING = set(Visibility)


def test_an_entry_is_cleaned_and_completed() -> None:
    new = check_new_entry(1, " か\u3099 ", "一\r\n二\x07 ", 0, "")
    assert (new.title, new.text, new.visibility) == ("が", "一\n二", Visibility.FRIENDS)


def test_the_longest_entry() -> None:
    new = check_new_entry(1, "か\u3099" * 200, "𠮷" * 50_000, Visibility.SELF, "x" * 255)
    assert (len(new.title), len(new.text), len(new.text.encode())) == (200, 50_000, 200_000)


@pytest.mark.parametrize(
    ("account_id", "title", "text", "visibility", "request_id", "field"),
    [
        (0, "t", "x", 1, "", "account_id"),
        (-1, "t", "x", 1, "", "account_id"),
        (1, "", "x", 1, "", "title"),
        (1, " \u200b", "x", 1, "", "title"),
        (1, "a\nb", "x", 1, "", "title"),
        (1, "a\r\nb", "x", 1, "", "title"),
        (1, "a\0", "x", 1, "", "title"),
        (1, "x" * 201, "x", 1, "", "title"),
        (1, "x" * 1_000_000, "x", 1, "", "title"),
        (1, "t", "", 1, "", "text"),
        (1, "t", "\n\u3000\ufeff", 1, "", "text"),
        (1, "t", "\0", 1, "", "text"),
        (1, "t", "x" + "\u0301" * 49_000, 1, "", "text"),
        (1, "t", "x" * 50_001, 1, "", "text"),
        (1, "t", "x" * 4_000_000, 1, "", "text"),
        (1, "t", "x", 5, "", "visibility"),
        (1, "t", "x", -1, "", "visibility"),
        (1, "t", "x", 1, "x" * 256, "request_id"),
        (1, "t", "x", 1, "あ" * 86, "request_id"),
        (1, "t", "x", 1, "\0", "request_id"),
    ],
)
def test_a_wrong_entry_names_its_field(
    account_id: int, title: str, text: str, visibility: int, request_id: str, field: str
) -> None:
    with pytest.raises(InvalidField) as error:
        check_new_entry(account_id, title, text, visibility, request_id)
    assert error.value.metadata == {"field": field}
    assert error.value.message.endswith(".")


def test_the_fingerprint_tells_bodies_apart() -> None:
    bodies = [("a", "b", 1), ("a", "b", 2), ("a", "c", 1), ("b", "b", 1), ("ab", "b", 1), ("a", "bb", 1)]
    fingerprints = {check_new_entry(1, *body, "").fingerprint for body in bodies}
    assert len(fingerprints) == len(bodies)
    assert check_new_entry(1, " a", "b ", 1, "k").fingerprint == check_new_entry(1, "a", "b", 1, "").fingerprint


@pytest.mark.parametrize(
    ("viewer_id", "relation", "seen"),
    [
        (AUTHOR, None, EVERYTHING),
        (AUTHOR, Relation(is_blocked_either_way=True), EVERYTHING),
        (0, None, {Visibility.PUBLIC}),
        (VIEWER, None, set()),
        (VIEWER, STRANGER, {Visibility.PUBLIC}),
        (VIEWER, FRIEND_OF_FRIEND, {Visibility.PUBLIC, Visibility.FRIENDS_OF_FRIENDS}),
        (VIEWER, FRIEND, EVERYTHING - {Visibility.SELF}),
        (VIEWER, Relation(is_friend=True, is_friend_of_friend=True), EVERYTHING - {Visibility.SELF}),
        (VIEWER, Relation(is_friend=True, is_blocked_either_way=True), set()),
        (VIEWER, Relation(is_friend_of_friend=True, is_blocked_either_way=True), set()),
        (VIEWER, Relation(is_blocked_either_way=True), set()),
    ],
)
def test_who_may_see_what(viewer_id: int, relation: Relation | None, seen: set[Visibility]) -> None:
    assert {each for each in Visibility if may_see(viewer_id, AUTHOR, each, relation)} == seen


def test_an_unknown_visibility_is_seen_by_its_author_alone() -> None:
    for viewer_id, relation in ((0, None), (VIEWER, FRIEND), (VIEWER, STRANGER)):
        assert not may_see(viewer_id, AUTHOR, 99, relation)
    assert may_see(AUTHOR, AUTHOR, 99, None)


def test_whose_entries_stand_on_home() -> None:
    def on_home(viewer_id: int, relation: Relation | None) -> set[Visibility]:
        return {each for each in Visibility if may_stand_on_home(viewer_id, AUTHOR, each, relation)}

    assert on_home(AUTHOR, None) == EVERYTHING
    assert on_home(VIEWER, FRIEND) == EVERYTHING - {Visibility.SELF}
    for relation in (None, STRANGER, FRIEND_OF_FRIEND, Relation(is_friend=True, is_blocked_either_way=True)):
        assert on_home(VIEWER, relation) == set()
    assert on_home(0, None) == set()


def test_nothing_stands_on_home_that_may_not_be_seen() -> None:
    relations = [None, *(Relation(*flags) for flags in itertools.product((False, True), repeat=3))]
    for viewer_id, relation, visibility in itertools.product((0, AUTHOR, VIEWER), relations, Visibility):
        if may_stand_on_home(viewer_id, AUTHOR, visibility, relation):
            assert may_see(viewer_id, AUTHOR, visibility, relation)


def test_an_answer_holds_the_newest_that_fit() -> None:
    largest = 200 * 4 + domain.MAX_TEXT_BYTES
    headers = [EntryHeader(i, AUTHOR, Visibility.PUBLIC, 0, largest) for i in (3, 1, *range(10, 30))]
    fitting, omitted = split_answer(headers)
    assert len(fitting) == 15
    assert fitting + omitted == sorted((header.id for header in headers), reverse=True)
    rest = MAX_ANSWER_BYTES - 15 * largest
    exact = [EntryHeader(i, AUTHOR, 1, 0, size) for i, size in enumerate((1, rest, *[largest] * 15))]
    assert split_answer(exact) == (list(range(16, 0, -1)), [0])
    assert split_answer(exact, text_limit=2000) == (list(range(16, -1, -1)), [])
    assert split_answer([]) == ([], [])
