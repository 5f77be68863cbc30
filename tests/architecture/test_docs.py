"""Links in the documentation lead somewhere: to files that are there, and to headings that are in them."""

import re
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
MARKDOWN = MarkdownIt("commonmark").enable("table")


def documents() -> list[Path]:
    """Return all Markdown files that are, or are about to be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def _tokens(text: str) -> Iterator[Token]:
    for token in MARKDOWN.parse(text):
        yield token
        yield from token.children or ()


def links(text: str) -> list[str]:
    """Return the targets of all links and images."""
    found = [token.attrGet("href") or token.attrGet("src") for token in _tokens(text)]
    return [str(target) for target in found if target]


def headings(text: str) -> set[str]:
    """Return the anchors that forges make of a text's headings."""
    tokens = MARKDOWN.parse(text)
    titles = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def dead_links(document: Path) -> list[str]:
    """Return the relative links of a document that lead nowhere."""
    dead: list[str] = []
    for target in links(document.read_text()):
        if re.match(r"[a-z]+:", target):
            continue  # other places are not asked: this has to pass without a network
        path, _, anchor = target.partition("#")
        file = (document.parent / unquote(path)) if path else document
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in headings(file.read_text())):
            dead.append(target)
    return dead


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_link_is_dead(document: Path) -> None:
    assert dead_links(document) == []


def test_dead_links_are_found(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text(
        "# One two\n[a](#one-two) [b](#three) [c](gone.md) ![d](gone.png) [e](a.md#one-two) [f](https://example.org)\n"
    )
    assert dead_links(document) == ["#three", "gone.md", "gone.png"]


def test_each_decision_has_a_number_of_its_own_and_bears_it_in_its_title() -> None:
    names = sorted((ROOT / "docs/decisions").glob("*.md"))
    numbers = [int(path.name[:4]) for path in names]
    assert len(set(numbers)) == len(numbers)
    assert [int(path.read_text().removeprefix("# ").split(".")[0]) for path in names] == numbers
