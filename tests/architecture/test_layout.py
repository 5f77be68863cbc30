"""The tree is as the docs say, and its modules are small and named for what they are."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = ("chassis", "services", "deploy", "tests", "benchmarks")
MAX_LINES = 400
NAMELESS = {"utils", "util", "common", "helpers", "helper", "misc", "base", "manager", "stuff"}
MAP = re.compile(r"<!-- map:begin -->\n+```[a-z]*\n(.*?)```\n+<!-- map:end -->", re.DOTALL)

MODULES = [
    *(path for folder in CODE for path in sorted((ROOT / folder).rglob("*.py"))),
    ROOT / "protos/generate.py",
]


def test_there_is_something_to_look_at() -> None:
    assert len(MODULES) > 100


def test_no_module_is_long() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in MODULES}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_no_module_or_folder_is_named_for_nothing() -> None:
    named = {part for path in MODULES for part in (*path.relative_to(ROOT).parts[:-1], path.stem)}
    assert named & NAMELESS == set()


def test_every_package_says_what_it_is() -> None:
    packages = [path for path in MODULES if path.name == "__init__.py"]
    assert packages
    assert [str(path) for path in packages if not ast.get_docstring(ast.parse(path.read_text("utf-8")))] == []


def documented_folders(text: str) -> dict[str, set[str]]:
    """The docs' map: a folder at the beginning of each line, and those of its folders that the line names."""
    found = MAP.search(text)
    assert found is not None, "docs/architecture.md needs its map between <!-- map:begin --> and <!-- map:end -->"
    folders: dict[str, set[str]] = {}
    for line in found[1].splitlines():
        name, _, described = line.partition("/")
        folders[name] = set(re.findall(r"([\w-]+)/", described))
    return folders


@pytest.fixture(scope="module")
def documented() -> dict[str, set[str]]:
    return documented_folders((ROOT / "docs/architecture.md").read_text("utf-8"))


def test_the_map_in_the_docs_has_exactly_the_top_level_folders(documented: dict[str, set[str]]) -> None:
    existing = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))}
    assert set(documented) == existing


def test_the_map_in_the_docs_has_exactly_the_services(documented: dict[str, set[str]]) -> None:
    assert documented["services"] == {path.parent.name for path in (ROOT / "services").glob("*/__init__.py")}


def test_every_folder_that_the_map_names_is_there(documented: dict[str, set[str]]) -> None:
    named = {f"{folder}/{inner}" for folder, described in documented.items() for inner in described}
    assert {name for name in named if not (ROOT / name).is_dir()} == set()


def test_a_map_is_read_by_its_folders() -> None:
    drawn = "chassis/   the ground\nservices/  status/ blog/\ndeploy/    local/ (make up), systemd/\n"
    assert documented_folders(f"<!-- map:begin -->\n```text\n{drawn}```\n<!-- map:end -->") == {
        "chassis": set(),
        "services": {"status", "blog"},
        "deploy": {"local", "systemd"},
    }
