"""The encoder against scikit-learn and hand numbers; what changed between two tables; the way to JSON."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.class_weight import compute_class_weight

from adjoint.data import Encoder, Table, read_table
from adjoint.errors import DataError

PEOPLE = Table.of(
    {
        "age": [20, None, 40, 30],
        "city": ["Rome", "Oslo", None, "Rome"],
        "smoker": [True, False, False, True],
        "kind": ["cat", "dog", "dog", "bird"],
    },
    source="people.csv",
)


def said(action, *arguments, **settings):
    with pytest.raises(DataError) as caught:
        action(*arguments, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def without(table, name):
    columns = {key: table[key] for key in table.names if key != name}
    return Table(columns, {key: table.kinds[key] for key in columns}, table.source)


# What comes out


def test_a_small_table_by_hand():
    encoder = Encoder.fit(PEOPLE, target="kind")
    x, y = encoder.encode(PEOPLE)
    assert encoder.feature_names == (
        "age",
        "age is missing",
        "city=Oslo",
        "city=Rome",
        "city is unknown",
        "city is missing",
        "smoker",
    )
    root = np.sqrt(1.5)  # 20, 40, 30: mean 30, deviation √(200 / 3); 10 / that = √1.5
    np.testing.assert_allclose(
        x,
        [[-root, 0, 0, 1, 0, 0, 1], [0, 1, 1, 0, 0, 0, -1], [root, 0, 0, 0, 0, 1, -1], [0, 0, 0, 1, 0, 0, 1]],
        rtol=1e-6,
    )
    assert (x.dtype, y.dtype) == (np.float32, np.int64)
    assert y.tolist() == [1, 2, 2, 0]
    assert (encoder.classes, encoder.task) == (("bird", "cat", "dog"), "classification")
    assert (encoder.n_inputs, encoder.n_outputs, encoder.notes) == (7, 3, ())
    assert encoder.kinds == {"age": "number", "city": "text", "smoker": "boolean", "kind": "text"}


def test_numbers_as_standard_scaler_has_them():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(50, 3)) * [1, 1e6, 1e-6] + [0, 1e7, 5]
    table = Table.of({"a": values[:, 0], "b": values[:, 1], "c": values[:, 2], "y": rng.normal(size=50)})
    x, y = Encoder.fit(table, target="y").encode(table)
    np.testing.assert_allclose(x, StandardScaler().fit_transform(values), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(y, StandardScaler().fit_transform(table["y"][:, None]), rtol=1e-5, atol=1e-6)
    assert (y.dtype, y.shape) == (np.float32, (50, 1))


def test_texts_as_one_hot_encoder_has_them():
    rng = np.random.default_rng(1)
    texts = rng.choice(["x", "y", "zz", "w"], size=40)
    table = Table.of({"t": texts, "y": rng.integers(0, 2, 40)})
    x, _ = Encoder.fit(table, target="y").encode(table)
    np.testing.assert_array_equal(x[:, :-1], OneHotEncoder(sparse_output=False).fit_transform(texts[:, None]))
    assert not x[:, -1].any()


@given(st.lists(st.none() | st.floats(-1e300, 1e300), min_size=1), st.floats(-1e300, 1e300))
def test_any_numbers_become_finite_with_mean_zero(others, number):
    values = [*others, number]
    table = Table.of({"a": values, "y": [float(i % 2) for i in range(len(values))]})
    encoder = Encoder.fit(table, target="y")
    x, _ = encoder.encode(table)
    assert np.isfinite(x).all()
    assert abs(x[:, 0].mean()) < 1e-3
    assert encoder.n_inputs == (2 if None in values else 1)


@pytest.mark.parametrize("value", [0.0, 7.0, 0.1, -1e300, 5e-324])
def test_a_constant_column_is_zero(value):
    table = Table.of({"a": [value] * 7, "y": [0, 1] * 3 + [0]})
    x, _ = Encoder.fit(table, target="y").encode(table)
    assert not x.any()


def test_unseen_and_missing_values_when_predicting():
    encoder = Encoder.fit(Table.of({"n": [1, 3], "t": ["a", "b"], "y": [0.5, 1.5]}), target="y")
    x, y = encoder.encode(Table.of({"t": ["b", "new", None], "n": [None, 3, 2]}))
    assert x.tolist() == [[0, 0, 1, 0], [1, 0, 0, 1], [0, 0, 0, 1]]
    assert y is None


def test_a_column_without_any_value_may_stand_for_any_kind():
    encoder = Encoder.fit(PEOPLE, target="kind")
    x, _ = encoder.encode(Table.of({"age": [None], "city": [None], "smoker": [None]}))
    assert x.tolist() == [[0, 1, 0, 0, 0, 1, 0]]


def test_a_table_of_no_rows():
    assert Encoder.fit(PEOPLE, target="kind").encode_features(PEOPLE.take([])).shape == (0, 7)


def test_columns_beyond_those_fitted_on_are_ignored_and_order_is_free():
    encoder = Encoder.fit(PEOPLE, target="kind")
    other = Table.of(
        {"zoo": ["q"] * 4, **{name: PEOPLE[name] for name in ("city", "age")}, "smoker": [True, False, False, True]}
    )
    np.testing.assert_array_equal(encoder.encode_features(other), encoder.encode_features(PEOPLE))


# What is left out or cut


def test_columns_that_say_nothing_are_left_out_with_a_note():
    table = Table.of(
        {
            "": range(40),
            "void": [None] * 40,
            "name": [f"n{i}" for i in range(40)],
            "a": range(40),
            "id": range(40),
            "y": [0, 1] * 20,
        }
    )
    encoder = Encoder.fit(table, target="y", ignore=["id"])
    assert encoder.feature_names == ("a",)
    assert encoder.notes == (
        "column '' is left out: it has no name, as row numbers that pandas writes",
        "column 'void' is left out: every value is missing",
        "column 'name' is left out: its 40 texts are all different, as names or ids",
    )


def test_rare_texts_count_as_unknown_beyond_the_limit():
    table = Table.of({"t": ["c"] * 3 + ["b"] * 2 + ["a", "d"], "y": [0, 1] * 3 + [0]})
    encoder = Encoder.fit(table, target="y", max_categories=2)
    assert encoder.feature_names == ("t=b", "t=c", "t is unknown")
    assert encoder.encode_features(table)[:, 2].tolist() == [0, 0, 0, 0, 0, 1, 1]
    assert encoder.notes == ("column 't' has 4 different texts: all but the 2 most frequent count as unknown",)


def test_a_slip_in_a_column_of_numbers_is_pointed_at():
    table = Table.of({"t": [*map(str, range(40)), "4O", "4O"], "y": [0, 1] * 21})
    assert Encoder.fit(table, target="y").notes == (
        "column 't' has 41 different texts: all but the 32 most frequent count as unknown; "
        "most of its texts are numbers: is '4O' a slip?",
    )


# The target


def test_regression_and_the_way_back():
    table = Table.of({"a": [1, 2, 3], "y": [10.5, 20.5, 60.5]})
    encoder = Encoder.fit(table, target="y")
    _, y = encoder.encode(table)
    assert encoder.task == "regression"
    np.testing.assert_allclose(encoder.decode(y), table["y"], rtol=1e-6)
    np.testing.assert_allclose(encoder.decode(y[:, 0]), table["y"], rtol=1e-6)
    assert encoder.decode(y).dtype == np.float64
    assert (encoder.classes, encoder.n_outputs, encoder.class_weights) == ((), 1, None)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (["dog", "cat", "dog"], ["cat", "dog"]),
        ([True, False, True], [False, True]),
        ([2, 10, 2], [2, 10]),
        ([2.0, 10.0, 2.0], [2, 10]),
        ([0.5, 2, 0.5], [0.5, 2.0]),
    ],
)
def test_classes_and_the_way_back(values, labels):
    table = Table.of({"a": [1, 2, 3], "y": values})
    encoder = Encoder.fit(table, target="y", task="classification")
    _, y = encoder.encode(table)
    assert list(encoder.classes) == labels
    assert [type(label) for label in encoder.classes] == [type(label) for label in labels]
    assert encoder.decode(y).tolist() == values
    assert encoder.decode(np.eye(2)[y]).tolist() == values


def test_balanced_weights_as_scikit_learn_has_them():
    values = ["a"] * 5 + ["b"] * 2 + ["c"]
    encoder = Encoder.fit(Table.of({"x": range(8), "y": values}), target="y", class_weight="balanced")
    expected = compute_class_weight("balanced", classes=np.array(["a", "b", "c"]), y=values)
    np.testing.assert_allclose(encoder.class_weights, expected, rtol=1e-6)
    assert encoder.class_weights.dtype == np.float32


@pytest.mark.parametrize(("weight", "expected"), [({0: 2}, [2, 1]), ({"1": 0.5}, [1, 0.5]), ({0: 3, 1: 4}, [3, 4])])
def test_weights_by_label(weight, expected):
    table = Table.of({"x": [1, 2], "y": [0, 1]})
    assert Encoder.fit(table, target="y", class_weight=weight).class_weights.tolist() == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"target": "knd"},
            "people.csv: expected a column 'knd', got 'age', 'city', 'smoker', 'kind'; did you mean 'kind'?",
        ),
        (
            {"target": "age"},
            "people.csv: column 'age': expected a target in every row, got 1 of 4 missing (first: data row 2); "
            "fill them in, or leave those rows out with table.drop_missing('age')",
        ),
        (
            {"target": "kind", "task": "regression"},
            "people.csv: column 'kind': expected numbers for a regression, got a text column (data row 1)",
        ),
        (
            {"target": "kind", "task": "guess"},
            "Encoder.fit: expected auto, classification or regression, got 'guess' (task)",
        ),
        (
            {"target": "kind", "ignore": ["agee"]},
            "people.csv: expected a column 'agee', got 'age', 'city', 'smoker', 'kind'; did you mean 'age'?",
        ),
        (
            {"target": "kind", "ignore": ["age", "city", "smoker"]},
            "people.csv: expected a column to learn from besides 'kind', got none",
        ),
        (
            {"target": "kind", "class_weight": {"cow": 2}},
            "Encoder.fit: expected weights for 'bird', 'cat', 'dog', got 'cow' (class_weight)",
        ),
        (
            {"target": "kind", "class_weight": {"cat": 0}},
            "Encoder.fit: expected positive weights, got 1.0, 0.0, 1.0 (class_weight)",
        ),
        (
            {"target": "kind", "class_weight": "even"},
            "Encoder.fit: expected 'balanced' or a weight for each label, got 'even' (class_weight)",
        ),
    ],
)
def test_what_cannot_be_fitted(settings, message):
    assert said(Encoder.fit, PEOPLE, **settings) == message


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"a": [1, 2, np.inf], "y": ["p", "q", "p"]},
            "table: column 'a': expected finite numbers, or an empty cell, got inf (data row 3)",
        ),
        (
            {"a": [1, 2, 3], "y": [0.5, -np.inf, 1]},
            "table: column 'y': expected finite numbers, or an empty cell, got -inf (data row 2)",
        ),
        (
            {"a": [1, 2], "y": ["p", "p"]},
            "table: column 'y': expected a target of two different values or more, got 'p' only",
        ),
        ({"a": [], "y": []}, "table: column 'y': expected a target of two different values or more, got none only"),
        (
            {"a": range(21), "y": [f"n{i}" for i in range(21)]},
            "table: column 'y': expected classes that repeat, got a different value in each of 21 rows; "
            "is it a name or an id?",
        ),
        (
            {"a": [1, 2], "y": [2.0**53, 2.0**60]},
            "table: column 'y': expected classes that float64 tells apart, got numbers beyond 2**53; "
            "read the column as text",
        ),
        (
            {"a": [None, None], "y": [0, 1]},
            "table: expected a column to learn from besides 'y', got column 'a' is left out: every value is missing",
        ),
    ],
)
def test_tables_that_cannot_be_fitted(columns, message):
    assert said(Encoder.fit, Table.of(columns), target="y") == message


def test_weights_of_a_regression():
    table = Table.of({"a": [1, 2, 3], "y": [0.1, 0.2, 0.3]})
    assert said(Encoder.fit, table, target="y", class_weight="balanced") == (
        "Encoder.fit: expected class weights for a classification only, got a regression (class_weight)"
    )


# Another table


def test_missing_columns_are_named_with_the_likely_one():
    encoder = Encoder.fit(PEOPLE, target="kind")
    other = Table.of({"Age": [1], "smoker": [True]}, source="new.csv")
    assert said(encoder.encode, other) == (
        "new.csv: expected the 3 feature columns fitted on, got 1 of them, without 'age', 'city'; did you mean 'Age'?"
    )
    assert said(encoder.encode, without(PEOPLE, "smoker")) == (
        "people.csv: expected the 3 feature columns fitted on, got 2 of them, without 'smoker'"
    )


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("age", [None, "old"], "a number column, as when fitted, got a text column with 'old' (data row 2)"),
        ("city", [7, 8], "a text column, as when fitted, got a number column with 7.0 (data row 1)"),
        ("smoker", [1, 0], "a boolean column, as when fitted, got a number column with 1.0 (data row 1)"),
        ("age", [1, np.inf], "finite numbers, or an empty cell, got inf (data row 2)"),
        (
            "age",
            [1, 1e300],
            "a number near those fitted on (mean 30, standard deviation 8.16497), got 1e+300 (data row 2)",
        ),
    ],
)
def test_a_column_that_changed(name, values, message):
    encoder = Encoder.fit(PEOPLE, target="kind")
    columns = {"age": [1, 2], "city": ["Rome", "Oslo"], "smoker": [True, False], name: values}
    expected = f"new.csv: column {name!r}: expected {message}"
    assert said(encoder.encode, Table.of(columns, source="new.csv")) == expected


def test_a_target_that_was_not_fitted_stops_encode_but_not_encode_features():
    encoder = Encoder.fit(PEOPLE.take([0, 1]), target="kind")
    message = "people.csv: column 'kind': expected one of 'cat', 'dog', got 'bird' (data row 4)"
    assert said(encoder.encode, PEOPLE.take([1, 3])) == message
    assert encoder.encode_features(PEOPLE.take([1, 3])).shape[0] == 2


def test_a_missing_target():
    encoder = Encoder.fit(PEOPLE, target="kind")
    columns = {"age": [1, 2], "city": ["Rome", "Oslo"], "smoker": [True, False], "kind": ["cat", None]}
    assert "got 1 of 2 missing (first: data row 2)" in said(encoder.encode, Table.of(columns))


@pytest.mark.parametrize("output", [[3], [-1], [0.5], np.zeros((2, 2)), np.zeros(()), ["cat"]])
def test_output_that_is_no_class(output):
    assert said(Encoder.fit(PEOPLE, target="kind").decode, output).startswith(
        "Encoder.decode: expected class numbers 0 to 2 of shape (n,), or scores of shape (n, 3), got shape ("
    )


def test_output_of_a_diverged_network_and_of_another_shape():
    scores = np.full((2, 3), np.nan)
    assert said(Encoder.fit(PEOPLE, target="kind").decode, scores) == (
        "Encoder.decode: expected scores, got NaN; training has diverged"
    )
    encoder = Encoder.fit(Table.of({"a": [1, 2, 3], "y": [0.1, 0.2, 0.3]}), target="y")
    expected = "Encoder.decode: expected shape (n,) or (n, 1), got (2, 3)"
    assert said(encoder.decode, np.zeros((2, 3))) == expected


def test_postal_codes_stay_text_in_a_file_where_all_look_like_numbers(tmp_path):
    (tmp_path / "train.csv").write_text("zip,y\nA1,0\n012,1\n012,1\n", encoding="utf-8")
    (tmp_path / "new.csv").write_text("zip\n012\n", encoding="utf-8")
    encoder = Encoder.fit(read_table(tmp_path / "train.csv"), target="y")
    x, _ = encoder.encode(read_table(tmp_path / "new.csv", kinds=encoder.kinds))
    assert x.tolist() == [[1, 0, 0]]


# Through JSON


ENCODERS = [
    Encoder.fit(PEOPLE, target="kind", class_weight="balanced"),
    Encoder.fit(PEOPLE, target="smoker", class_weight={True: 3}),
    Encoder.fit(Table.of({"a": [0.1, None, 1 / 3], "y": [0.1, 1e-17, 1e300]}), target="y"),
    Encoder.fit(
        Table.of({"": [1, 2, 3], "a": ["ü", "\u2028", "\"'"], "y": [0.5, 1, 0.5]}), target="y", task="classification"
    ),
]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_json_is_lossless(encoder):
    assert Encoder.from_json(json.loads(json.dumps(encoder.to_json(), allow_nan=False))) == encoder


def paths(data, path=()):
    yield path
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield from paths(value, (*path, key))


def changed(data, path, value):
    copy = json.loads(json.dumps(data))
    place = copy
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return copy


DAMAGES = [..., None, True, -1, 0, 1.5, 10**400, float("nan"), float("inf"), "", "x", [], [None], ["x", "x"], {}, [{}]]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_damaged_json_is_refused_in_words_or_still_works(encoder):
    data = encoder.to_json()
    refused = 0
    for path in list(paths(data))[1:]:
        for damage in DAMAGES:
            try:
                read = Encoder.from_json(changed(data, path, damage))
            except DataError as error:
                assert str(error).startswith("encoder")  # noqa: PT017 (either outcome is right)
                refused += 1
            else:
                assert json.dumps(read.to_json(), allow_nan=False)
    assert refused > 200


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("format",), "else", "encoder: expected adjoint-encoder as 'format', got 'else'; the description is damaged"),
        (("version",), 2, "encoder: expected version 1, got 2; it was saved by another adjoint"),
        (("features",), ..., "encoder: expected an entry 'features', got none; the description is damaged"),
        (
            ("features", 0, "scale"),
            0,
            "encoder: features[0]: expected a positive number as 'scale', got 0.0; the description is damaged",
        ),
        (
            ("features", 1, "name"),
            "age",
            "encoder: expected features of different names, got ['age', 'age', 'smoker', 'kind']; "
            "the description is damaged",
        ),
        (
            ("target", "labels"),
            ["cat", True, "dog"],
            "encoder: target: expected a list of text labels as 'labels', got ['cat', True, 'dog']; "
            "the description is damaged",
        ),
    ],
)
def test_messages_about_damaged_json(path, value, message):
    data = Encoder.fit(PEOPLE, target="kind").to_json()
    assert said(Encoder.from_json, changed(data, path, value)) == message


@pytest.mark.parametrize("data", [None, [], "text", 3])
def test_json_that_is_no_object(data):
    assert said(Encoder.from_json, data).startswith("encoder: expected an object, got ")
