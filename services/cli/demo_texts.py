"""What the demo network's members write; the texts are in demo_texts.json."""

import random
from functools import cache
from pathlib import Path

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """A blog entry."""

    title: str
    text: str


class Texts(msgspec.Struct, frozen=True):
    """All texts: by community and language, by language for anybody, blog entries, replies and comments by language."""

    statuses: dict[str, dict[str, list[str]]]
    anybody: dict[str, list[str]]
    entries: dict[str, list[Entry]]
    replies: dict[str, list[str]]
    comments: dict[str, list[str]]


@cache
def load_texts() -> Texts:
    """Return the texts."""
    return msgspec.json.decode(Path(__file__).with_suffix(".json").read_bytes(), type=Texts)


def status_text(chance: random.Random, community: str, locale: str) -> str:
    """Return something that a member of this community might write."""
    texts = load_texts()
    pool = texts.statuses[community][locale] if chance.random() < 0.7 else texts.anybody[locale]
    return chance.choice(pool)


def reply_text(chance: random.Random, locale: str, handle: str) -> str:
    """Return what a friend might answer; sometimes with a name."""
    text = chance.choice(load_texts().replies[locale])
    return f"@{handle} {text}" if chance.random() < 0.5 else text


def entry_text(chance: random.Random, locale: str) -> Entry:
    """Return a blog entry."""
    return chance.choice(load_texts().entries[locale])


def comment_text(chance: random.Random, locale: str) -> str:
    """Return what a friend might say below a blog entry."""
    return chance.choice(load_texts().comments[locale])
