"""A network as plain data, and made anew from it."""

import json

import numpy as np
import pytest

from adjoint import formats, train
from adjoint.errors import ModelFileError
from adjoint.formats import ACTIVATIONS, Architecture, rebuild

SMALL = Architecture((4, 6, 5, 3), "tanh", dropout=0.25, input_dropout=0.1)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", [(), (6,), (6, 5)])
def test_there_and_back_with_the_same_answers(tmp_path, activation, hidden):
    architecture = Architecture((4, *hidden, 3), activation, dropout=0.5)
    net = architecture.build(seed=3)
    assert architecture.count == sum(p.size for p in net.parameters().values())
    path = tmp_path / "m.safetensors"
    formats.save_model(path, net, {"network": architecture.to_json()})
    arrays, description = formats.load_model(path)
    again = rebuild(description, arrays)
    x = np.random.default_rng(0).normal(size=(9, 4))
    assert np.array_equal(train.predict(again, x), train.predict(net, x))
    assert not again.training
    assert Architecture.from_json(json.loads(json.dumps(architecture.to_json()))) == architecture


def test_layers():
    assert repr(SMALL.build()) == (
        "Sequential(Dropout(0.1), Linear(4, 6), Tanh(), Dropout(0.25), "
        "Linear(6, 5), Tanh(), Dropout(0.25), Linear(5, 3))"
    )


def test_seeds():
    first, same, other = (Architecture((4, 3)).build(seed).arrays()["layers.0.weight"] for seed in (1, 1, 2))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "recurrent"}, "expected a description of a feed-forward network"),
        ({"sizes": [4]}, "expected layer sizes, two or more whole numbers, got [4]"),
        ({"sizes": [4, 0, 3]}, "expected layer sizes"),
        ({"sizes": [4, True]}, "expected layer sizes"),
        ({"sizes": "43"}, "expected layer sizes"),
        ({"activation": "softplus"}, "of relu, tanh, sigmoid, leaky_relu, elu, maxout, got 'softplus'"),
        ({"activation": ["relu"]}, "expected an activation"),
        ({"dropout": 1.0}, "expected dropout from 0 to below 1"),
        ({"dropout": "a"}, "expected dropout"),
    ],
)
def test_descriptions_that_are_none(change, said):
    with pytest.raises(ModelFileError) as caught:
        Architecture.from_json({**SMALL.to_json(), **change})
    assert said in str(caught.value)


@pytest.mark.parametrize("description", [{}, {"network": None}, {"network": [1]}])
def test_no_network(description):
    with pytest.raises(ModelFileError, match="expected a description of a feed-forward network"):
        rebuild(description, {})


def test_arrays_of_another_network():
    description = {"network": Architecture((4, 3)).to_json()}
    arrays = dict(Architecture((4, 3)).build().arrays())
    with pytest.raises(ModelFileError, match="expected 15 parameters of a 4-3 network, got 12"):
        rebuild(description, {"layers.0.weight": arrays["layers.0.weight"]})
    turned = {**arrays, "layers.0.weight": arrays["layers.0.weight"].T}
    with pytest.raises(ModelFileError, match=r"expected layers.0.weight of shape \(4, 3\), got \(3, 4\)"):
        rebuild(description, turned)
    renamed = {"w": arrays["layers.0.weight"], "layers.0.bias": arrays["layers.0.bias"]}
    with pytest.raises(ModelFileError, match=r"expected layers.0.weight of shape \(4, 3\), got none"):
        rebuild(description, renamed)


def test_sizes_that_would_fill_the_memory_are_refused_before():
    with pytest.raises(ModelFileError, match="the file is damaged"):
        rebuild({"network": Architecture((10**9, 10**9)).to_json()}, {})


def test_arrays_of_another_dtype():
    architecture = Architecture((4, 3))
    whole = {path: array.astype(int) for path, array in architecture.build().arrays().items()}
    with pytest.raises(ModelFileError, match=r"expected layers.0.weight of float32, got int64; the file is damaged"):
        rebuild({"network": architecture.to_json()}, whole)


@pytest.mark.parametrize("sizes", [[10**4000, 3], [1] * 3000])
def test_the_message_is_short_whatever_the_sizes(sizes):
    with pytest.raises(ModelFileError) as caught:
        rebuild({"network": {**SMALL.to_json(), "sizes": sizes}}, {})
    assert len(str(caught.value)) < 200
