"""`adjoint predict`: predictions as CSV, and every mistake in one line with nothing half-written."""

import csv
import io
import json
import os
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

from adjoint import formats, nn
from adjoint.cli import commands, model

RNG = np.random.default_rng(0)
N = 60
X = RNG.normal(size=N)
COLOUR = RNG.choice(["red", "blue"], size=N)
ROWS = {"x": X, "colour": COLOUR, "kind": np.where(X > 0, "big, or so", "small"), "price": 100 + 20 * X}
MODEL, PRICES = "kind.safetensors", "price.safetensors"


def written(name, columns):
    with open(name, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return name


def run(*arguments):
    return CliRunner().invoke(commands, [str(a) for a in arguments], prog_name="adjoint")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a table, a classifier and a regression."""
    folder = tmp_path_factory.mktemp("trained")
    data, before = str(folder / "rows.csv"), os.getcwd()
    os.chdir(folder)
    try:
        written(data, ROWS)
        for target, other, name in (("kind", "price", MODEL), ("price", "kind", PRICES)):
            result = run("train", data, "--target", target, "--ignore", other, "-o", name, "--quiet", "--lr", 0.01)
            assert result.exit_code == 0, result.output
    finally:
        os.chdir(before)
    return folder


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, trained):
    """Every test in a folder of its own, with copies."""
    monkeypatch.chdir(tmp_path)
    for file in trained.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def predicted(*arguments):
    """The table on stdout, and what is said on stderr."""
    result = run("predict", *arguments)
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.stdout))), result.stderr


def refused(*arguments):
    before = {name: os.path.getsize(name) for name in os.listdir()}
    result = run("predict", *arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert {name: os.path.getsize(name) for name in os.listdir()} == before
    return result.stderr.strip().removeprefix("adjoint predict: ")


def features(**changes):
    """The feature columns alone, some of them changed."""
    return written("new.csv", {"x": X, "colour": COLOUR} | changes)


# --- what it answers ------------------------------------------------------------------------------------------------


def test_classes_with_probabilities():
    rows, said = predicted(MODEL, features())
    assert said == ""
    assert list(rows[0]) == ["prediction", "probability_big, or so", "probability_small"]
    right = [row["prediction"] == kind for row, kind in zip(rows, ROWS["kind"], strict=True)]
    assert np.mean(right) >= 0.9
    chances = np.array([list(row.values())[1:] for row in rows], float)
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-5)
    assert [row["prediction"] for row in rows] == [("big, or so", "small")[i] for i in chances.argmax(axis=1)]


def test_without_probabilities():
    rows, _ = predicted(MODEL, features(), "--no-probabilities")
    assert list(rows[0]) == ["prediction"]


def test_numbers_in_their_unit():
    rows, _ = predicted(PRICES, features())
    assert list(rows[0]) == ["prediction"]
    answers = np.array([float(row["prediction"]) for row in rows])
    assert np.sqrt(np.mean((answers - ROWS["price"]) ** 2)) < 5


def test_other_columns_and_another_order():
    written("turned.csv", {"colour": COLOUR, "more": RNG.normal(size=N), "x": X})
    assert predicted(MODEL, "turned.csv") == predicted(MODEL, features())


def test_the_score_where_the_answers_are_known():
    rows, said = predicted(MODEL, "rows.csv")
    assert len(rows) == N
    assert said.startswith("on the 60 rows with a value of 'kind': accuracy ")
    _, said = predicted(PRICES, "rows.csv")
    assert said.startswith("on the 60 rows with a value of 'price': RMSE ")


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ([""] * N, "column 'kind' is empty: no score"),
        (["small", *[""] * (N - 1)], "on the 1 rows with a value of 'kind': accuracy"),
        (
            ["what"] * N,
            "column 'kind' cannot be compared with the predictions: new.csv: column 'kind': expected one of",
        ),
        (range(N), "column 'kind' cannot be compared with the predictions: "),
    ],
)
def test_a_target_column_of_whatever_kind_is_no_hindrance(kinds, said):
    rows, heard = predicted(MODEL, features(kind=kinds))
    assert len(rows) == N
    assert heard.startswith(said)


def test_missing_and_unknown_values():
    rows, _ = predicted(MODEL, features(x=["", *X[1:]], colour=["violet", "", *COLOUR[2:]]))
    assert len(rows) == N


def test_labels_as_the_table_writes_them():
    written("b.csv", {"x": X, "y": np.where(X > 0, "True", "False")})
    written("n.csv", {"x": X, "y": (X > 0).astype(int)})
    written("z.csv", {"x": X, "y": np.where(X > 0, "1e1x", "007")})
    for name, labels in (("b", {"true", "false"}), ("n", {"0", "1"}), ("z", {"1e1x", "007"})):
        assert run("train", f"{name}.csv", "--target", "y", "-q").exit_code == 0
        rows, said = predicted(f"{name}.adjoint.safetensors", f"{name}.csv")
        assert {row["prediction"] for row in rows} == labels
        assert "accuracy" in said


def test_digits():
    assert run("train", "digits", "--epochs", 8, "-q").exit_code == 0
    rows, said = predicted("digits.adjoint.safetensors", "digits")
    assert len(rows) == 359
    assert "accuracy 9" in said
    assert refused(MODEL, "digits") == "digits: expected a model trained on the digits, got another; name a file"


def test_a_table_of_pixels():
    from adjoint.data import digits

    data = digits()
    assert run("train", "digits", "--epochs", 8, "-q").exit_code == 0
    written("pixels.csv", dict(zip(data.feature_names, data.x_test.T.tolist(), strict=True)))
    rows, _ = predicted("digits.adjoint.safetensors", "pixels.csv", "--no-probabilities")
    assert np.mean([int(row["prediction"]) == digit for row, digit in zip(rows, data.y_test, strict=True)]) > 0.9


# --- files ----------------------------------------------------------------------------------------------------------


def test_to_a_file():
    expected = run("predict", MODEL, features()).stdout
    result = run("predict", MODEL, "new.csv", "--output", "out.csv")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "60 predictions written to out.csv\n"
    with open("out.csv", newline="") as file:
        assert file.read() == expected
    assert run("predict", MODEL, "new.csv", "-o", "out.csv").exit_code == 0


def test_a_failure_leaves_the_old_file(monkeypatch):
    with open("out.csv", "w") as file:
        file.write("old")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert refused(MODEL, features(), "-o", "out.csv") == "--output: out.csv cannot be written: No space left on device"


def test_outputs_that_cannot_be():
    data = features()
    assert refused(MODEL, data, "-o", data) == "--output: new.csv is read from; choose another name"
    assert refused(MODEL, data, "-o", MODEL) == f"--output: {MODEL} is read from; choose another name"
    assert "expected a name ending in .csv" in refused(MODEL, data, "-o", "out.parquet")
    assert "expected a file in a folder that exists" in refused(MODEL, data, "-o", "no/out.csv")


@pytest.mark.skipif(os.name != "posix", reason="devices of POSIX")
def test_a_pipe_as_output():
    program = [sys.executable, "-m", "adjoint", "predict", MODEL, features(), "-o", "/dev/stdout"]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("prediction,")


# --- mistakes -------------------------------------------------------------------------------------------------------


def test_tables_that_do_not_fit():
    assert refused(MODEL, "no.csv") == "no.csv: expected a file, got no such file"
    assert refused(MODEL, written("f.csv", {"x": X})) == (
        "f.csv: expected the 2 feature columns fitted on, got 1 of them, without 'colour'"
    )
    assert "did you mean 'color'?" in refused(MODEL, written("c.csv", {"x": X, "color": COLOUR}))
    assert refused(MODEL, features(x=[1.5, "many", *X[2:]])) == (
        "new.csv: column 'x': expected a number, got 'many' (data row 2)"
    )
    assert "expected finite" in refused(MODEL, features(x=["inf", *X[1:]]))
    for content in ("", "x,colour\n"):
        with open("e.csv", "w") as file:
            file.write(content)
        assert refused(MODEL, "e.csv").startswith("e.csv: expected ")


def test_a_column_that_changed_its_kind_in_parquet():
    import polars

    polars.DataFrame({"x": X.astype(str), "colour": COLOUR}).write_parquet("p.parquet")
    assert "column 'x': expected a number column, as when fitted, got a text column" in refused(MODEL, "p.parquet")


def test_probabilities_that_are_not_there():
    assert refused(PRICES, features(), "--probabilities") == "--probabilities: a regression has none"
    assert (
        run("train", "rows.csv", "--target", "kind", "--loss", "hinge", "-q", "-o", "h", "--epochs", 2).exit_code == 0
    )
    assert "the loss hinge gives scores that are no probabilities" in refused("h", "rows.csv", "--probabilities")
    assert list(predicted("h", "rows.csv")[0][0]) == ["prediction"]


def test_files_that_are_no_models():
    data = features()
    with open("p.pkl", "wb") as file:
        pickle.dump({"weights": [1, 2]}, file)
    with open("cut", "wb") as file, open(MODEL, "rb") as whole:
        file.write(whole.read()[:900])
    save_file({"w": np.ones(2)}, "other.safetensors")
    formats.save_model("mine.safetensors", nn.Linear(2, 2), {"made by": "a program"})
    for name in ("p.pkl", "cut", data):
        assert refused(name, data).startswith(f"{name}: expected a model file (safetensors), got one that is none")
    assert refused("no", data) == "no: expected a model file, got no such file"
    assert refused(".", data) == ".: expected a model file, got a folder"
    assert "of another program" in refused("other.safetensors", data)
    assert "expected a model that adjoint train wrote" in refused("mine.safetensors", data)


def damaged(change):
    """The model with its description edited."""
    with open(MODEL, "rb") as file:
        content = file.read()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    description = json.loads(header["__metadata__"]["description"])
    change(description)
    header["__metadata__"]["description"] = json.dumps(description)
    text = json.dumps(header).encode()
    with open("damaged", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + content[8 + size :])
    return "damaged"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(version=2), "expected version 1, got 2"),
        (lambda d: d.update(format=None), "expected a model that adjoint train wrote"),
        (lambda d: d.pop("encoder"), "encoder: expected an entry 'format'"),
        (lambda d: d.update(encoder=[1]), "encoder: expected an object"),
        (lambda d: d["encoder"].update(features=[]), "encoder: "),
        (
            lambda d: d["encoder"]["features"].pop(),
            "expected a network of 1 inputs and 2 outputs, as the encoder has, got",
        ),
        (lambda d: d.pop("network"), "expected a description of a feed-forward network"),
        (lambda d: d["network"].update(sizes=[4, 10**6, 2]), "the file is damaged"),
        (lambda d: d.update(loss="huber"), "expected a loss for a classification, got 'huber'"),
    ],
)
def test_damaged_descriptions(change, said):
    message = refused(damaged(change), features())
    assert message.startswith("damaged: ")
    assert said in message


def test_weights_that_are_not_finite():
    loaded, description = model.load(MODEL)
    bad = {path: np.full(array.shape, np.nan, array.dtype) for path, array in loaded.net.arrays().items()}
    loaded.net.load_arrays(bad)
    formats.save_model("nan", loaded.net, description)
    assert refused("nan", features()).startswith("new.csv: the network's answer is not finite")
