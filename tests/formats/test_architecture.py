"""Architectures: a network from plain data, and data that describe none."""

import numpy as np
import pytest

from adjoint import nn, optim, train
from adjoint.errors import ModelFileError
from adjoint.formats import ACTIVATIONS, Architecture, rebuild


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("sizes", "dropout"), [((4, 3), 0.0), ((4, 5, 3), 0.5), ((4, 6, 5, 3), 0.0)])
def test_a_network_comes_back_and_can_be_trained(activation, sizes, dropout):
    architecture = Architecture(sizes, activation, dropout, input_dropout=dropout / 2)
    net = architecture.build(seed=3)
    x, y = np.random.default_rng(0).normal(size=(12, 4)), np.arange(12) % 3
    history = train.fit(net, nn.cross_entropy, x, y, optimizer=optim.SGD(net, 0.01), epochs=2, progress=False)
    assert history.epochs == 2
    again = rebuild({"network": architecture.to_json()}, net.arrays())
    assert Architecture.from_json(architecture.to_json()) == architecture
    assert not again.training
    np.testing.assert_array_equal(train.predict(again, x), train.predict(net, x))
    assert architecture.count == sum(p.size for p in net.parameters().values())


def test_a_seed_makes_the_network():
    first, second, other = (Architecture((4, 3, 2)).build(seed).arrays() for seed in (1, 1, 2))
    assert np.array_equal(first["layers.0.weight"], second["layers.0.weight"])
    assert not np.array_equal(first["layers.0.weight"], other["layers.0.weight"])


GOOD = Architecture((4, 3, 2)).to_json()
DAMAGED = {
    "nothing": (None, "expected a description of a feed-forward network, got None"),
    "another kind": (GOOD | {"kind": "transformer"}, "expected a description of a feed-forward network, got {"),
    "one size": (GOOD | {"sizes": [4]}, r"expected layer sizes, two or more whole numbers, got \[4\]"),
    "sizes that are none": (GOOD | {"sizes": [4, True]}, "expected layer sizes"),
    "an activation": (GOOD | {"activation": "eval"}, "expected an activation of relu, tanh, .*, got 'eval'"),
    "an activation that is a list": (GOOD | {"activation": []}, r"expected an activation of .*, got \[\]"),
    "dropout": (GOOD | {"dropout": 1}, "expected dropout from 0 to below 1"),
    "dropout that is none": (GOOD | {"input_dropout": "0"}, "expected dropout from 0 to below 1"),
    "more than there is": (
        GOOD | {"sizes": [10**9, 10**9]},
        "expected 1,000,000,001,000,000,000 parameters of a 1000000000-1000000000 network, got 23; the file is damaged",
    ),
    "other layers": (GOOD | {"sizes": [2, 7, 0 + 1]}, "expected 29 parameters of a 2-7-1 network, got 23"),
    "of the same size": (GOOD | {"sizes": [3, 4, 1, 1]}, "expected layers.0.bias|expected layers.0.weight of shape"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_descriptions_that_are_damaged(name):
    data, expected = DAMAGED[name]
    with pytest.raises(ModelFileError, match=f"model: {expected}" if "|" not in expected else expected):
        rebuild({"network": data}, Architecture((4, 3, 2)).build().arrays())
