"""What clients send becomes what routes declare, or a fault with the field's name."""

from typing import Any, Literal

import msgspec
import pytest

from chassis.errors import InvalidField, NotFound
from chassis.ids import MAX_ID
from services.gateway.bodies import nest
from services.gateway.parameters import IdList, Limit, Reader, WindowParameters, has_older, parse_handle, parse_id


class Form(msgspec.Struct, frozen=True, kw_only=True):
    text: str = ""
    flag: bool = False
    limit: Limit | None = None
    id: IdList = []
    names: str | list[str] = ""
    kind: Literal["a", "b", ""] = ""


class Strict(msgspec.Struct):
    text: str


def read(values: dict[str, object]) -> Any:
    return Reader(Form).read(values)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("a", "1"), ("b", "")], {"a": "1", "b": ""}),
        ([("a[]", "1"), ("a[]", "2")], {"a": ["1", "2"]}),
        ([("a", "1"), ("a", "2")], {"a": ["1", "2"]}),
        ([("a[b]", "1"), ("a[c][]", "2")], {"a": {"b": "1", "c": ["2"]}}),
        ([("a[0][name]", "x")], {"a": {"0": {"name": "x"}}}),
        ([("a", "1"), ("a[b]", "2")], {"a": {"b": "2"}}),
        ([("a[b]", "1"), ("a[]", "2")], {"a": ["2"]}),
        ([("[]", "1"), ("a[", "2"), ("a]b", "3")], {"[]": "1", "a[": "2", "a]b": "3"}),
        ([("a" + "[b]" * 6, "1")], {"a" + "[b]" * 6: "1"}),
    ],
)
def test_bracket_names(pairs: list[tuple[str, str]], expected: dict[str, object]) -> None:
    assert nest(pairs) == expected


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        *((spelling, True) for spelling in ("1", "true", "on", "TRUE", True, 1)),
        *((spelling, False) for spelling in ("0", "false", "off", False, 0, "", None)),
    ],
)
def test_spellings_of_booleans(spelling: object, expected: bool) -> None:
    assert read({"flag": spelling}).flag is expected


def test_lists_of_every_form() -> None:
    for pairs in ([("id[]", "1"), ("id[]", "2")], [("id", "1"), ("id", "2")]):
        assert read(nest(pairs)).id == [1, 2]
    assert read({"id": [1, "2"]}).id == [1, 2]
    assert read({"id": "7"}).id == [7]
    assert read({"names": "x"}).names == "x"
    assert read({"names": ["x", "y"]}).names == ["x", "y"]


def test_a_repeated_single_value_is_its_last() -> None:
    assert read(nest([("text", "first"), ("text", "second")])).text == "second"


def test_unknown_null_and_empty_values_are_absent() -> None:
    assert read({"what": 1, "text": None, "limit": "", "id": None}) == Form()


@pytest.mark.parametrize("limit", ["-1", "abc", "1e9", "1.0", " 5", "+5", "٣", "0", -1, 0, True, [], {}, "9" * 30])
def test_limits_that_are_none(limit: object) -> None:
    with pytest.raises(InvalidField, match="limit") as refused:
        read({"limit": limit})
    assert refused.value.metadata["field"] == "limit"


@pytest.mark.parametrize("value", ["0", "-1", "abc", str(2**70), str(MAX_ID + 1), "1 ", [["1"]], {"a": "1"}])
def test_ids_that_are_none(value: object) -> None:
    with pytest.raises(InvalidField) as refused:
        read({"id": [value]})
    assert refused.value.metadata["field"] == "id"


def test_a_list_has_a_bound() -> None:
    with pytest.raises(InvalidField):
        read({"id": list(range(1, 202))})


@pytest.mark.parametrize("values", [{"text": 5}, {"text": ["a"]}, {"kind": "c"}, {"flag": "maybe"}, {"flag": 2}])
def test_wrong_types_name_the_field(values: dict[str, object]) -> None:
    with pytest.raises(InvalidField) as refused:
        read(values)
    assert refused.value.metadata["field"] == next(iter(values))
    assert "`" not in refused.value.message


def test_a_missing_field_is_named() -> None:
    with pytest.raises(InvalidField, match="text is missing") as refused:
        Reader(Strict).read({})
    assert refused.value.metadata["field"] == "text"


def test_windows() -> None:
    reader = Reader(WindowParameters)

    def window(**values: object) -> Any:
        read = reader.read(values)
        assert isinstance(read, WindowParameters)
        return read.window(default=20, maximum=40)

    assert window().limit == 20
    assert window(limit="1000000000").limit == 40
    assert (window(max_id="9").max_id, window(since_id="0").since_id) == (9, 0)
    assert window(min_id="0").min_id == 1  # "from the beginning", which 0 would not say in the contract
    assert not has_older(window(limit=5), 4)
    assert has_older(window(limit=5), 5)
    assert has_older(window(limit=5, min_id="1"), 1)


def test_ids_and_handles_in_paths() -> None:
    assert parse_id(str(MAX_ID)) == MAX_ID
    assert parse_handle("Hana_1") == "hana_1"
    for text in ("0", "-1", "abc", str(2**70), str(MAX_ID + 1), "", "1 ", "１"):
        with pytest.raises(NotFound):
            parse_id(text)
    for text in ("", "a" * 31, "a b", "é", "a\0"):
        with pytest.raises(NotFound):
            parse_handle(text)


class _Optional(msgspec.Struct):
    flag: bool | None = None
    inner: dict[str, int] | None = None
    text: str | None = None


@pytest.mark.parametrize("values", [{"flag": "null"}, {"flag": "Null"}, {"inner": "null"}])
def test_the_word_null_is_no_value_but_of_a_text(values: dict[str, object]) -> None:
    with pytest.raises(InvalidField, match="the word null"):
        Reader(_Optional).read(values)
    assert Reader(_Optional).read({"text": "null", "flag": None}) == _Optional(text="null")
