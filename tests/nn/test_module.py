"""Modules: what they find in their attributes, how it is named, switched, frozen, saved and loaded."""

import gc
import weakref

import numpy as np
import pytest

import adjoint as ad
from adjoint import nn
from adjoint.errors import AdjointError, ShapeError


class Block(nn.Module):
    """Everything a module may hold."""

    def __init__(self):
        self.scale = ad.Parameter([1.0, 2.0])
        self.count = ad.State(0, name="count")
        self.layers = [nn.Linear(2, 2), nn.ReLU()]
        self.heads = {"left": nn.Linear(2, 1), "right": (ad.Parameter(3.0), [nn.Linear(2, 2, bias=False)])}
        self.note = "text"
        self.plain = np.ones(2)
        self.nothing = None

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.heads["left"](x * self.scale)


def net_of_three():
    rng = ad.random.Generator(0)
    return nn.Sequential(nn.Linear(3, 4, rng=rng), nn.Tanh(), nn.Linear(4, 2, rng=rng), nn.Dropout(0.5))


def test_what_is_found_and_its_paths():
    net = Block()
    assert list(net.parameters()) == [
        "scale",
        "layers.0.weight",
        "layers.0.bias",
        "heads.left.weight",
        "heads.left.bias",
        "heads.right.0",
        "heads.right.1.0.weight",
    ]
    assert net.parameters()["heads.right.0"] is net.heads["right"][0]
    assert list(net.states()) == ["count"]
    assert list(net.modules()) == ["", "layers.0", "layers.1", "heads.left", "heads.right.1.0"]
    assert net.modules()[""] is net
    assert repr(net) == "Block(16 parameters)"


def test_what_is_added_later_is_found():
    net = Block()
    net.layers.append(nn.Linear(2, 5))
    net.extra = ad.Parameter(1.0)
    assert {"layers.2.weight", "extra"} <= net.parameters().keys()
    del net.extra
    assert "extra" not in net.parameters()


class Tied(nn.Module):
    """One layer in two places, with one parameter of its own in a third, and a way back to itself."""

    def __init__(self):
        self.first = nn.Linear(2, 2, bias=False, dtype="float64")
        self.second = self.first
        self.alias = self.first.weight
        self.me = self
        self.children = [self, self.first]

    def forward(self, x):
        return self.second(self.first(x))


def test_what_is_shared_is_found_once():
    net = Tied()
    assert list(net.parameters()) == ["first.weight"]
    assert list(net.modules()) == ["", "first"]
    assert net.arrays().keys() == {"first.weight"}


def test_a_shared_parameter_gets_both_gradients():
    """d/dW of Σ (x W) W by differences."""
    net, x = Tied(), np.array([[1.0, -2.0]])
    net(x).sum().backward()
    weight = net.first.weight.value
    numerical = np.zeros((2, 2))
    for i in np.ndindex(2, 2):
        step = np.zeros((2, 2))
        step[i] = 1e-6
        numerical[i] = np.sum(x @ (weight + step) @ (weight + step) - x @ (weight - step) @ (weight - step)) / 2e-6
    np.testing.assert_allclose(net.first.weight.grad, numerical, rtol=1e-8)


def test_a_module_that_nobody_holds_is_gone():
    net = net_of_three()
    net(np.ones((1, 3))).sum().backward()
    gone = weakref.ref(net)
    del net
    gc.collect()
    assert gone() is None


# --- calling --------------------------------------------------------------------------------------------------------


def test_a_call_passes_settings_on():
    class Shift(nn.Module):
        def forward(self, x, y, *, by=0.0):
            return x + y + by

    assert Shift()(1.0, 2.0, by=3.0) == 6.0


def test_a_module_without_forward():
    with pytest.raises(AdjointError, match=r"Module: a module needs a method forward\(self, x\)"):
        nn.Module()(1.0)


def test_nodes_know_where_they_were_made():
    net = nn.Sequential(nn.Linear(3, 2), nn.Sequential(nn.Linear(2, 1)))
    out = net(ad.tensor(np.ones((1, 3), np.float32)))
    assert {node.node.scope for node in out.graph.nodes if node.node.op} == {
        "net.layers.0",
        "net.layers.1.layers.0",
    }
    assert (out * 2.0).node.scope == ""


def test_an_error_says_in_which_layer():
    net = nn.Sequential(nn.Linear(3, 2), nn.Linear(3, 1))
    with pytest.raises(ShapeError, match=r"2 columns meet 3 rows, at \S*test_module\.py:\d+ in net\.layers\.1"):
        net(np.ones((1, 3)))
    named = nn.Sequential(nn.Linear(2, 2), name="critic")
    with pytest.raises(ShapeError, match=r"in critic\.layers\.0"):
        named(np.ones((1, 3)))


