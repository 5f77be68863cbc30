"""The state folder: private, stable, and careful with what is not its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.errors import AlreadyRunning, LocalError
from deploy.local.state import State, open_state, write_private


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    state = open_state({"KODAMA_STATE_DIR": str(tmp_path / "state")})
    yield state
    state.clean()


def test_is_closed_to_others(state: State) -> None:
    state.secrets()
    state.remember("ports", {"gateway": 8420})
    assert state.root.stat().st_mode & 0o777 == 0o700
    assert {each.name: each.stat().st_mode & 0o777 for each in state.root.iterdir()} == {
        "run": 0o700,
        "log": 0o700,
        "lock": 0o600,
        "secrets": 0o600,
        "memory.json": 0o600,
    }


def test_secrets_are_made_once_and_long(state: State) -> None:
    secrets = state.secrets()
    assert state.secrets() == secrets
    assert len(set(vars(secrets).values())) == 5
    assert all(len(value) == 64 for value in vars(secrets).values())


def test_damaged_secrets_are_refused_with_a_sentence(state: State) -> None:
    write_private(state.root / "secrets", '{"kodama": "')
    with pytest.raises(LocalError, match="damaged"):
        state.secrets()


def test_damaged_memory_is_forgotten(state: State) -> None:
    (state.root / "memory.json").write_text("{")
    assert state.recall("ports") is None
    state.remember("ports", {"a": 1})
    assert state.recall("ports") == {"a": 1}


def test_a_second_holder_is_refused_with_pid_and_address(state: State) -> None:
    with state.locked():
        state.announce({"pid": 4711, "address": "http://127.0.0.1:8420"})
        with pytest.raises(AlreadyRunning, match=r"http://127\.0\.0\.1:8420 \(pid 4711\)"), state.locked():
            pass
        with pytest.raises(AlreadyRunning):
            state.clean()
    with state.locked():
        pass


def test_clean_removes_only_what_is_ours(state: State) -> None:
    home = state.server_home("postgres")
    (home.path / "data").mkdir()
    state.secrets()
    kept = [state.root / "notes.txt", state.root / "software" / "tree"]
    kept[0].touch()
    kept[1].mkdir(parents=True)
    state.clean()
    assert not home.path.exists()
    assert sorted(each.name for each in state.root.iterdir()) == ["lock", "notes.txt", "software"]
    assert all(each.exists() for each in kept)


def test_a_folder_with_other_files_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    mode = tmp_path.stat().st_mode
    with pytest.raises(LocalError, match="holds other files"):
        open_state({"KODAMA_STATE_DIR": str(tmp_path)})
    assert tmp_path.stat().st_mode == mode


def test_a_place_that_cannot_be_a_folder_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalError, match="cannot be used"):
        open_state({"KODAMA_STATE_DIR": str(tmp_path / "file" / "state")})
