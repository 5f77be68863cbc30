"""Edge lists: what is read, what is left out, and what is refused with its place."""

import gzip
from pathlib import Path

import pytest

from services.cli.edge_list import MAX_LINE, EdgeListError, most_friends, read_edge_list


def _write(folder: Path, text: str) -> Path:
    path = folder / "friends.txt"
    path.write_text(text)
    return path


def test_comments_blanks_separators_and_line_ends(tmp_path: Path) -> None:
    edges = read_edge_list(_write(tmp_path, "# SNAP\n% Pajek\n\n1 2\n2\t3\r\n  3,1  \nAnn 1\n"))
    assert edges.members == ["1", "2", "3", "ann"]
    assert edges.friendships == [("1", "2"), ("2", "3"), ("1", "3"), ("1", "ann")]


def test_repetitions_and_self_friendships_are_counted_and_left_out(tmp_path: Path) -> None:
    edges = read_edge_list(_write(tmp_path, "1 2\n2 1\n1 2\n3 3\n"))
    assert (edges.friendships, edges.repeated, edges.self_loops) == ([("1", "2")], 2, 1)
    assert edges.members == ["1", "2", "3"]


def test_gzip_is_told_by_its_content_not_its_name(tmp_path: Path) -> None:
    path = tmp_path / "friends.txt"
    path.write_bytes(gzip.compress(b"1 2\n2 3\n"))
    assert len(read_edge_list(path).friendships) == 2


def test_damaged_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "friends.gz"
    path.write_bytes(gzip.compress(b"1 2\n" * 10_000)[:-20])
    with pytest.raises(EdgeListError, match=r"friends\.gz, after line \d+: the gzip data is damaged"):
        read_edge_list(path)


@pytest.mark.parametrize("line", ["1", "1 2 3", "1 -2", "a/b c", "1 2.5", "x" * 21 + " 1", "\0 1"])
def test_the_first_malformed_line_is_named_with_its_number_and_content(tmp_path: Path, line: str) -> None:
    with pytest.raises(EdgeListError, match=r"friends\.txt, line 3: ") as refused:
        read_edge_list(_write(tmp_path, f"1 2\n# a comment\n{line}\n1 2 3 4\n"))
    assert repr(line[:80]) in str(refused.value)


def test_lines_have_a_bound(tmp_path: Path) -> None:
    with pytest.raises(EdgeListError, match=f"line 2: longer than {MAX_LINE} bytes"):
        read_edge_list(_write(tmp_path, f"1 2\n1{' ' * MAX_LINE}2\n"))


def test_other_alphabets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgeListError, match=r"line 1: .* is not plain ASCII text"):
        read_edge_list(_write(tmp_path, "木 霊\n"))


def test_a_file_without_friendships_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgeListError, match="no friendships"):
        read_edge_list(_write(tmp_path, "# nothing\n"))


def test_most_friends(tmp_path: Path) -> None:
    assert most_friends(read_edge_list(_write(tmp_path, "1 2\n1 3\n2 4\n1 4\n"))) == ("1", 3)
