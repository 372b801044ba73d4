"""`adjoint train`: what it learns, what it writes, and what it refuses, in one line and with nothing half-written."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file
from sklearn import datasets
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import adjoint
from adjoint import formats
from adjoint.cli import commands, model
from adjoint.cli.settings import Settings
from adjoint.cli.sources import training_rows
from adjoint.train.step import CompiledSteps


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every test runs in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(commands, [str(a) for a in arguments], prog_name="adjoint")


def train(*arguments):
    """stdout of a training that works."""
    result = run("train", *arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


def refused(*arguments):
    """The one line of a mistake; no file but those that were there."""
    before = sorted(os.listdir())
    result = run("train", *arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert sorted(os.listdir()) == before
    return result.stderr.strip().removeprefix("adjoint train: ")


def written(name, columns):
    """A CSV file of columns."""
    with open(name, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return name


def bundled(name):
    """A data set of scikit-learn as a CSV file."""
    data = getattr(datasets, f"load_{name}")()
    columns = dict(zip(map(str, data.feature_names), data.data.T.tolist(), strict=True))
    answers = data.target_names[data.target] if name != "diabetes" else data.target
    return written(f"{name}.csv", {**columns, "answer": answers.tolist()})


def small(n=40):
    """Two features, two classes that are easy to tell."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=n)
    return written("small.csv", {"x": x, "y": rng.normal(size=n), "answer": np.where(x > 0, "high", "low")})


def figure(text, name):
    """The network's figure of a name in a report."""
    line = re.search(rf"^{re.escape(name)} +([-\d.]+)", text, re.M)
    assert line is not None
    return float(line[1])


def held_out(name):
    """The rows that training learns from and those it holds out, as scikit-learn takes them."""
    parts = training_rows(name, "answer", Settings())
    columns = [column for column in parts.train.names if column != "answer"]

    def arrays(table):
        return np.stack([table[column] for column in columns], axis=1), np.array(table["answer"].tolist())

    return *arrays(parts.train), *arrays(parts.held)


# --- what it learns -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_as_good_as_logistic_regression_on_the_same_rows(name):
    text = train(bundled(name), "--target", "answer")
    x, y, x_held, y_held = held_out(f"{name}.csv")
    peer = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x, y)
    assert figure(text, "accuracy") / 100 >= peer.score(x_held, y_held) - 0.07
    assert figure(text, "log loss") <= log_loss(y_held, peer.predict_proba(x_held)) + 0.15
    assert figure(text, "accuracy") > 30 + float(re.search(r"^accuracy.* ([\d.]+) %$", text, re.M)[1])


def test_as_good_as_linear_regression_on_the_same_rows():
    text = train(bundled("diabetes"), "--target", "answer")
    x, y, x_held, y_held = held_out("diabetes.csv")
    peer = LinearRegression().fit(x, y)
    assert figure(text, "R²") >= peer.score(x_held, y_held) - 0.08
    error = float(np.sqrt(np.mean((peer.predict(x_held) - y_held) ** 2)))
    assert figure(text, "RMSE") <= 1.08 * error, "in the unit of the target"


def test_digits():
    text = train("digits")
    assert "digits: classification of 'digit' (10 classes) from 64 columns (64 inputs); 1,438 rows to train on" in text
    assert figure(text, "accuracy") >= 96
    assert figure(text, "AUC") >= 0.99
    assert os.listdir() == ["digits.adjoint.safetensors"]
    assert text.endswith("next:  adjoint predict digits.adjoint.safetensors digits\n")


@pytest.mark.parametrize("activation", formats.ACTIVATIONS)
def test_activations(activation):
    assert figure(train(small(), "--target", "answer", "--activation", activation, "--epochs", 60), "accuracy") >= 80


@pytest.mark.parametrize("loss", ["hinge", "squared"])
def test_losses_without_probabilities(loss):
    text = train(small(), "--target", "answer", "--loss", loss, "--class-weight", "high=2", "--epochs", 60)
    assert figure(text, "accuracy") >= 80
    assert figure(text, "AUC") >= 0.8
    assert "log loss" not in text


@pytest.mark.parametrize(
    "options",
    [
        ("--optimizer", "sgd", "--lr", 0.05, "--momentum", 0.5),
        ("--optimizer", "rmsprop"),
        ("--hidden", "20,10", "--dropout", 0.1),
        ("--hidden", "none", "--lr", 0.05),
        ("--l1", 1e-3, "--l2", 1e-3, "--batch-size", 8),
        ("--early-stopping", 0, "--validation", 0.4),
    ],
)
def test_settings(options):
    assert figure(train(small(), "--target", "answer", "--epochs", 60, *options), "accuracy") >= 80


