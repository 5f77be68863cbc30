"""The demo network's people: members with names, communities and friendships, the same at every run."""

import random
import re
from dataclasses import dataclass

import networkx as nx
from faker import Faker

MEMBERS = 300
SEED = 2009
HANDLE_LENGTH = 20


@dataclass(frozen=True)
class Person:
    """A member to be made."""

    handle: str
    display_name: str
    note: str
    locale: str
    community: str


@dataclass(frozen=True)
class Community:
    """What a group of friends has in common, and what they write about."""

    name: str
    note_ja: str
    note_en: str


COMMUNITIES = (
    Community("ramen", "ラーメン巡りが生きがい。", "Always looking for the next bowl of ramen."),
    Community("trains", "乗り鉄です。各駅停車が好き。", "I ride trains for the sake of it."),
    Community("photography", "フィルムカメラで街を撮っています。", "Street photography, mostly on film."),
    Community("books", "積ん読が増える一方です。", "My unread pile is winning."),
    Community("garden", "ベランダ菜園、はじめました。", "Tomatoes on a balcony, against all odds."),
    Community("music", "週末はバンド練習。ベース担当。", "Bass player in a band you have not heard of."),
    Community("hiking", "低山ハイクとおにぎり。", "Low mountains, good snacks."),
    Community("cats", "猫二匹と暮らしています。", "Staff to two cats."),
    Community("code", "趣味でプログラムを書いています。", "I write small programs for fun."),
    Community("cooking", "毎日のごはんの記録。", "What we had for dinner, and how."),
)


def make_people() -> tuple[list[Person], list[tuple[int, int]]]:
    """Return the members and their friendships as pairs of positions.

    Friendships are a planted-partition network (dense communities, sparse between) with a few sociable members who know people everywhere,
    as in the school networks of Traud, Mucha and Porter (arXiv:1102.2166).
    """
    chance = random.Random(SEED)  # noqa: S311 - a demo that is the same every time, nothing secret
    sizes = _sizes(chance)
    graph = nx.random_partition_graph(sizes, 0.32, 0.012, seed=SEED)
    for sociable in chance.sample(range(MEMBERS), 12):
        for other in chance.sample(range(MEMBERS), 30):
            if other != sociable:
                graph.add_edge(sociable, other)
    community_of = {member: index for index, part in enumerate(graph.graph["partition"]) for member in part}
    return _name_people(chance, community_of), sorted((min(edge), max(edge)) for edge in graph.edges)


def _sizes(chance: random.Random) -> list[int]:
    sizes = [20 + chance.randrange(15) for _ in COMMUNITIES]
    sizes[-1] += MEMBERS - sum(sizes)
    return sizes


def _name_people(chance: random.Random, community_of: dict[int, int]) -> list[Person]:
    japanese, english = Faker("ja_JP"), Faker("en_US")
    japanese.seed_instance(SEED)
    english.seed_instance(SEED)
    people = [
        Person(
            "sakura", "さくら", "木霊のデモへようこそ。Try the home timeline!", "ja", COMMUNITIES[community_of[0]].name
        )
    ]
    handles = {"sakura"}
    for member in range(1, MEMBERS):
        community = COMMUNITIES[community_of[member]]
        if chance.random() < 0.6:
            last, first = japanese.last_name_pair(), japanese.first_name_pair()  # (kanji, kana, romanised) each
            name, romanised = f"{last[0]} {first[0]}", f"{first[2]} {last[2]}"
            note, locale = community.note_ja, "ja"
        else:
            name = romanised = english.name()
            note, locale = community.note_en, "en"
        people.append(Person(_handle(romanised, handles), name, note, locale, community.name))
    return people


def _handle(name: str, taken: set[str]) -> str:
    base = re.sub(r"[^a-z]+", "_", name.lower()).strip("_")[:HANDLE_LENGTH]
    handle, number = base, 1
    while handle in taken:
        number += 1
        handle = f"{base}{number}"
    taken.add(handle)
    return handle
