"""Native export: a C program that knows nothing of Python gets the numbers that Python gets."""

import ctypes
import os
import re
import shutil
import subprocess
import threading

import numpy as np
import pytest

import adjoint as ad
from adjoint import nn
from adjoint.compiler.compiled import compile
from adjoint.compiler.export import LIBRARY_SUFFIX, export_native, is_exported
from adjoint.errors import AdjointError, DTypeError, TraceError
from adjoint.ops.random import Generator

CC = shutil.which("cc")
needs_cc = pytest.mark.skipif(CC is None, reason="there is no C compiler (cc)")
RNG = np.random.default_rng(5)
MAIN = """
#include <stdio.h>
#include "{name}.h"
int main(void)
{{
    static {x_type} x[{name}_x_elements];
    static {out_type} out[{name}_out_elements];
    if (fread(x, sizeof *x, {name}_x_elements, stdin) != {name}_x_elements) return 2;
    int failed = {name}(x, out);
    fwrite(out, sizeof *out, {name}_out_elements, stdout);
    return failed;
}}
"""


def network(*layers):
    net = nn.Sequential(*layers)
    net.eval()
    return net


def run_in_c(files, x, dtype, shape):
    """What a C program with one input and one output, linked with the object, says of x; strict about warnings."""
    types = {"float32": "float", "float64": "double", "int64": "int64_t"}
    name, folder = files.object.stem, files.object.parent
    text = MAIN.format(name=name, x_type=types[x.dtype.name], out_type=types[np.dtype(dtype).name])
    (folder / "main.c").write_text(text)
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    command = [CC, *strict, "-I", folder, "-o", folder / "main", folder / "main.c", files.object]
    subprocess.run(command, check=True)
    done = subprocess.run([folder / "main"], input=x.tobytes(), capture_output=True, check=False)
    return done.returncode, np.frombuffer(done.stdout, dtype).reshape(shape)


def pointers(*arrays):
    return [ctypes.c_void_p(x.ctypes.data) for x in arrays]


# --- what it computes -------------------------------------------------------------------------------------------------


@needs_cc
@pytest.mark.parametrize("rows", [1, 7])
def test_a_network_in_c(tmp_path, rows):
    net = network(nn.Linear(20, 33, rng=Generator(1)), nn.Tanh(), nn.Dropout(0.5), nn.Linear(33, 4, rng=Generator(2)))
    x = RNG.normal(size=(rows, 20)).astype(np.float32)
    files = export_native(compile(net), [np.zeros_like(x)], tmp_path, "scores")
    failed, out = run_in_c(files, x, np.float32, (rows, 4))
    assert failed == 0
    exact = net.layers[3](np.tanh(net.layers[0](x).value.astype(np.float64)).astype(np.float32)).value
    np.testing.assert_allclose(out, exact, rtol=4e-6, atol=4e-7)
    np.testing.assert_array_equal(out, compile(net)(x).value)  # the same code as in Python


@needs_cc
def test_what_is_not_finite_goes_through(tmp_path):
    net = network(nn.Linear(3, 5, rng=Generator(1)), nn.ReLU(), nn.Linear(5, 2, rng=Generator(2)))
    files = export_native(net, [np.zeros((3, 3), np.float32)], tmp_path)
    x = np.array([[np.nan, 1, 2], [np.inf, 0, 0], [1, 2, 3]], np.float32)
    failed, out = run_in_c(files, x, np.float32, (3, 2))
    assert failed == 0
    assert np.isnan(out[0]).all()
    assert not np.isfinite(out[1]).any()
    np.testing.assert_allclose(out[2], net(x[2:]).value[0], rtol=1e-6)


@needs_cc
def test_an_index_outside_its_range_is_reported(tmp_path):
    table = np.arange(12.0).reshape(4, 3)
    files = export_native(lambda x: ad.take(table, x, axis=0), [np.zeros(2, np.int64)], tmp_path, "row_of")
    failed, out = run_in_c(files, np.array([3, -4]), np.float64, (2, 3))
    assert failed == 0
    np.testing.assert_array_equal(out, table[[3, 0]])
    for _ in range(2):  # nothing of a failed call remains
        assert run_in_c(files, np.array([3, 4]), np.float64, (2, 3))[0] == 1
        assert run_in_c(files, np.array([1, 2]), np.float64, (2, 3))[0] == 0