def test_penalties_shrink_the_weights():
    def size(strength):
        train(small(), "--target", "answer", "--lr", 0.02, "--l2", strength, "--early-stopping", 0)
        arrays, _ = formats.load_model("small.adjoint.safetensors")
        return float(np.sum(arrays["layers.0.weight"] ** 2))

    assert size(0.05) < 0.5 * size(0)


def test_class_weights_turn_the_balance():
    rng = np.random.default_rng(2)
    x = rng.normal(size=200)
    rare = np.where(x + rng.normal(size=200) > 1.8, "yes", "no")
    written("rare.csv", {"x": x, "answer": rare})

    def found(*options):
        train("rare.csv", "--target", "answer", "--hidden", "none", "--lr", 0.05, *options)
        answers = run("predict", "rare.adjoint.safetensors", "rare.csv").stdout.split("\n")
        return sum(line.startswith("yes") for line in answers)

    assert found("--class-weight", "balanced") > 2 * found()
    assert found("--class-weight", "yes=20") > 2 * found()


def test_early_stopping_is_told():
    text = train(bundled("breast_cancer"), "--target", "answer", "--early-stopping", 3)
    assert re.search(
        r"ended after epoch \d+ \(no lower validation loss for 3 epochs\); the network is that of epoch", text
    )


def test_text_missing_values_and_notes():
    n = 60
    colour = np.random.default_rng(3).choice(["red", "blue", ""], size=n)
    answers = [*np.where(colour == "red", "a", "b")[:-2], "", ""]
    columns = {"": range(n), "colour": colour, "size": ["", *range(n - 1)], "nothing": [""] * n, "answer": answers}
    text = train(written("t.csv", columns), "--target", "answer", "--ignore", "size", "--epochs", 80)
    assert "note: 2 of 60 rows without a value of 'answer' are left out" in text
    assert "note: column 'nothing' is left out: every value is missing" in text
    assert "from 1 columns (4 inputs)" in text
    assert figure(text, "accuracy") == 100


def test_the_task_can_be_overridden():
    written("n.csv", {"x": np.arange(40), "answer": np.arange(40) % 2})
    assert "classification of 'answer' (2 classes)" in train("n.csv", "--target", "answer", "--epochs", 2)
    assert "regression of 'answer'" in train("n.csv", "--target", "answer", "--epochs", 2, "--task", "regression")


def test_nothing_held_out():
    text = train(small(), "--target", "answer", "--validation", 0, "--epochs", 3)
    assert "no rows are held out: these figures are of the rows learnt from, and too good" in text
    assert "to validate" not in text


def test_many_classes():
    n = 25 * 6
    names = [f"class {i % 25} with a long name" for i in range(n)]
    text = train(written("m.csv", {"x": np.arange(n), "answer": names}), "--target", "answer", "--epochs", 1)
    assert "most frequent confusions (true, predicted, rows)" in text
    assert "with a long name → class" in text


def test_parquet():
    import polars

    polars.read_csv(small()).write_parquet("small.parquet")
    assert figure(train("small.parquet", "--target", "answer"), "accuracy") >= 80


# --- what it writes -------------------------------------------------------------------------------------------------


def test_the_model_file_says_everything():
    train(small(), "--target", "answer", "--epochs", 5, "--hidden", "7", "--seed", 3)
    arrays, about = formats.load_model("small.adjoint.safetensors")
    assert {name: array.shape for name, array in arrays.items()} == {
        **{"layers.0.weight": (2, 7), "layers.0.bias": (7,)},
        **{"layers.2.weight": (7, 2), "layers.2.bias": (2,)},
    }
    assert (about["format"], about["version"], about["adjoint"]) == ("adjoint-train", 1, adjoint.__version__)
    assert about["encoder"]["target"]["labels"] == ["high", "low"]
    assert about["network"]["sizes"] == [2, 7, 2]
    assert about["training"]["seed"] == 3
    assert len(about["history"]["val_loss"]) == 5
    assert set(about["metrics"]) == {"accuracy", "log loss", "AUC"}
    json.dumps(about, allow_nan=False)


def test_the_same_seed_gives_the_same_file_but_for_times():
    def made(seed):
        train(small_file, "--target", "answer", "--epochs", 3, "--dropout", 0.2, "--seed", seed)
        arrays, about = formats.load_model("small.adjoint.safetensors")
        del about["history"]["seconds"]
        return json.dumps([{name: array.tolist() for name, array in arrays.items()}, about])

    small_file = small()
    assert made(1) == made(1) != made(2)


