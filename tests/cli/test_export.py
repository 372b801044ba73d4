"""`adjoint export`: a model as machine code, whose answers in C are those of `adjoint predict`."""

import csv
import ctypes
import io
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from adjoint import formats, nn
from adjoint.cli import commands, model
from adjoint.compiler.export import LIBRARY_SUFFIX
from adjoint.data import read_table

CC = shutil.which("cc")
needs_cc = pytest.mark.skipif(CC is None, reason="there is no C compiler (cc)")
RNG = np.random.default_rng(0)
N = 60
X = RNG.normal(3, 2, size=N).round(3)
COLOUR = RNG.choice(["red", "blue", "", "green"], size=N, p=[0.4, 0.3, 0.2, 0.1])
SIZE = RNG.choice(["L", "S"], size=N)
KIND = np.where(X > 3, "big, or so", "small")
PRICE = (100 + 20 * X).round(2)
ROWS = {
    "x": [*map(str, X[:-3]), "", "", ""],
    "colour": COLOUR,
    "size": SIZE,
    "new": RNG.choice(["true", "false"], size=N),
    "kind": KIND,
    "price": PRICE,
}
TRAINED = {
    "kind.safetensors": ("kind", "price", ()),
    "price.safetensors": ("price", "kind", ()),
    "hinge.safetensors": ("kind", "price", ("--loss", "hinge")),
}
FEATURES = ("x", "colour", "size", "new")


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
    """A folder with a table and models."""
    folder = tmp_path_factory.mktemp("trained")
    data, before = str(folder / "rows.csv"), os.getcwd()
    os.chdir(folder)
    try:
        written(data, ROWS)
        for name, (target, other, more) in TRAINED.items():
            settings = ("--hidden", 20, "--epochs", 20, "--lr", 0.01, "--quiet", *more)
            result = run("train", data, "--target", target, "--ignore", other, "-o", name, *settings)
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


