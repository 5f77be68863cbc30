"""What accounts are found by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.account.search_keys import MAX_KEY, MAX_KEYS, fold, key_range, search_keys


def finds(query: str, handle: str, display_name: str) -> bool:
    keys = key_range(query)
    return keys is not None and any(keys[0] <= key < keys[1] for key in search_keys(handle, display_name))


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("yamada", "山田 Yamada Hanako"),
        ("HANAKO", "山田 Yamada Hanako"),
        ("yamada han", "山田 Yamada-Hanako"),
        ("花子", "山田花子"),
        ("ハナ", "ﾔﾏﾀﾞﾊﾅ"),
        ("strasse", "Die Straße"),
        ("ａｂｃ", "abc"),
        ("é", "Café é"),
        ("👪x", "👪 x"),
        ("x" * 60, "x" * 60),
    ],
)
def test_found(query: str, name: str) -> None:
    assert finds(query, "someone", name)


@pytest.mark.parametrize(
    ("query", "name"), [("anako", "Hanako"), ("子花", "花子"), ("", "x"), ("!?", "!?"), ("%", "x")]
)
def test_not_found(query: str, name: str) -> None:
    assert not finds(query, "someone", name)


@given(st.text(max_size=60).filter(lambda name: bool(fold(name))))
def test_everybody_is_found_by_their_whole_name_and_keys_fit_their_column(name: str) -> None:
    keys = search_keys("abc_def", name)
    assert finds(name, "abc_def", name)
    assert all(0 < len(key) <= MAX_KEY for key in keys)
    assert len(set(keys)) == len(keys) <= MAX_KEYS