def test_quiet():
    assert train(small(), "--target", "answer", "--epochs", 2, "--quiet") == ""
    assert os.path.exists("small.adjoint.safetensors")


def test_output_and_what_is_overwritten():
    data, short = small(), ("--target", "answer", "--epochs", 1)
    train(data, *short, "-o", "m.safetensors")
    train(data, *short, "--output", "m.safetensors", "--seed", 2)  # a model of ours is replaced, as one expects
    Path("notes.txt").touch()
    assert "notes.txt is there and no model of adjoint" in refused(data, *short, "-o", "notes.txt")
    assert os.path.getsize("notes.txt") == 0
    train(data, *short, "-o", "notes.txt", "--force")
    assert formats.is_model_file("notes.txt")
    assert refused(data, *short, "-o", data).startswith("--output: small.csv is the table to learn from")
    assert refused(data, *short, "-o", data, "--force").startswith("--output: small.csv is the table to learn from")
    assert refused(data, *short, "-o", "no/m").startswith("--output: expected a folder that exists, got 'no'")
    assert refused(data, *short, "-o", ".") == "--output: expected a file, got the folder '.'"


def test_a_disk_that_is_full(monkeypatch):
    data = small()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = run("train", data, "--target", "answer", "--epochs", 1)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.strip().endswith("the model cannot be written: No space left on device")
    assert os.listdir() == [data]


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_writes_nothing():
    data = small(2000)
    program = [sys.executable, "-m", "adjoint", "train", data, "--target", "answer", "--epochs", "100000"]
    with subprocess.Popen(
        [*program, "--early-stopping", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        for line in process.stdout:
            if line.startswith("epoch 1/"):
                break
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=20)
    assert process.returncode == 130
    assert complaint.split() == ["adjoint:", "interrupted"]
    assert os.listdir() == [data]


# --- what it refuses ------------------------------------------------------------------------------------------------


def test_no_file_no_target():
    assert refused("no.csv", "--target", "a") == "no.csv: expected a file, got no such file"
    assert refused("digit").endswith("expected a file or the word digits, got no such file; did you mean 'digits'?")
    data = small()
    assert refused(data) == "small.csv: expected the column to predict, --target COLUMN, one of 'x', 'y', 'answer'"
    assert refused(data, "--target", "anwser").endswith("got 'x', 'y', 'answer'; did you mean 'answer'?")
    assert "expected a column 'z'" in refused(data, "--target", "answer", "--ignore", "z")
    assert "no --target" in refused("digits", "--target", "x")
    assert "--task regression" in refused("digits", "--task", "regression")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "t.csv: expected a table, got an empty file"),
        ("a,b\n", "t.csv: expected at least one row of data, got column names only ('a', 'b')"),
        ("a,b\n1,2\n3,4,5\n", "t.csv: expected 2 values in every row"),
        ("a,b\n1,2\n3,2\n", "t.csv: column 'b': expected a target of two different values or more, got 2.0 only"),
        ("a,b\n1,2\n3,4\n", "t.csv: expected enough rows to hold out a share of 0.2, got 2 rows of 2 classes"),
        ("a,b\n1,2\n", "t.csv: column 'b': expected a target of two different values or more"),
        ("a,b\n1,\n2,\n", "t.csv: column 'b': expected values to learn from, got none"),
        ("b\n1\n2\n1\n2\n1\n2\n1\n2\n1\n2\n", "t.csv: expected a column to learn from besides 'b'"),
        ("a,a\n1,2\n", "t.csv: "),
        ("a,b\ninf,1\n2,0\n3,1\n4,0\n5,1\n6,0\n", "t.csv: column 'a': expected finite"),
    ],
)
def test_tables_that_cannot_be_learnt_from(content, said):
    with open("t.csv", "w") as file:
        file.write(content)
    assert refused("t.csv", "--target", "b").startswith(said)


