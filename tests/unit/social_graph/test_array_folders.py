"""Folders of arrays are whole or not there."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from services.social_graph.array_folders import (
    Array,
    FolderDamaged,
    is_abandoned_draft,
    load_arrays,
    save_into,
    writing,
)

ARRAYS: dict[str, Array] = {"ids": np.arange(1000), "none": np.zeros(0, dtype=np.int32)}


def save_arrays(folder: Path, arrays: dict[str, Array]) -> None:
    with writing(folder) as draft:
        save_into(draft, arrays)


def test_what_is_saved_is_mapped_again_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "arrays"
    save_arrays(folder, ARRAYS)
    loaded = load_arrays(folder)
    assert {name: array.tolist() for name, array in loaded.items()} == {
        name: array.tolist() for name, array in ARRAYS.items()
    }
    assert isinstance(loaded["ids"], np.memmap)
    modes = {path.stat().st_mode & 0o077 for path in (folder.parent, folder, *folder.iterdir())}
    assert modes == {0}, "readable for others"


def test_there_is_nothing_before_it_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "arrays"

    def write() -> None:
        with writing(folder) as draft:
            np.save(draft / "ids.npy", ARRAYS["ids"])
            assert not folder.exists()
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FolderDamaged):
        load_arrays(folder)


def test_what_stands_there_stays(tmp_path: Path) -> None:
    save_arrays(tmp_path / "arrays", ARRAYS)
    with pytest.raises(FileExistsError):
        save_arrays(tmp_path / "arrays", {"ids": np.zeros(3)})
    assert len(load_arrays(tmp_path / "arrays")["ids"]) == 1000
    assert [path.name for path in tmp_path.iterdir()] == ["arrays"]


@pytest.mark.parametrize("keep", [0, 1, 100, 8127])
def test_a_file_that_was_cut_short_is_recognised(tmp_path: Path, keep: int) -> None:
    save_arrays(tmp_path / "arrays", ARRAYS)
    victim = tmp_path / "arrays" / "ids.npy"
    victim.write_bytes(victim.read_bytes()[:keep])
    with pytest.raises(FolderDamaged, match=r"ids\.npy of arrays is not what was written"):
        load_arrays(tmp_path / "arrays")


@pytest.mark.parametrize(
    "manifest", [b"", b"{}", b'{"format": 2, "files": {}}', b'{"format": 1, "files": {"x.npy": {}}}']
)
def test_another_manifest_is_recognised(tmp_path: Path, manifest: bytes) -> None:
    save_arrays(tmp_path / "arrays", ARRAYS)
    (tmp_path / "arrays" / "manifest.json").write_bytes(manifest)
    with pytest.raises(FolderDamaged):
        load_arrays(tmp_path / "arrays")


def test_a_draft_is_abandoned_when_its_writer_is_gone(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert is_abandoned_draft(tmp_path / f".1.1.graph.{gone.pid}")
    assert not is_abandoned_draft(tmp_path / f".1.1.graph.{os.getpid()}")
    assert not is_abandoned_draft(tmp_path / "1.1.graph")
