"""The demo network's people and texts: realistic, bounded, the same every time."""

import random

import networkx as nx

from services.account.domain import is_handle
from services.blog.domain import check_comment, check_title
from services.blog.domain import check_text as check_entry_text
from services.cli.demo_people import COMMUNITIES, make_people
from services.cli.demo_texts import comment_text, entry_text, load_texts, reply_text, status_text
from services.status.domain import check_text


def test_people_are_the_same_every_time_and_have_handles_of_their_own() -> None:
    people, friendships = make_people()
    assert (people, friendships) == make_people()
    assert len({person.handle for person in people}) == len(people) == 300
    assert all(is_handle(person.handle) for person in people)
    assert {person.locale for person in people} == {"ja", "en"}
    assert people[0].handle == "sakura"


def test_friendships_make_a_connected_network_with_communities() -> None:
    people, friendships = make_people()
    graph = nx.Graph(friendships)
    assert nx.is_connected(graph)
    assert len(graph) == len(people)
    inside = sum(people[left].community == people[right].community for left, right in friendships)
    assert inside / len(friendships) > 0.4
    assert max(degree for _, degree in graph.degree) < 100


def test_every_text_can_be_posted() -> None:
    texts = load_texts()
    assert set(texts.statuses) == {community.name for community in COMMUNITIES}
    for text in [t for by in (*texts.statuses.values(), texts.anybody) for ts in by.values() for t in ts]:
        assert check_text(text) == text
    chance = random.Random(1)
    assert status_text(chance, "cats", "ja")
    assert entry_text(chance, "en").title
    for locale in ("ja", "en"):
        for text in texts.replies[locale]:
            assert check_text(f"@{'a' * 30} {text}")
        for text in texts.comments[locale]:
            assert check_comment(text) == text
        for entry in texts.entries[locale]:
            assert (check_title(entry.title), check_entry_text(entry.text)) == (entry.title, entry.text)
    assert reply_text(chance, "ja", "sakura")
    assert comment_text(chance, "ja")
