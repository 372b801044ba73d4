"""Networks as layers, neurons and activations: the numbers are those of the network, and nothing lies on anything."""

import re
from itertools import combinations, pairwise
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import adjoint as ad
from adjoint.ops.random import Generator
from adjoint.view.activation import activation
from adjoint.view.layers import layers
from adjoint.view.network import network
from adjoint.view.neuron import neuron
from adjoint.view.tokens import cells

SPACE = "{http://www.w3.org/2000/svg}"


def net(*sizes, activation=ad.nn.Tanh):
    rng = Generator(0)
    stages = [(ad.nn.Linear(a, b, rng=rng), activation()) for a, b in pairwise(sizes)]
    return ad.nn.Sequential(*[layer for stage in stages for layer in stage][:-1])


def batch(n, width):
    return np.random.default_rng(0).normal(size=(n, width)).astype(np.float32)


def texts(picture):
    return [t.text for t in ET.fromstring(picture).iter(f"{SPACE}text")]


def elements(picture, kind):
    return [e for e in ET.fromstring(picture).iter() if kind in e.get("class", "").split()]


# --- layers ---------------------------------------------------------------------------------------------------------


def test_layers_have_the_numbers_of_the_batch():
    model, x = net(3, 4, 2), batch(5, 3)
    first, second = layers(model, x)
    np.testing.assert_array_equal(first.inputs, x)
    np.testing.assert_allclose(first.sums, x @ first.weight + first.bias, rtol=1e-6)
    np.testing.assert_allclose(first.outputs, np.tanh(first.sums), rtol=1e-6)
    np.testing.assert_array_equal(second.inputs, first.outputs)
    np.testing.assert_array_equal(second.outputs, model(x).value)
    assert (first.activation, second.activation) == ("tanh", "")


def test_layers_of_any_module_and_without_bias():
    class Own(ad.nn.Module):
        def __init__(self):
            self.W = ad.Parameter(np.eye(2), name="W")

        def forward(self, x):
            return ad.relu(x @ self.W).sum()

    (layer,) = layers(Own(), [1.0, -2.0])
    assert (layer.bias, layer.activation) == (None, "relu")
    np.testing.assert_array_equal(layer.outputs, [[1.0, 0.0]])
    with pytest.raises(ad.AdjointError, match="expected layers that compute x @ weight, got ReLU"):
        layers(ad.nn.ReLU(), [1.0])


@pytest.mark.parametrize("kind", [ad.nn.Sigmoid, ad.nn.Tanh, ad.nn.ReLU, ad.nn.LeakyReLU])
def test_a_curve_has_the_derivative_of_its_activation(kind):
    (layer, _) = layers(net(2, 3, 1, activation=kind), batch(4, 2))
    x = np.linspace(-3.0, 3.0, 20)
    y, slope = layer.curve(x)
    step = 1e-6
    numeric = (layer.curve(x + step)[0] - layer.curve(x - step)[0]) / (2 * step)
    np.testing.assert_allclose(slope, numeric, atol=1e-8)
    np.testing.assert_allclose(y, np.asarray(kind()(x)))


# --- the pictures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "caption"),
    [
        ((3, 4, 2), "3-4-2: 2-layer network = 1 hidden layer"),
        ((3, 4, 4, 1), "3-4-4-1: 3-layer network = 2 hidden layers"),
        ((3, 2), "3-2: 1-layer network = no hidden layer"),
    ],
)
def test_the_lectures_networks(sizes, caption):
    drawn = network(net(*sizes), batch(2, sizes[0]))
    assert caption in texts(drawn)
    assert len(elements(drawn, "gate")) == sum(sizes)
    assert len(elements(drawn, "weight")) == sum(a * b for a, b in pairwise(sizes))


def test_parameters_are_counted_as_on_the_slide():
    assert "6 neurons, 20 weights + 6 biases = 26 parameters" in texts(network(net(3, 4, 2), batch(1, 3)))
    assert "9 neurons, 32 weights + 9 biases = 41 parameters" in texts(network(net(3, 4, 4, 1), batch(1, 3)))


def test_wires_say_their_sign_and_circles_their_number():
    model, x = net(2, 3), batch(1, 2)
    drawn = network(model, x)
    weight = model.layers[0].weight.value
    assert len(elements(drawn, "negative")) == (weight < 0).sum()
    assert [f"{value:.2f}" for value in (*x[0], *model(x).value[0])] == [e.text for e in elements(drawn, "tiny")]


def test_of_a_large_layer_the_first_and_the_last_units_are_drawn():
    drawn = network(net(64, 100, 10), batch(2, 64))
    assert texts(drawn).count("⋮") == 3
    assert {"64 units", "100 units", "10 units"} <= set(texts(drawn))
    assert len(elements(drawn, "gate")) == 3 * 7


