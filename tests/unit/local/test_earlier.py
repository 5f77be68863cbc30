"""Data that is older than a state folder's secrets: whose it is, and what becomes of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.earlier import settle
from deploy.local.errors import LocalError
from deploy.local.state import REACHABLE, State, open_state
from deploy.local.up import clean

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's data is outside of the state folder")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    state = open_state({"KODAMA_STATE_DIR": str(tmp_path / "state")})
    yield state
    state.clean()
    for each in asides(state):
        shutil.rmtree(each)


def asides(state: State) -> list[Path]:
    name = state.home_path("postgres").name.removeprefix("kodama-")
    return sorted(REACHABLE.glob(f"kodama-earlier-{name}-*"))


def make_data(state: State) -> Path:
    data = state.server_home("postgres").path / "data"
    data.mkdir()
    (data / "PG_VERSION").write_text("18\n")
    return data


def test_says_nothing_of_a_new_folder_and_makes_nothing(state: State) -> None:
    said: list[str] = []
    settle(state, said.append)
    assert said == []
    assert not state.home_path("postgres").exists()
    assert not state.secrets_file.exists()


@as_root
def test_data_that_is_older_than_a_new_folder_is_set_aside(state: State) -> None:
    make_data(state)
    said: list[str] = []
    settle(state, said.append)
    [aside] = asides(state)
    assert (aside / "data" / "PG_VERSION").read_text() == "18\n"
    assert aside.stat().st_mode & 0o777 == 0o700
    assert state.found_home("postgres") is None
    assert f"It is now in {aside};" in said[0]
    assert said[1].endswith(f"rm -r {str(aside).rpartition('-')[0]}-*")

    state.secrets()
    ours, again = make_data(state), list[str]()
    settle(state, again.append)
    assert again == said[1:]
    assert ours.exists()


@as_root
def test_cleaning_keeps_what_was_set_aside_and_says_so(state: State) -> None:
    make_data(state)
    settle(state, lambda _: None)
    state.secrets()
    ours, said = make_data(state), list[str]()
    assert clean(said.append, {"KODAMA_STATE_DIR": str(state.root)}) == 0
    assert said[0] == f"Removed the data in {state.root} and {ours.parent}."
    assert "is kept (1)" in said[1]
    assert len(asides(state)) == 1
    assert not ours.exists()


@pytest.mark.parametrize("server", ["postgres", "rabbitmq"])
def test_lost_secrets_are_a_sentence_and_nothing_is_moved(state: State, server: str) -> None:
    data = make_data(state) if server == "postgres" else state.root / "rabbitmq" / "data"
    data.mkdir(parents=True, exist_ok=True)
    state.remember("ports", {"gateway": 8420})
    with pytest.raises(LocalError, match=f"secrets is missing, and the data in {data} needs it"):
        settle(state, lambda _: None)
    assert data.exists()
    assert not state.secrets_file.exists()


@pytest.mark.parametrize("text", ["{", None])
def test_all_can_be_removed_where_secrets_are_damaged_or_lost(state: State, text: str | None) -> None:
    data = make_data(state)
    state.remember("ports", {"gateway": 8420})
    if text is not None:
        state.secrets_file.write_text(text)
    assert state.instance() is None
    assert clean(lambda _: None, {"KODAMA_STATE_DIR": str(state.root)}) == 0
    assert not data.exists()
    settle(state, pytest.fail)
    assert set(vars(state.secrets())) >= {"kodama", "postgres"}