def test_files_of_other_kinds(tmp_path):
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    (tmp_path / "t.csv").write_bytes(b"a,b\n\xff\xfe,1\n")
    assert "expected a file ending in .csv, .parquet or .pq" in refused("t.xlsx", "--target", "b")
    assert "UTF-8" in refused("t.csv", "--target", "b")
    assert "expected" in refused(".", "--target", "b")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--hidden", "10,x"), "--hidden': expected layer sizes such as 100 or 100,50, or none, got '10,x'"),
        (("--hidden", "0"), "--hidden': expected sizes from 1 to 100,000, got '0'"),
        (("--hidden", "9999999999"), "expected sizes from 1 to 100,000"),
        (("--activation", "rleu"), "'rleu' is not one of 'relu'"),
        (("--optimizer", "adagrad"), "'adagrad' is not one of 'adam', 'sgd', 'rmsprop'"),
        (("--optimzer", "adam"), "id you mean"),
        (("--lr", "0"), "'--lr'"),
        (("--lr", "nan"), "expected a positive lr, got nan"),
        (("--momentum", "0.5"), "--momentum: belongs to the optimiser sgd, got adam; leave it out"),
        (("--dropout", "1"), "'--dropout'"),
        (("--validation", "1"), "'--validation'"),
        (("--epochs", "0"), "'--epochs'"),
        (("--seed", "-1"), "'--seed'"),
        (("--task", "regression"), "expected numbers for a regression, got a text column"),
        (("--class-weight", "high"), "expected balanced or label=weight, as in a=2,b=1, got 'high'"),
        (("--class-weight", "hi=2"), "expected weights for 'high', 'low', got 'hi'"),
        (("--class-weight", "high=-1"), "expected positive weights"),
    ],
)
def test_settings_that_cannot_be(options, said):
    assert said in refused(small(), "--target", "answer", *options)


def test_settings_of_the_other_task():
    written("r.csv", {"x": np.arange(30), "y": np.sqrt(np.arange(30))})
    assert (
        refused("r.csv", "--target", "y", "--loss", "hinge") == "--loss: expected squared for a regression, got 'hinge'"
    )
    assert "class weights for a classification only" in refused("r.csv", "--target", "y", "--class-weight", "balanced")


def test_a_training_that_diverges_is_told_of_in_words():
    data = small(200)
    result = run("train", data, "--target", "answer", "--optimizer", "sgd", "--lr", "1e30")
    assert result.exit_code == 2
    assert re.match(
        r"adjoint train: the loss became (nan|inf) in epoch 1, step [23], with learning rate 1e\+30; ", result.stderr
    )
    assert result.stderr.count("\n") == 1
    assert os.listdir() == [data]


def test_a_model_is_read_back_as_it_was():
    train(small(), "--target", "answer", "--epochs", 3)
    loaded, _ = model.load("small.adjoint.safetensors")
    parts = training_rows("small.csv", "answer", Settings())
    probabilities = loaded.probabilities(loaded.scores(parts.held))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    expected = roc_auc_score(parts.held["answer"].tolist() == np.array(["low"]), probabilities[:, 1])
    assert adjoint.train.auc(probabilities, loaded.encoder.encode_target(parts.held)) == pytest.approx(expected)


def test_steps_in_native_code_and_without_give_one_network(monkeypatch):
    """--no-compile runs no native step; the networks are the same to rounding."""
    small_file, made = small(), []
    monkeypatch.setattr(sys.modules["adjoint.train.fit"], "FEWEST_STEPS", 1)
    original = CompiledSteps.__init__
    monkeypatch.setattr(CompiledSteps, "__init__", lambda self, step: (original(self, step), made.append(self))[0])
    train(small_file, "--target", "answer", "--epochs", 4, "--batch-size", 4, "--output", "native.adjoint.safetensors")
    assert len(made) == 1
    train(
        small_file,
        "--target",
        "answer",
        "--epochs",
        4,
        "--batch-size",
        4,
        "--no-compile",
        "--output",
        "plain.safetensors",
    )
    assert len(made) == 1
    native, plain = (load_file(name) for name in ("native.adjoint.safetensors", "plain.safetensors"))
    assert native.keys() == plain.keys()
    for name, array in native.items():
        np.testing.assert_allclose(array, plain[name], rtol=1e-4, atol=1e-6)


def test_a_watched_training_hands_its_callbacks_over(monkeypatch):
    """--watch opens the studio around the training; what it gives hears of every epoch, and the model is written."""
    heard, asked = [], []

    class Watcher:
        def on_epoch_end(self, history, net):
            heard.append(history.epochs)

    @contextmanager
    def watched(plan, path):
        asked.append(path)
        yield [Watcher()]
        assert os.path.exists(path)

    monkeypatch.setattr("adjoint.cli.studio.watched", watched)
    train(small(), "--target", "answer", "--epochs", 3, "--watch", "--output", "seen.adjoint.safetensors")
    assert asked == ["seen.adjoint.safetensors"]
    assert heard == [1, 2, 3]


def test_watching_without_the_extra_says_what_to_install(monkeypatch):
    monkeypatch.setattr("adjoint.cli.studio.find_spec", lambda package: None)
    monkeypatch.setitem(sys.modules, "adjoint.view.server.serving", None)
    result = run("train", small(), "--target", "answer", "--watch")
    assert result.exit_code == 2
    assert "expected the extra studio; pip install 'adjoint[studio]'" in result.stderr
