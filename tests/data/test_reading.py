"""Files: real ones, good and bad, each bad one with its line."""

import builtins
import datetime
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adjoint.data import read_table
from adjoint.data.csv_text import CsvText
from adjoint.errors import DataError


@pytest.fixture
def csv(tmp_path):
    def write(content, name="people.csv"):
        file = tmp_path / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    return write


def test_kinds_and_missing_values(csv):
    table = read_table(csv('age,city,smoker,id\n31,Oslo,true,007\n,,False,008\n 2e1 ,"New, York",,9\n'))
    assert dict(table.kinds) == {"age": "number", "city": "text", "smoker": "boolean", "id": "number"}
    np.testing.assert_array_equal(table["age"], [31, np.nan, 20])
    assert table["city"].tolist() == ["Oslo", None, "New, York"]
    np.testing.assert_array_equal(table["smoker"], [1, 0, np.nan])


def test_words_for_a_missing_value_count_among_numbers_only(csv):
    table = read_table(csv("a,b,c\n1,NA,true\nNA,x,?\n?,null,N/A\nNaN,y,false\n-inf,z,\n"))
    np.testing.assert_array_equal(table["a"], [1, np.nan, np.nan, np.nan, -np.inf])
    assert table["b"].tolist() == ["NA", "x", "null", "y", "z"]
    np.testing.assert_array_equal(table["c"], [1, np.nan, np.nan, 0, np.nan])


def test_one_odd_cell_after_a_thousand_numbers_makes_a_text(csv):
    table = read_table(csv("a\n" + "1\n" * 1000 + "x\n"))
    assert table.kinds["a"] == "text"
    assert table["a"].tolist()[-2:] == ["1", "x"]


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("a;b\n1;2\n", ("a", "b")),
        ("a\tb\n1\t2\n", ("a", "b")),
        ("a|b\n1|2\n", ("a", "b")),
        (" a , b \r\n1,2\r\n", ("a", "b")),
        ("a,b\r1,2\r", ("a", "b")),
        ("\ufeffa,b\n1,2\n", ("a", "b")),
        ("\n\na,b\n1,2", ("a", "b")),
        ('"a, or so",b\n1,2', ("a, or so", "b")),
        (",b\n1,2\n", ("", "b")),
    ],
)
def test_separators_line_ends_and_names(csv, content, names):
    table = read_table(csv(content))
    assert table.names == names
    assert [table[name].tolist() for name in names] == [[1], [2]]


def test_blank_lines_are_skipped_and_lines_of_empty_cells_are_not(csv):
    table = read_table(csv("a,b\n1,2\n\n,\n3,4\n\n\n"))
    np.testing.assert_array_equal(table["b"], [2, np.nan, 4])


def test_known_kinds(csv):
    file = csv("zip,n,flag,all\n012,1,,\n34,,TRUE,\n")
    kinds = {"zip": "text", "n": "number", "flag": "boolean", "all": "text"}
    table = read_table(file, kinds={**kinds, "other": "text"})
    assert table["zip"].tolist() == ["012", "34"]
    assert dict(table.kinds) == kinds
    assert table["all"].tolist() == [None, None]


def test_what_polars_would_take_for_a_pattern_is_a_name(csv):
    assert read_table(csv("a\n1\n", name="x[12]*.csv"))["a"].tolist() == [1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected a table, got an empty file"),
        (" \n\n", "expected a table, got an empty file"),
        ("a,b\n", "expected at least one row of data, got column names only ('a', 'b')"),
        ("a,b\n\n\n", "expected at least one row of data, got column names only ('a', 'b')"),
        (
            "a,b\n1,2\n3\n",
            "expected 2 values in every row, as in the header, got 1 in line 3; "
            "a value that holds ',' needs quotes around it",
        ),
        (
            "a,b\n\n1,2\n3,4,5\n",
            "expected 2 values in every row, as in the header, got 3 in line 4; "
            "a value that holds ',' needs quotes around it",
        ),
        ("a,b,a\n1,2,3\n", "expected a name for each column in the first line, each once, got 'a' more than once"),
        ('a,b\n1,"2\n3,4\n', "expected a CSV file, got unexpected end of data in line 3"),
        ('"a\n1\n', "expected a CSV file, got unexpected end of data in line 2"),
        ('a\na"\n', "expected a CSV file, got one that cannot be read (a quote stands where none may be)"),
        (b"\x00;\n\r\r", "expected lines that end in a line feed, got carriage returns alone; save it as CSV anew"),
        (b"a,b\n1,caf\xe9\n", "expected text in UTF-8, got byte 0xe9 in line 2; save it as CSV in UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "expected text in UTF-8, got byte 0xff in line 1; save it as CSV in UTF-8"),
    ],
)
def test_bad_csv_files(csv, content, message):
    file = csv(content)
    with pytest.raises(DataError) as caught:
        read_table(file)
    assert str(caught.value) == f"{file}: {message}"


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("number", "a\n1\nNA\nx\n", "column 'a': expected a number, got 'x' (data row 3)"),
        ("boolean", "a\ntrue\n1\n", "column 'a': expected true or false, got '1' (data row 2)"),
    ],
)
def test_a_cell_that_is_not_of_the_known_kind(csv, kind, content, message):
    file = csv(content)
    with pytest.raises(DataError) as caught:
        read_table(file, kinds={"a": kind})
    assert str(caught.value) == f"{file}: {message}"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.csv", "expected a file, got no such file"),
        ("folder.csv", "expected a readable file, got Is a directory"),
        ("data.xlsx", "expected a file ending in .csv, .parquet or .pq, got '.xlsx'"),
        ("data", "expected a file ending in .csv, .parquet or .pq, got ''"),
    ],
)
def test_no_such_file_and_other_files(tmp_path, name, message):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError) as caught:
        read_table(tmp_path / name)
    assert str(caught.value) == f"{tmp_path / name}: {message}"


