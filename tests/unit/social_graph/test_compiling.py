"""Where compiled code is kept."""

import subprocess
import sys
from pathlib import Path

import pytest

from services.social_graph.suggestions.compiling import find_folder


def test_each_version_of_the_package_has_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "one.py").write_text("A = 1")
    (package / "other.py").write_text("B = 1")
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    first = find_folder(package)
    assert first is not None
    assert first.parent == package / "__pycache__"
    assert find_folder(package) == first
    (package / "other.py").write_text("B = 2")
    assert find_folder(package) not in (None, first)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "given"))
    given = find_folder(package)
    assert given is not None
    assert given.parent == tmp_path / "given"


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_the_way = tmp_path / "a file"
    in_the_way.write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(in_the_way))
    assert find_folder(tmp_path) is None


WITHOUT_BLAS = """
import sys
from numba import njit
from services.social_graph.suggestions import free_at_once, give_back, leave_out_blas
assert "networkx" not in sys.modules
leave_out_blas()
free_at_once()
assert njit(lambda numbers: numbers.sum())((1.0 + __import__("numpy").arange(3))) == 6
assert "scipy.linalg" not in sys.modules
give_back()
assert njit(lambda a, b: a * b)(6, 7) == 42
import scipy.linalg
leave_out_blas()
assert "scipy.linalg" in sys.modules
"""


def test_a_process_that_leaves_blas_out_compiles_and_scipy_can_be_imported_later() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_BLAS], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