def exported(*arguments):
    result = run("export", "--native", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments):
    before = {name: os.stat(name).st_mtime_ns for name in os.listdir()}
    result = run("export", *arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert {name: os.stat(name).st_mtime_ns for name in os.listdir()} == before
    return result.stderr.strip().removeprefix("adjoint export: ")


def for_c(columns, header="predict.h"):
    """Rows as the header says: numbers as they are, NaN where one is missing, texts by their place in its lists."""
    lists = re.findall(r"_texts_(\d)\[\d+\] = \{(.*)\}", Path(header).read_text())
    codes = {FEATURES[int(i)]: re.findall('"(.*?)"', names) for i, names in lists}
    codes["new"] = ["false", "true"]
    found = [[code(cell, codes.get(name)) for cell in columns[name]] for name in FEATURES]
    return np.array(found, float).T.copy()


def code(cell, names):
    if cell == "":
        return np.nan
    if names is None:
        return float(cell)
    return names.index(cell) if cell in names else len(names) + 5


def called(rows, outputs):
    """What the shared library answers to rows, one at a time."""
    library = ctypes.CDLL(os.path.abspath(f"predict{LIBRARY_SUFFIX}"))
    out = np.empty((len(rows), outputs))
    for x, y in zip(rows, out, strict=True):
        assert library.predict(*(ctypes.c_void_p(a.ctypes.data) for a in (x, y))) == 0
    return out


def answers(name, source):
    """Probabilities, scores or numbers of a model for a table, by the library, and what `adjoint predict` prints."""
    kept, _ = model.load(name)
    target = kept.encoder.target.name
    table = read_table(source, kinds={k: v for k, v in kept.encoder.kinds.items() if k != target})
    scores = kept.scores(table)
    result = run("predict", name, source)
    assert result.exit_code == 0, result.output
    printed = list(csv.DictReader(io.StringIO(result.stdout)))
    if not kept.encoder.classes:
        return kept.encoder.decode(scores)[:, None], printed
    return kept.probabilities(scores) if kept.probabilistic else scores, printed


# --- what it computes -------------------------------------------------------------------------------------------------


@needs_cc
def test_classes():
    exported("kind.safetensors")
    out = called(for_c(ROWS), 2)
    wanted, printed = answers("kind.safetensors", "rows.csv")
    np.testing.assert_allclose(out, wanted, rtol=2e-5, atol=1e-7)
    assert [("big, or so", "small")[i] for i in out.argmax(axis=1)] == [row["prediction"] for row in printed]
    np.testing.assert_allclose(out[:, 1], [float(row["probability_small"]) for row in printed], rtol=2e-5)


@needs_cc
def test_numbers_in_their_unit():
    exported("price.safetensors")
    out = called(for_c(ROWS), 1)
    wanted, printed = answers("price.safetensors", "rows.csv")
    np.testing.assert_allclose(out, wanted, rtol=1e-6)
    np.testing.assert_allclose(out[:, 0], [float(row["prediction"]) for row in printed], rtol=1e-6)


@needs_cc
def test_scores_that_are_no_probabilities():
    exported("hinge.safetensors")
    wanted, _ = answers("hinge.safetensors", "rows.csv")
    np.testing.assert_allclose(called(for_c(ROWS), 2), wanted, rtol=2e-5, atol=2e-6)
    assert "score (no probability; the largest counts) of each kind" in Path("predict.h").read_text()


@needs_cc
def test_missing_and_unknown_cells():
    exported("kind.safetensors")
    cells = [
        (x, c, s, n) for x in ("", "2.5") for c in ("", "pink", "red") for s in ("", "XL", "S") for n in ("", "true")
    ]
    columns = dict(zip(FEATURES, map(list, zip(*cells, strict=True)), strict=True))
    wanted, _ = answers("kind.safetensors", written("new.csv", columns))
    rows = for_c(columns)
    np.testing.assert_allclose(called(rows, 2), wanted, rtol=2e-5, atol=1e-7)
    for strange in (-1.0, 0.5, 1e300, np.inf):
        rows[rows[:, 2] == 7, 2] = strange  # a size that is not in the list
        np.testing.assert_allclose(called(rows, 2), wanted, rtol=2e-5, atol=1e-7)


@needs_cc
def test_an_infinite_number_becomes_nan():
    exported("kind.safetensors")
    rows = for_c(ROWS)[:2]
    rows[0, 0] = np.inf
    out = called(rows, 2)
    assert np.isnan(out[0]).all()
    assert np.isfinite(out[1]).all()


@needs_cc
def test_a_program_in_c(tmp_path):
    exported("kind.safetensors", "--batch", N, "--name", "kind", "-o", tmp_path)
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "kind.h"\n'
        "int main(void)\n{\n"
        "    static double rows[kind_row_elements], out[kind_out_elements];\n"
        "    if (fread(rows, sizeof *rows, kind_row_elements, stdin) != kind_row_elements) return 2;\n"
        "    if (kind(rows, out)) return 1;\n"
        f"    for (int i = 0; i < {N}; i++)\n"
        '        printf("%s %.9g\\n", kind_classes[out[2 * i] < out[2 * i + 1]], out[2 * i]);\n'
        "    return 0;\n}\n"
    )
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run([CC, *strict, "-o", "main", "main.c", "kind.o"], check=True)
    rows = for_c(ROWS, "kind.h")
    done = subprocess.run([tmp_path / "main"], input=rows.tobytes(), capture_output=True, check=True)
    wanted, printed = answers("kind.safetensors", "rows.csv")
    said = [line.rsplit(" ", 1) for line in done.stdout.decode().splitlines()]
    assert [name for name, _ in said] == [row["prediction"] for row in printed]
    np.testing.assert_allclose([float(p) for _, p in said], wanted[:, 0], rtol=2e-5, atol=1e-7)


# --- what it says -----------------------------------------------------------------------------------------------------