def test_parquet_agrees_with_csv(tmp_path):
    frame = pl.DataFrame(
        {
            "n": [1, None, 3],
            "x": [0.5, float("nan"), None],
            "t": [" a ", "", None],
            "f": [True, None, False],
            "day": [datetime.date(2024, 2, 29), None, datetime.date(2025, 1, 1)],
            "void": [None, None, None],
            "c": pl.Series(["p", "q", "p"], dtype=pl.Categorical),
        }
    )
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_csv(tmp_path / "t.csv")
    parquet, text = read_table(tmp_path / "t.parquet"), read_table(tmp_path / "t.csv")
    assert (
        dict(parquet.kinds)
        == dict(text.kinds)
        == {"n": "number", "x": "number", "t": "text", "f": "boolean", "day": "text", "void": "number", "c": "text"}
    )
    for name in parquet.names:
        np.testing.assert_array_equal(parquet[name], text[name])
    assert parquet["day"].tolist() == ["2024-02-29", None, "2025-01-01"]


def test_decimals_and_small_integers(tmp_path):
    decimals = pl.Series(["1.25", None]).cast(pl.Decimal(10, 2))
    small = pl.Series([200, 1], dtype=pl.UInt8)
    pl.DataFrame({"d": decimals, "u": small}).write_parquet(tmp_path / "t.pq")
    table = read_table(tmp_path / "t.pq")
    np.testing.assert_array_equal(table["d"], [1.25, np.nan])
    np.testing.assert_array_equal(table["u"], [200, 1])


@pytest.mark.parametrize("values", [[[1, 2]], [datetime.timedelta(1)], [b"x"], [{"a": 1}]])
def test_a_type_that_is_no_column_of_ours(tmp_path, values):
    pl.DataFrame({"odd": values}).write_parquet(tmp_path / "t.parquet")
    message = r"t.parquet: column 'odd': expected numbers, booleans, texts or dates, got "
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "t.parquet")


def test_bad_parquet_files(tmp_path):
    file = tmp_path / "t.parquet"
    pl.DataFrame({"a": [1, 2, 3]}).write_parquet(file)
    whole = file.read_bytes()
    for damaged in (b"hello", whole[:-20], whole[: len(whole) // 2], whole[:4] + bytes(60) + whole[64:]):
        file.write_bytes(damaged)
        message = r"t.parquet: expected a Parquet file, got one that cannot be read \("
        with pytest.raises(DataError, match=message) as caught:
            read_table(file)
        assert "\n" not in str(caught.value)
    pl.DataFrame({"a": pl.Series([], dtype=pl.Int64)}).write_parquet(file)
    with pytest.raises(DataError, match=r"expected at least one row of data, got column names only \('a'\)"):
        read_table(file)


@given(st.binary(max_size=60) | st.text(alphabet='ab1,;"\n\r \t', max_size=60).map(str.encode))
def test_any_bytes_give_a_table_or_a_line(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "any.csv"
    file.write_bytes(content)
    try:
        said = f"{file}: expected {read_table(file).rows:d} rows"
    except DataError as error:
        said = str(error)
    assert said.startswith(f"{file}: expected ")
    assert "expected 0 rows" not in said
    assert "\n" not in said


def test_without_polars_the_remedy_is_named(csv, monkeypatch):
    def no_polars(name, *rest):
        if name == "polars":
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    real = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", no_polars)
    with pytest.raises(DataError, match=r'pip install "adjoint\[tables\]"'):
        read_table(csv("a\n1\n"))


def test_importing_data_loads_no_polars():
    code = "import sys, adjoint.data; print('polars' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_rows_are_counted_as_csv_quotes_them():
    structure = CsvText.of("x.csv", b'a,b\n"1\n\n2",3\n\n4,5\n')
    assert structure.blank_rows() == [1]