@needs_cc
def test_several_arrays_of_several_dtypes(tmp_path):
    def f(weights, flags, Weights):
        return ad.where(flags, weights, 0.0).sum(axis=0), Weights * 2, flags

    a = RNG.normal(size=(3, 4))
    flags = a > 0
    n = np.array([1, 2, 3], np.int16)
    files = export_native(f, [a, flags, n], tmp_path, "mixed")
    declared = "const double *weights, const uint8_t *flags, const int16_t *Weights, double *out1, int16_t *out2, "
    assert f"int mixed({declared}uint8_t *out3);" in files.header.read_text()
    library = ctypes.CDLL(str(files.library))
    results = np.empty(4), np.empty(3, np.int16), np.empty((3, 4), bool)
    assert library.mixed(*pointers(a, flags, n, *results)) == 0
    np.testing.assert_allclose(results[0], np.where(flags, a, 0).sum(axis=0), rtol=1e-15)
    np.testing.assert_array_equal(results[1], [2, 4, 6])
    np.testing.assert_array_equal(results[2], flags)


@needs_cc
def test_what_was_allowed_to_the_compiler(tmp_path):
    x, out = RNG.normal(size=200), np.empty(200)
    third = compile(lambda x: x / 3.0, fast=True)
    assert ctypes.CDLL(str(export_native(third, [x], tmp_path).library)).predict(*pointers(x, out)) == 0
    np.testing.assert_array_equal(out, x * (1 / 3))


@needs_cc
def test_states_are_what_they_were(tmp_path):
    w, scale = ad.Parameter(np.array([1.0, 2.0]), name="w"), ad.State(3.0, name="scale")
    files = export_native(lambda x: (scale * x) @ w, [np.zeros(2)], tmp_path)
    w.assign(np.zeros(2))
    out = np.empty(())
    assert ctypes.CDLL(str(files.library)).predict(*pointers(np.array([1.0, 10.0]), out)) == 0
    assert out == 63.0


@needs_cc
def test_a_workspace_anywhere_with_anything_in_it(tmp_path):
    net = network(nn.Linear(6, 40, rng=Generator(1)), nn.Sigmoid(), nn.Linear(40, 3, rng=Generator(2)))
    x = RNG.normal(size=(5, 6)).astype(np.float32)
    files = export_native(net, [x], tmp_path)
    size = int(re.search(r"predict_workspace_bytes = (\d+)", files.header.read_text())[1])
    library = ctypes.CDLL(str(files.library))
    wanted = np.empty((5, 3), np.float32)
    assert library.predict(*pointers(x, wanted)) == 0
    for start in (0, 1, 63):
        memory, out = np.full(size + 200, 0xA5, np.uint8), np.empty((5, 3), np.float32)
        workspace = memory[64 + start : 64 + start + size]
        assert library.predict_in(*pointers(x, out, workspace)) == 0
        np.testing.assert_array_equal(out, wanted)
        assert (memory[: 64 + start] == 0xA5).all()
        assert (memory[64 + start + size :] == 0xA5).all()


@needs_cc
def test_a_large_workspace_is_the_callers(tmp_path):
    x = RNG.normal(size=(200, 200))
    files = export_native(lambda x: ad.exp(x @ x.T / 200) @ x, [x], tmp_path, "far")
    library = ctypes.CDLL(str(files.library))
    assert not hasattr(library, "far")
    assert "int far(" not in files.header.read_text()
    size = int(re.search(r"far_workspace_bytes = (\d+)", files.header.read_text())[1])
    out = np.empty_like(x)
    assert library.far_in(*pointers(x, out, np.empty(size, np.uint8))) == 0
    np.testing.assert_allclose(out, np.exp(x @ x.T / 200) @ x, rtol=1e-12, atol=1e-12)


@needs_cc
def test_threads_at_the_same_time(tmp_path):
    net = network(nn.Linear(30, 64, rng=Generator(1)), nn.ReLU(), nn.Linear(64, 8, rng=Generator(2)))
    x = RNG.normal(size=(6, 4, 30)).astype(np.float32)
    predict = ctypes.CDLL(str(export_native(net, [x[0]], tmp_path).library)).predict
    out = np.empty((6, 4, 8), np.float32)
    wrong = []

    def work(i):
        for _ in range(300):
            out[i] = 0
            failed = predict(*pointers(x[i], out[i]))
            if failed or not np.array_equal(out[i], expected[i]):
                wrong.append(i)

    expected = [compile(net)(rows).value for rows in x]
    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(x))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# --- what is written --------------------------------------------------------------------------------------------------


@needs_cc
@pytest.mark.skipif(shutil.which("nm") is None, reason="there is no nm, which lists symbols")
@pytest.mark.parametrize("rows", [1, 40])
def test_symbols(tmp_path, rows):
    def f(x):
        y = ad.sin(ad.matmul(x, np.ones((300, 50))))
        return ad.softmax(ad.concatenate([y, ad.power(ad.abs(y), 1.3), ad.tan(ad.exp(y))], axis=1), axis=1)

    files = export_native(f, [np.zeros((rows, 300))], tmp_path, "all_kinds")
    listed = subprocess.run(["nm", files.object], capture_output=True, text=True, check=True).stdout.splitlines()
    symbols = [(line.split()[-2], line.split()[-1].lstrip("_")) for line in listed]
    assert {name for kind, name in symbols if kind == "U"} <= {"memcpy", "memset", "GLOBAL_OFFSET_TABLE_"}
    assert {name for kind, name in symbols if kind.isupper() and kind != "U"} <= {"all_kinds", "all_kinds_in"}
    assert not [name for kind, name in symbols if kind in "bBdDC"], "the object has memory of its own"