def test_the_header():
    exported("kind.safetensors", "--batch", 8)
    lines = Path("predict.h").read_text().splitlines()
    assert lines[2:16] == [
        " * The network of kind.safetensors. Each row has 4 numbers, as in the table:",
        " *   row[0]: x, a number",
        " *   row[1]: colour, a text, by its code",
        " *     0 blue, 1 green, 2 red",
        " *   row[2]: size, a text, by its code",
        " *     0 L, 1 S",
        " *   row[3]: new, 0 or 1",
        " * A number that is NaN counts as missing; a text whose code is not in its list, as unknown.",
        " * out: for each row the probability of each kind:",
        " *     0 big, or so, 1 small",
        " *",
        " * row: input, float64 of shape (8, 4) in C order",
        " * out: result, float64 of shape (8, 2) in C order",
        " *",
    ]
    assert 'static const char *const predict_classes[2] = {"big, or so", "small"};' in lines
    assert 'static const char *const predict_texts_1[3] = {"blue", "green", "red"};' in lines


@needs_cc
def test_what_is_said():
    written_files = f"predict.o, predict.h, predict{LIBRARY_SUFFIX}"
    assert exported("kind.safetensors") == f"written: {written_files}\nnext:    cc program.c predict.o\n"


def test_without_a_c_compiler(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert exported("kind.safetensors").splitlines() == [
        "written: predict.o, predict.h",
        "no C compiler (cc) is found here, so there is no shared library",
        "next:    cc program.c predict.o",
    ]
    assert not os.path.exists(f"predict{LIBRARY_SUFFIX}")


# --- what is refused --------------------------------------------------------------------------------------------------


def test_the_form_must_be_named():
    assert refused("kind.safetensors") == "expected --native, the one form that there is; add it"


def test_files_that_are_no_model():
    assert refused("--native", "none") == "none: expected a model file, got no such file"
    assert refused("--native", ".") == ".: expected a model file, got a folder"
    assert refused("--native", "rows.csv").startswith("rows.csv: expected a model file (safetensors), got one that is")
    net = nn.Linear(2, 1)
    formats.save_model("own.safetensors", net, {"made for": "a test"})
    said = refused("--native", "own.safetensors")
    assert said.startswith("own.safetensors: expected a model that adjoint train wrote, got one that a program saved")


def test_folders():
    said = refused("--native", "kind.safetensors", "-o", "none")
    assert said == "--output: expected a folder that exists, got 'none'"
    said = refused("--native", "kind.safetensors", "-o", "rows.csv")
    assert said == "--output: expected a folder that exists, got 'rows.csv'"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    said = refused("--native", "kind.safetensors", "-o", "closed")
    assert said == "--output: expected a folder that can be written to, got 'closed'"


def test_a_disk_that_is_full(monkeypatch):
    def refuses(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("adjoint.atomic.write_atomically", refuses)
    assert refused("--native", "kind.safetensors") == "--output: . cannot be written to: No space left on device"


def test_names():
    said = refused("--native", "kind.safetensors", "--name", "a-b")
    assert said == "expected a name for C (letters, digits, _), got 'a-b'"


def test_files_that_are_there():
    for name in ("predict.o", "predict.h", f"predict{LIBRARY_SUFFIX}"):
        with open(name, "w") as file:
            file.write("/* mine */\n")
        said = refused("--native", "kind.safetensors")
        assert said == f"--name: {name} is there and not of an export; choose another name, or add --force"
        exported("kind.safetensors", "--force")
        exported("price.safetensors")  # an export may take the place of another
        for written_file in ("predict.o", "predict.h", f"predict{LIBRARY_SUFFIX}"):
            if os.path.exists(written_file):
                os.remove(written_file)
    os.mkdir("predict.h")
    said = refused("--native", "kind.safetensors", "--force")
    assert said == "--name: expected a name for files, got that of the folder 'predict.h'"


def test_the_model_is_not_overwritten():
    os.rename("kind.safetensors", "kind.o")
    assert (
        refused("--native", "kind.o", "--name", "kind", "--force") == "--name: kind.o is the model; choose another name"
    )
    assert refused("--native", "kind.o", "--batch", "0").startswith("invalid value for '--batch'")