def test_after_an_error_nothing_is_inside_the_module():
    with pytest.raises(ShapeError):
        nn.Linear(3, 2)(np.ones((1, 4)))
    assert ad.exp(ad.tensor(1.0)).node.scope == ""


def test_sequential_takes_functions_and_is_a_sequence():
    net = nn.Sequential(nn.Linear(2, 2), np.tanh, ad.exp)
    assert len(net) == 3
    assert net[0] is net.layers[0]
    x = np.ones((1, 2))
    expected = np.exp(np.tanh(x @ net[0].weight.value.astype(float)))
    np.testing.assert_allclose(net(x).value, expected, rtol=1e-6)
    assert repr(nn.Sequential(nn.Linear(2, 3), nn.ELU(0.5), np.tanh)) == "Sequential(Linear(2, 3), ELU(0.5), tanh)"
    assert nn.Sequential()(3.0) == 3.0


# --- modes and freezing ---------------------------------------------------------------------------------------------


def test_modes_reach_every_module():
    net = Block()
    assert net.eval() is net
    assert [module.training for module in net.modules().values()] == [False] * 5
    assert net.train() is net
    assert [module.training for module in net.modules().values()] == [True] * 5
    assert nn.Module.training is True


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*", ["layers.0.weight", "layers.0.bias", "layers.2.weight", "layers.2.bias"]),
        ("layers.0.*", ["layers.0.weight", "layers.0.bias"]),
        ("*.bias", ["layers.0.bias", "layers.2.bias"]),
        ("layers.[12].weight", ["layers.2.weight"]),
        ("layers.2.bias", ["layers.2.bias"]),
    ],
)
def test_freezing_by_pattern(pattern, expected):
    net = net_of_three()
    assert net.freeze(pattern) == expected
    assert [path for path, p in net.parameters().items() if not p.trainable] == expected
    if pattern != "*":
        net(np.ones((1, 3))).sum().backward()
    assert all((p.grad is None) == (path in expected or pattern == "*") for path, p in net.parameters().items())
    assert net.unfreeze(pattern) == expected
    assert all(p.trainable for p in net.parameters().values())
    net(np.ones((1, 3))).sum().backward()
    assert all(p.grad is not None for p in net.parameters().values())


def test_a_pattern_that_matches_nothing():
    with pytest.raises(AdjointError, match=r"freeze: expected a pattern that matches one of \['weight', 'bias'\]"):
        nn.Linear(1, 1).freeze("layers.*")


# --- arrays ---------------------------------------------------------------------------------------------------------


def test_arrays_there_and_back():
    net, other = Block(), Block()
    net.scale.assign([5.0, 6.0])
    net.count.assign(7)
    arrays = net.arrays()
    assert list(arrays) == sorted(arrays, key=list(arrays).index)
    assert arrays.keys() == net.parameters().keys() | net.states().keys()
    assert not any(array.flags.writeable for array in arrays.values())
    other.load_arrays(arrays)
    assert all(np.array_equal(other.arrays()[path], array) for path, array in arrays.items())
    assert int(other.count.value) == 7


def test_arrays_are_of_their_moment():
    net = Block()
    before = net.arrays()
    net.scale.assign([8.0, 9.0])
    assert before["scale"].tolist() == [1.0, 2.0]
    given = {path: np.array(array) for path, array in before.items()}
    net.load_arrays(given)
    given["scale"][:] = 77.0
    assert net.scale.tolist() == [1.0, 2.0]


BAD = {
    "missing": (lambda a: a.pop("bias"), AdjointError, r"missing \['bias'\], unexpected \[\]"),
    "unexpected": (lambda a: a.update(extra=1.0), AdjointError, r"missing \[\], unexpected \['extra'\]"),
    "a shape": (
        lambda a: a.update(bias=np.zeros(4)),
        ShapeError,
        r"load_arrays: expected shape \(2,\) for bias, got \(4,\)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_arrays_that_do_not_fit_change_nothing(name):
    """The weight, which comes first, would fit."""
    change, error, message = BAD[name]
    net = nn.Linear(3, 2)
    before = net.arrays()
    arrays = {"weight": np.zeros((3, 2)), "bias": np.zeros(2)}
    change(arrays)
    with pytest.raises(error, match=message):
        net.load_arrays(arrays)
    assert np.array_equal(net.weight.value, before["weight"])
    assert np.array_equal(net.bias.value, before["bias"])


@pytest.mark.parametrize("bad", ["text", np.array(["a", "b"]), np.array([1j, 2j]), [1.0, None]])
def test_values_that_are_no_numbers_change_nothing(bad):
    net = nn.Linear(3, 2)
    before = net.arrays()
    with pytest.raises(AdjointError):
        net.load_arrays({"weight": np.zeros((3, 2)), "bias": bad})
    assert np.array_equal(net.weight.value, before["weight"])
    assert np.array_equal(net.bias.value, before["bias"])