def test_a_neuron_has_its_numbers():
    model = net(2, 1, activation=ad.nn.Sigmoid)
    model = ad.nn.Sequential(*model.layers, ad.nn.Sigmoid())
    model.layers[0].weight.assign([[2.0], [-3.0]])
    model.layers[0].bias.assign([-3.0])
    drawn = neuron(model, [[-1.0, -2.0]])
    shown = texts(drawn)
    assert {"x0 = -1.00", "w0 = 2.00", "-2.00", "x1 = -2.00", "w1 = -3.00", "6.00", "-3.00"} <= set(shown)
    assert shown[-4:] == ["1.00", "sigmoid", "0.73", "out"]


def test_of_many_inputs_those_with_the_largest_products_are_drawn():
    model, x = net(64, 10), batch(3, 64)
    drawn = neuron(model, x, unit=-1, row=2, digits=4)
    products = x[2] * model.layers[0].weight.value[:, 9]
    largest = sorted(np.argsort(-np.abs(products))[:8])
    assert [t.split(" ")[0] for t in texts(drawn) if t.startswith("x")] == [f"x{i}" for i in largest]
    assert "56 others" in texts(drawn)
    assert f"{products.sum() - products[largest].sum():.4f}" in texts(drawn)


@pytest.mark.parametrize(
    ("kind", "zones"), [(ad.nn.Sigmoid, 2), (ad.nn.Tanh, 2), (ad.nn.ReLU, 1), (ad.nn.LeakyReLU, 0)]
)
def test_saturated_zones_are_shaded_and_the_share_is_that_of_the_sums(kind, zones):
    model, x = net(8, 20, 1, activation=kind), 3 * batch(50, 8)
    drawn = activation(model, x)
    sums = layers(model, x)[0].sums
    assert len(elements(drawn, "zone")) == zones
    flat = {
        ad.nn.Sigmoid: (1 / (1 + np.exp(-np.abs(sums))) >= 0.99),
        ad.nn.Tanh: np.abs(np.tanh(sums)) >= 0.99,
        ad.nn.ReLU: sums <= 0.01,
        ad.nn.LeakyReLU: np.zeros(1),
    }[kind].mean()
    assert f"1,000 sums of layers.0; {flat:.0%} of the sums are in the shaded zones" in texts(drawn)


def test_the_histogram_counts_every_sum():
    drawn = activation(net(8, 20, 1), batch(50, 8))
    (bars,) = elements(drawn, "chart")
    heights = [float(h) for h in re.findall(r"v-([\d.]+)h", bars.get("d"))]
    assert max(heights) == 70.0
    assert 5 < len(heights) <= 40


def test_what_is_not_there_is_refused(tmp_path):
    model, x = net(3, 2), batch(1, 3)
    for wrong in ({"layer": 1}, {"unit": 2}, {"row": -2}):
        with pytest.raises(ad.AdjointError, match=f"neuron: expected a {next(iter(wrong))} below"):
            neuron(model, x, **wrong)
    with pytest.raises(ad.AdjointError, match="activation: expected a layer with an activation, got layers"):
        activation(model, x)
    with pytest.raises(OSError, match="nowhere"):
        network(model, x, tmp_path / "nowhere" / "a.svg")


def test_nothing_lies_on_anything(tmp_path):
    model, x = net(64, 100, 10, activation=ad.nn.Sigmoid), 2 * batch(5, 64)
    pictures = [network(net(3, 4, 4, 1), batch(1, 3)), network(model, x), neuron(model, x), activation(model, x)]
    for drawn in pictures:
        boxes = [_extent(t) for t in ET.fromstring(drawn).iter(f"{SPACE}text")]
        for (a, first), (b, second) in combinations(boxes, 2):
            apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
            assert apart, (first, second)
    assert network(model, x, tmp_path / "n.svg") + "\n" == (tmp_path / "n.svg").read_text("utf-8")


def _extent(element):
    """The rectangle of a text as a fixed-width font sets it."""
    kind = element.get("class").split()
    size = 10 if "tiny" in kind else 11 if "small" in kind else 18 if "symbol" in kind else 13
    wide, x, y = cells(element.text) * size * 0.602, int(element.get("x")), int(element.get("y"))
    left = x - wide / 2 if "middle" in kind else x - wide if "end" in kind else x
    return (left, y - size * 0.75, left + wide, y + size * 0.2), element.text


def test_pictures_are_the_same_every_time_and_serve_light_and_dark():
    model, x = net(3, 4, 2), batch(2, 3)
    assert network(model, x) == network(model, x)
    assert "prefers-color-scheme:dark" in neuron(model, x)
    assert "prefers-color-scheme" not in activation(model, x, theme="dark")
