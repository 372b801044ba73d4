"""Model files: what is saved comes back, and whatever is no model is refused in one line."""

import json
import os
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import adjoint as ad
from adjoint import nn
from adjoint.errors import ModelFileError
from adjoint.formats import is_model_file, load_model, save_model

DESCRIPTION = {"text": "Größe × 2", "list": [1, 2.5, None, True], "inner": {"a": {}}}


def network():
    return nn.Sequential(nn.Linear(4, 3, dtype="float64"), nn.Tanh(), nn.Dropout(0.5), nn.Linear(3, 2))


def refusal(path):
    with pytest.raises(ModelFileError) as caught:
        load_model(path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    assert caught.value.__cause__ is None
    return message.replace(str(path), "FILE")


def test_what_is_saved_comes_back(tmp_path):
    net = network()
    save_model(tmp_path / "m.safetensors", net, DESCRIPTION)
    arrays, description = load_model(tmp_path / "m.safetensors")
    assert description == DESCRIPTION
    assert {path: (a.dtype, a.shape) for path, a in arrays.items()} == {
        path: (a.dtype, a.shape) for path, a in net.arrays().items()
    }
    other = network()
    other.load_arrays(arrays)
    x = np.ones((2, 4))
    np.testing.assert_array_equal(ad.train.predict(other, x), ad.train.predict(net, x))
    assert os.listdir(tmp_path) == ["m.safetensors"]


def test_states_are_saved_too(tmp_path):
    """Dropout goes on where it was: the number of the next draw is a state."""
    net = network()
    net(np.ones((1, 4)))
    save_model(tmp_path / "m", net, {})
    other = network()
    other.load_arrays(load_model(tmp_path / "m")[0])
    assert np.array_equal(other.layers[2].rng.uniform((3,)).value, net.layers[2].rng.uniform((3,)).value)


def test_arrays_that_are_not_contiguous_keep_their_order(tmp_path):
    net = nn.Linear(3, 2)
    net.load_arrays({"weight": np.arange(6.0, dtype=np.float32).reshape(2, 3).T, "bias": np.ones(4, np.float32)[::2]})
    save_model(tmp_path / "m", net, {})
    np.testing.assert_array_equal(load_model(tmp_path / "m")[0]["weight"], [[0, 3], [1, 4], [2, 5]])


def test_it_is_a_plain_safetensors_file(tmp_path):
    """Another program reads it, without adjoint."""
    net = network()
    save_model(tmp_path / "m.safetensors", net, DESCRIPTION)
    assert load_file(tmp_path / "m.safetensors").keys() == net.arrays().keys()
    content = (tmp_path / "m.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + struct.unpack("<Q", content[:8])[0]])
    assert header["__metadata__"]["format"] == "adjoint-model"
    assert json.loads(header["__metadata__"]["description"]) == DESCRIPTION


@settings(max_examples=25, deadline=None)
@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
))  # fmt: skip
def test_every_description_comes_back(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("any") / "m"
    save_model(path, nn.Linear(1, 1), {"value": value})
    assert load_model(path)[1] == {"value": value}


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32(1), {1, 2}, object()])
def test_descriptions_that_are_no_json(tmp_path, value):
    with pytest.raises(ModelFileError, match="expected a description of JSON values only, got "):
        save_model(tmp_path / "m", nn.Linear(1, 1), {"value": value})
    assert os.listdir(tmp_path) == []


def test_every_truncation_is_refused(tmp_path):
    save_model(tmp_path / "m", nn.Linear(2, 1), {"a": 1})
    content = (tmp_path / "m").read_bytes()
    cut = tmp_path / "cut"
    for length in range(len(content)):
        cut.write_bytes(content[:length])
        assert refusal(cut).startswith("FILE: expected a model file (safetensors), got one that is none or is damaged (")
        assert not is_model_file(cut)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_byte_is_refused_or_changes_a_number(tmp_path_factory, data):
    """Never another error, whatever byte is changed to whatever."""
    folder = tmp_path_factory.mktemp("damaged")
    save_model(folder / "m", nn.Linear(2, 1), {"a": 1})
    content = bytearray((folder / "m").read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (folder / "m").write_bytes(content)
    try:
        load_model(folder / "m")
    except ModelFileError as error:
        assert "\n" not in str(error)


class Dangerous:
    """Would write a file if it were unpickled."""

    def __reduce__(self):
        return open, ("unpickled", "w")


FOREIGN = {
    "nothing": b"",
    "a text": b"age,city\n31,Oslo\n",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "a pickle": pickle.dumps(Dangerous()),
    "zeros": bytes(100),
    "a huge header": struct.pack("<Q", 2**62) + b"{}",
    "a header that is no JSON": struct.pack("<Q", 4) + b"{{{{",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "foreign"
    path.write_bytes(FOREIGN[name])
    assert refusal(path).startswith("FILE: expected a model file (safetensors), got one that is none or is damaged (")
    assert not is_model_file(path)
    assert os.listdir(tmp_path) == ["foreign"]


def of_metadata(path, metadata):
    save_file({"w": np.zeros(2)}, path, metadata)
    return refusal(path)


def test_safetensors_files_that_are_no_models(tmp_path):
    path = tmp_path / "m"
    other = (
        "FILE: expected a model of adjoint, got a safetensors file of another program (its metadata does not say "
        "'adjoint-model')"
    )
    assert of_metadata(path, None) == other
    assert of_metadata(path, {"format": "pt"}) == other
    assert not is_model_file(path)
    ours = {"format": "adjoint-model", "version": "1"}
    assert of_metadata(path, ours | {"version": "2"}) == (
        "FILE: expected a model file of version 1, got version 2; it was written by another adjoint: upgrade this one, "
        "or train the model anew"
    )
    assert is_model_file(path), "of a later version, but a model that must not be taken for a stranger's file"
    no_json = "FILE: expected a description in JSON, got none that can be read"
    assert of_metadata(path, ours) == no_json
    assert of_metadata(path, ours | {"description": "{"}) == no_json
    assert of_metadata(path, ours | {"description": "[" * 100_000}) == no_json
    assert of_metadata(path, ours | {"description": "[]"}) == (
        "FILE: expected a JSON object as description, got a list"
    )


def test_types_of_number_that_numpy_does_not_have(tmp_path):
    """bfloat16, as other programs write it."""
    header = json.dumps({
        "__metadata__": {"format": "adjoint-model", "version": "1", "description": "{}"},
        "w": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]},
    }).encode()  # fmt: skip
    path = tmp_path / "m"
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0\0")
    assert "expected a model file" in refusal(path)


def test_places_that_are_no_files(tmp_path):
    assert refusal(tmp_path / "nix") == "FILE: expected a model file, got no such file"
    assert refusal(tmp_path).startswith("FILE: expected a readable model file, got ")
    with pytest.raises(ModelFileError, match="the model cannot be written: No such file or directory"):
        save_model(tmp_path / "nowhere" / "m", nn.Linear(1, 1), {})


def test_a_disk_that_is_full(tmp_path, monkeypatch):
    path = tmp_path / "m"
    save_model(path, nn.Linear(1, 1), {"old": True})

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelFileError, match="the model cannot be written: No space left on device"):
        save_model(path, nn.Linear(1, 1), {"old": False})
    assert load_model(path)[1] == {"old": True}
    assert os.listdir(tmp_path) == ["m"]


def test_nothing_imports_pickle_to_load_a_model():
    """Of this library's own; NumPy imports it for purposes of its own."""
    code = "import adjoint.formats, sys; print([m for m in sys.modules if m.startswith('adjoint') and hasattr(sys.modules[m], 'pickle')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
