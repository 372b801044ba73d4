"""Model files: what goes in comes out, and everything that can be wrong with one is said in one line."""

import contextlib
import json
import os
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

import adjoint as ad
from adjoint import formats, nn
from adjoint.errors import ModelFileError

ABOUT = {"made for": "a test", "numbers": [1, 2.5, None], "word": "größer"}


class Odd(nn.Module):
    """Arrays that a writer could stumble over."""

    def __init__(self):
        self.turned = ad.Parameter(np.arange(6.0).reshape(2, 3).T)
        self.scalar = ad.Parameter(0.5)
        self.empty = ad.Parameter(np.zeros((0, 3), np.float32))
        self.count = ad.State(7)


def saved(path, net=None, about=ABOUT):
    formats.save_model(path, net or nn.Linear(2, 3), about)
    return path


def message(path):
    with pytest.raises(ModelFileError) as caught:
        formats.load_model(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: expected ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


def header_changed(path, change):
    """The file with its JSON header edited."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])
    return path


def test_there_and_back(tmp_path):
    net = Odd()
    arrays, about = formats.load_model(saved(tmp_path / "m.safetensors", net))
    assert about == ABOUT
    assert arrays.keys() == net.arrays().keys()
    for path, array in net.arrays().items():
        assert arrays[path].dtype == array.dtype
        assert arrays[path].shape == array.shape
        assert np.array_equal(arrays[path], array)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("aß× \n"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=25, deadline=None)
@given(JSON_VALUES)
def test_every_description_comes_back(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("any") / "m"
    assert formats.load_model(saved(path, about={"value": value}))[1] == {"value": value}


def test_it_is_an_ordinary_safetensors_file_and_no_pickle(tmp_path):
    from safetensors.numpy import load_file

    path = saved(tmp_path / "m.safetensors")
    assert load_file(path).keys() == {"weight", "bias"}
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(path.read_bytes())  # noqa: S301 - the point is that it is none


def test_a_description_that_is_no_json(tmp_path):
    for value in (np.float32(1), {1, 2}, float("nan")):
        with pytest.raises(ModelFileError, match="expected a description of JSON values"):
            saved(tmp_path / "m.safetensors", about={"value": value})
    assert list(tmp_path.iterdir()) == []


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("value", ["\ud800", nested(100_000)], ids=["half a letter", "too deep"])
def test_a_description_that_no_file_can_hold(tmp_path, value):
    with pytest.raises(ModelFileError, match="expected a description of JSON values") as caught:
        saved(tmp_path / "m.safetensors", about={"value": value})
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


class Long(nn.Module):
    """A parameter of a dtype that safetensors has not."""

    def __init__(self):
        self.w = ad.Parameter(np.ones(1, np.longdouble))


@pytest.mark.skipif(np.dtype(np.longdouble) == np.dtype(float), reason="longdouble is float64 here")
def test_arrays_that_no_file_can_hold(tmp_path):
    with pytest.raises(ModelFileError, match="expected arrays that a file can hold, got Unknown dtype"):
        saved(tmp_path / "m.safetensors", Long())
    assert list(tmp_path.iterdir()) == []


def test_the_same_network_gives_the_same_bytes(tmp_path):
    first, second = saved(tmp_path / "a", Odd()), saved(tmp_path / "b", Odd())
    assert first.read_bytes() == second.read_bytes()
    net = nn.Linear(2, 3)
    arrays, about = formats.load_model(saved(first, net))
    net.load_arrays(arrays)
    assert saved(second, net, about).read_bytes() == first.read_bytes()


def test_it_cannot_be_written(tmp_path):
    with pytest.raises(ModelFileError, match="the model cannot be written: No such file or directory"):
        saved(tmp_path / "no" / "m.safetensors")
    with pytest.raises(ModelFileError, match="the model cannot be written: Is a directory"):
        saved(tmp_path)
    with pytest.raises(ModelFileError, match="the model cannot be written: embedded null byte"):
        saved("a\0b")


def test_a_full_disk_leaves_the_old_model(tmp_path, monkeypatch):
    path = saved(tmp_path / "m.safetensors")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelFileError, match="cannot be written: No space left on device"):
        saved(path, about={"made for": "another"})
    assert formats.load_model(path)[1] == ABOUT
    assert [file.name for file in tmp_path.iterdir()] == ["m.safetensors"]


def test_no_file_and_a_folder(tmp_path):
    assert message(tmp_path / "no.safetensors") == "expected a model file, got no such file"
    assert message(tmp_path) == "expected a model file, got a folder"


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\x80\x04" + bytes(50), os.urandom(500)])
def test_no_safetensors_file(tmp_path, content):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    assert message(path).startswith("expected a model file (safetensors), got one that is none or is damaged")


def test_cut_short_at_any_place(tmp_path):
    path = saved(tmp_path / "m.safetensors")
    whole = path.read_bytes()
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        assert message(path).startswith("expected a model file (safetensors)")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_changed_byte_is_refused_or_changes_a_number(tmp_path_factory, data):
    """Never an error of another kind, whatever byte is changed to whatever."""
    path = saved(tmp_path_factory.mktemp("damaged") / "m")
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with contextlib.suppress(ModelFileError):
        formats.load_model(path)


class Dangerous:
    """Would write a file if it were unpickled."""

    def __reduce__(self):
        return open, ("unpickled", "w")


def test_a_pickle_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "m"
    path.write_bytes(pickle.dumps(Dangerous()))
    assert message(path).startswith("expected a model file (safetensors)")
    assert os.listdir() == ["m"]


def test_numbers_that_numpy_has_not(tmp_path):
    """bfloat16, as other programs write it."""
    path = header_changed(saved(tmp_path / "m"), lambda h: h["weight"].update(dtype="BF16", shape=[4, 3]))
    assert message(path).startswith("expected a model file (safetensors)")


def test_a_file_of_another_program(tmp_path):
    path = tmp_path / "m.safetensors"
    for metadata in (None, {"format": "pt"}):
        save_file({"weight": np.ones(3)}, path, metadata)
        assert message(path).startswith("expected a model of adjoint, got a safetensors file of another program")
        assert not formats.is_model_file(path)


def test_another_version(tmp_path):
    path = header_changed(saved(tmp_path / "m"), lambda h: h["__metadata__"].update(version="9"))
    assert message(path).startswith(
        "expected a model file of version 1, got version 9; it was written by another adjoint"
    )
    assert formats.is_model_file(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "a description in JSON"),
        ("[1]", "a JSON object as description, got a list"),
        ("[" * 100_000, "a description in JSON"),
    ],
)
def test_a_damaged_description(tmp_path, text, said):
    path = header_changed(saved(tmp_path / "m"), lambda h: h["__metadata__"].update(description=text))
    assert said in message(path)


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2", "F65", ""])
def test_dtypes_that_numpy_has_not(tmp_path, dtype):
    net = nn.Linear(2, 3, bias=False)
    path = header_changed(
        saved(tmp_path / "m", net), lambda h: h["weight"].update(dtype=dtype, shape=[24] if dtype else [6])
    )
    assert message(path).startswith("expected a model file (safetensors), got one that is none or is damaged")


def test_offsets_that_lie(tmp_path):
    path = header_changed(saved(tmp_path / "m"), lambda h: h["weight"].update(data_offsets=[0, 10**12]))
    assert message(path).startswith("expected a model file (safetensors)")


def test_is_model_file(tmp_path):
    (tmp_path / "a.csv").write_text("a\n1\n")
    assert formats.is_model_file(saved(tmp_path / "m"))
    assert not formats.is_model_file(tmp_path / "a.csv")
    assert not formats.is_model_file(tmp_path / "none")
