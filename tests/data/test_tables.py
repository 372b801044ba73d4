"""Tables made in a program: kinds, missing values, and rows that keep their numbers."""

import numpy as np
import pytest

from adjoint.data import Table
from adjoint.errors import DataError


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, 2.5, None], "number", [1, 2.5, np.nan]),
        ([float("nan"), np.float32(2), ""], "number", [np.nan, 2, np.nan]),
        (np.array([1, 2], dtype=np.uint8), "number", [1, 2]),
        ([True, None, False], "boolean", [1, np.nan, 0]),
        (np.array([True, False]), "boolean", [1, 0]),
        ([None, None], "number", [np.nan, np.nan]),
        ([], "number", []),
    ],
)
def test_numbers_and_booleans(values, kind, expected):
    table = Table.of({"a": values})
    assert table.kinds["a"] == kind
    np.testing.assert_array_equal(table["a"], expected)
    assert table["a"].dtype == np.float64


@pytest.mark.parametrize(
    "values",
    [
        [" x ", "", None, "y"],
        np.array(["x", "", " ", "y"]),
        ["x", float("nan"), None, "y"],
    ],
)
def test_texts_are_stripped_and_the_empty_one_is_missing(values):
    table = Table.of({"a": values})
    assert table.kinds["a"] == "text"
    assert table["a"].tolist() == ["x", None, None, "y"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [1, "x"]}, r"table: column 'a': expected numbers, booleans or texts, one kind for all, got 1, 'x'"),
        ({"a": [True, 2]}, r"got True, 2"),
        ({"a": [b"x"]}, r"got b'x'"),
        ({"a": [1j]}, r"got 1j"),
        ({"a": [[1, 2], [3, 4]]}, r"expected values in one dimension, got shape \(2, 2\)"),
        ({"a": [1], "b": [1, 2]}, r"table: expected columns of one length, got 'a' 1, 'b' 2"),
    ],
)
def test_what_is_no_column(columns, message):
    with pytest.raises(DataError, match=message):
        Table.of(columns)


def test_a_column_that_is_not_there_names_the_likely_one():
    message = r"people: expected a column 'agE', got 'age', 'city'; did you mean 'age'\?"
    with pytest.raises(DataError, match=message):
        Table.of({"age": [1], "city": ["x"]}, source="people")["agE"]


def test_columns_are_read_only_and_copied():
    mine = np.array([1.0, 2.0])
    table = Table.of({"a": mine})
    mine[0] = 7
    assert table["a"][0] == 1
    with pytest.raises(ValueError, match="read-only"):
        table["a"][0] = 3


def test_rows_keep_their_numbers_for_messages():
    table = Table.of({"a": [1, None, 3, 4], "b": ["p", "q", "r", None]})
    part = table.take([3, 2]).drop_missing("b")
    assert part["a"].tolist() == [3]
    assert part.column("a").row(0) == "data row 3"
    assert (part.rows, part.names) == (1, ("a", "b"))
