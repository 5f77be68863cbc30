import numpy as np
import pytest

from benchmarks.copy_baseline import ROW, ROWS_PER_COMMIT, Rows, commits_of, decode, encode


def _rows(*pairs: tuple[int, int]) -> Rows:
    rows = np.zeros(len(pairs), ROW)
    rows["columns"] = 3
    for column in ("account", "entry", "author"):
        rows[f"{column}_size"] = 8
    rows["account"], rows["entry"] = zip(*pairs, strict=True)
    rows["author"] = 7
    return rows


def _keys(part: bytes) -> list[tuple[int, int]]:
    rows = decode(part)
    return list(zip(rows["account"].tolist(), rows["entry"].tolist(), strict=True))


def test_rows_are_what_postgresql_writes() -> None:
    data = encode(_rows((1, 2**62)))
    row = (
        b"\0\3"
        + b"\0\0\0\x08"
        + (1).to_bytes(8)
        + b"\0\0\0\x08"
        + (2**62).to_bytes(8)
        + b"\0\0\0\x08"
        + (7).to_bytes(8)
    )
    assert data == b"PGCOPY\n\xff\r\n\0" + bytes(8) + row + b"\xff\xff"
    assert _keys(data) == [(1, 2**62)]


@pytest.mark.parametrize(
    "data", [b"", b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"\0\2" + bytes(36) + b"\xff\xff", encode(_rows((1, 2)))[:-1]]
)
def test_what_is_no_copy_of_three_bigints_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="three bigints"):
        decode(data)


def test_every_commit_holds_its_posts_sorted_by_key() -> None:
    rows = _rows((5, 30), (1, 10), (9, 10), (2, 20), (1, 30), (3, 40), (1, 20))
    parts = commits_of(rows, posts_per_commit=2)
    assert [_keys(part) for part in parts] == [[(1, 10), (1, 20), (2, 20), (9, 10)], [(1, 30), (3, 40), (5, 30)]]


def test_one_commit_where_there_are_few_posts() -> None:
    assert [_keys(part) for part in commits_of(_rows((2, 1), (1, 1)))] == [[(1, 1), (2, 1)]]


def test_a_commit_has_its_bound_of_rows() -> None:
    rows = _rows(*((account, entry) for entry in range(3) for account in range(ROWS_PER_COMMIT // 2)))
    assert [len(decode(part)) for part in commits_of(rows)] == [ROWS_PER_COMMIT, ROWS_PER_COMMIT // 2]