def test_the_header(tmp_path):
    about, texts = "50 */ #error\nö\x07", {"classes": ['a "b"', "é", "c\\??"]}
    files = export_native(
        lambda int, x: int + x, [np.zeros((2, 3), np.float32), np.float32(1)], tmp_path, about=about, texts=texts
    )
    lines = files.header.read_text(encoding="utf-8").splitlines()
    assert lines[:8] == [
        f"/* predict: native code exported by adjoint {ad.__version__}",
        " *",
        " * 50 * / #error",
        " * ö�",
        " *",
        " * x1: input, float32 of shape (2, 3) in C order",
        " * x2: input, float32 of shape () in C order",
        " * out: result, float32 of shape (2, 3) in C order",
    ]
    assert r'static const char *const predict_classes[3] = {"a \042b\042", "\303\251", "c\134\077\077"};' in lines
    assert "enum { predict_x1_elements = 6 };" in lines
    assert "int predict(const float *x1, const float *x2, float *out);" in lines
    assert is_exported(files.header)
    assert not is_exported(files.object)


@pytest.mark.skipif(shutil.which("c++") is None, reason="there is no C++ compiler (c++)")
def test_the_header_in_cpp(tmp_path):
    files = export_native(lambda x: x + 1, [np.zeros(3)], tmp_path, texts={"classes": ["a"]})
    (tmp_path / "main.cpp").write_text(
        '#include "predict.h"\n#include "predict.h"\n'
        "int main() { double x[3] = {}, out[3]; return predict(x, out) || out[2] != 1 || *predict_classes[0] != 'a'; }"
    )
    strict = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run(["c++", *strict, "-o", tmp_path / "main", tmp_path / "main.cpp", files.object], check=True)
    subprocess.run([tmp_path / "main"], check=True)


def test_without_a_c_compiler(tmp_path, monkeypatch):
    library = tmp_path / f"predict{LIBRARY_SUFFIX}"
    library.write_bytes(b"of an earlier export")
    monkeypatch.setenv("PATH", str(tmp_path))
    files = export_native(lambda x: x + 1, [np.zeros(3)], tmp_path)
    assert files.library is None
    assert sorted(os.listdir(tmp_path)) == ["predict.h", "predict.o"]


# --- what is refused --------------------------------------------------------------------------------------------------


def refused(error, f, *examples, name="predict"):
    with pytest.raises(error) as caught:
        export_native(f, examples, "no-such-folder", name)
    return str(caught.value).split(", at ")[0]


def test_what_cannot_be_exported():
    net = nn.Sequential(nn.Linear(2, 2, rng=Generator(1)), nn.Dropout(0.5, rng=Generator(1)))
    x = np.zeros((1, 2), np.float32)
    assert refused(TraceError, net, x).startswith("export_native: expected a function that assigns no state, got one")
    message = "export_native: expected results that are computed, got 'a text'"
    assert refused(TraceError, lambda x: (x, "a text"), x) == message
    allowed = "float32, float64, bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64"
    assert (
        refused(DTypeError, lambda x: x, x.astype(np.float16)) == f"export_native: expected {allowed}, got float16 (x)"
    )
    assert "float16" in refused(TraceError, lambda x: ad.exp(x.astype(np.float16)).astype(np.float32), x)


@pytest.mark.parametrize("name", ["", "1st", "a-b", "größe", "int", "main", "_x", "../x"])
def test_names_that_c_has_not(name):
    expected = f"export_native: expected a name for C (letters, digits, _), got {name!r}"
    assert refused(AdjointError, lambda x: x, np.zeros(2), name=name) == expected
    if name not in ("int", "main"):
        with pytest.raises(AdjointError, match="expected a name for C"):
            export_native(lambda x: x, [np.zeros(2)], "no-such-folder", texts={name: ["a"]})


def test_names_of_the_code_itself():
    assert refused(AdjointError, lambda x: x, np.zeros(2), name="program").startswith(
        "export_native: 'program' is a name"
    )


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        export_native(lambda x: x, [np.zeros(2)], tmp_path / "none")
    assert os.listdir(tmp_path) == []


@needs_cc
def test_a_c_compiler_that_fails(tmp_path, monkeypatch):
    broken = tmp_path / "bin" / "cc"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho no space left >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(broken.parent))
    with pytest.raises(AdjointError, match="cc cannot make a shared library: no space left"):
        export_native(lambda x: x, [np.zeros(2)], tmp_path)
    assert os.listdir(tmp_path) == ["bin"]
