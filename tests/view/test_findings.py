"""What is said to be wrong with a graph: the measures on arrays, and the sentences with their nodes."""

import numpy as np
import pytest

import adjoint as ad
from adjoint.view import document
from adjoint.view.findings import dead_units, is_finite, norm, norm_troubles, saturated_units


def found(output):
    return [(each["kind"], each["node"], each["severity"], each["text"]) for each in document(output)["findings"]]


# --- measures -------------------------------------------------------------------------------------------------------


def test_a_unit_is_dead_if_it_is_zero_for_the_whole_batch():
    out = np.random.default_rng(0).uniform(0.1, 1.0, size=(4, 3, 5))
    out[:, :, 1] = 0.0
    out[0, :, 2] = 0.0
    assert dead_units(out) == (1, 5)
    assert dead_units(out[0]) is None, "three rows say nothing"
    assert dead_units(np.zeros(10)) is None
    assert dead_units(np.zeros((0, 4))) is None


def test_a_unit_is_saturated_if_it_is_near_an_end_for_the_whole_batch():
    out = np.tile([0.995, 0.985, 0.5, 0.005], (8, 1))
    out[0, 3] = 0.5
    assert saturated_units(out, 0.0, 1.0) == (1, 4, pytest.approx((8 + 7) / 32))


def test_norms_are_compared_with_weights_and_with_the_last_layer():
    fine = [1.0, 0.1, 0.5]
    assert list(norm_troubles(fine, [1.0] * 3)) == []
    assert list(norm_troubles([1e5, 1e2, 1.0], [1e3] * 3)) == [(0, "exploding gradient")]
    assert list(norm_troubles([2e3, 2e3], [1.0, 3.0])) == [(0, "exploding gradient")]
    assert list(norm_troubles([0.0, 1e-3, 1.0], [1.0] * 3)) == [(0, "vanishing gradient")]
    assert list(norm_troubles([0.0, 0.0], [1.0] * 2)) == []
    assert list(norm_troubles([1.0, np.nan, np.inf], [1.0] * 3)) == []


def test_norm_and_finiteness():
    assert norm([np.array([3.0]), 4.0]) == 5.0
    assert norm([]) == 0.0
    assert [is_finite(x) for x in (1.0, np.inf, np.array([1, 2]), np.array([np.nan]), None)] == [
        *(True, False, True, False, True)
    ]


# --- sentences ------------------------------------------------------------------------------------------------------


def test_the_first_origin_of_what_is_not_finite():
    x, y = ad.tensor(-1.0, name="x"), ad.tensor(2.0, name="y")
    with np.errstate(all="ignore"):
        q = ad.log(x).named("q")
    f = ((q + y).named("s") * y).named("f")
    f.backward()
    text = "q = log(x): the first value that is not finite"
    assert found(f)[0] == ("not finite", document(f)["graph"]["nodes"]["label"].index("q"), "error", text)


def test_a_gradient_that_is_not_finite_has_its_origin_nearest_to_the_output():
    x = ad.tensor(0.0, name="x")
    f = ad.sqrt((x * 2.0).named("d")).named("f")
    with np.errstate(all="ignore"):
        f.backward()
    assert found(f) == [("not finite", 1, "error", "d = x × 2: the first gradient that is not finite")]


def test_dead_units_of_a_layer():
    net = ad.nn.Sequential(ad.nn.Linear(3, 4), ad.nn.ReLU(), ad.nn.Linear(4, 1))
    net.layers[0].bias.assign([-1e3, -1e3, 1e3, 1e3])
    out = net(np.random.default_rng(0).normal(size=(16, 3)))
    ((kind, node, severity, text),) = found(out)
    assert (kind, severity) == ("dead units", "warning")
    assert text.endswith("2 of 4 units are 0 for the whole batch")
    assert document(out)["graph"]["ops"][document(out)["graph"]["nodes"]["op"][node]]["name"] == "relu"


@pytest.mark.parametrize(("activation", "ends"), [(ad.tanh, "−1 or 1"), (ad.sigmoid, "0 or 1")])
def test_saturated_units(activation, ends):
    x = ad.tensor(np.tile([30.0, -30.0, 0.1, 20.0], (8, 1)), name="x")
    ((kind, node, severity, text),) = found(activation(x).named("a"))
    assert (kind, node, severity) == ("saturation", 1, "warning")
    assert text.endswith(f": 3 of 4 units are saturated, 75% of the outputs near {ends}")


def test_gradients_that_vanish_on_the_way_back():
    layers = [layer for _ in range(6) for layer in (ad.nn.Linear(4, 4), ad.nn.Sigmoid())]
    net = ad.nn.Sequential(*layers, ad.nn.Linear(4, 1))
    for layer in layers[::2]:
        layer.weight.assign(np.full((4, 4), 0.01))
    loss = (net(np.ones((2, 4))) ** 2).sum()
    loss.backward()
    vanishing = [each for each in found(loss) if each[0] == "vanishing gradient"]
    assert vanishing[0][3].startswith("net.layers.0: gradient of norm ")
    assert len(vanishing) < 6
    nodes = document(loss)["graph"]["nodes"]
    assert {nodes["kind"][node] for _, node, _, _ in vanishing} == {"parameter"}


def test_the_worst_comes_first_and_a_sound_graph_has_none():
    x = ad.tensor(np.tile([-1.0, np.inf], (8, 1)), name="x")
    assert [(kind, severity) for kind, _, severity, _ in found(ad.tanh(ad.relu(x)))] == [
        ("not finite", "error"),
        ("dead units", "warning"),
        ("saturation", "note"),
    ]
    sound = ad.tensor(2.0, name="x") * 3.0
    sound.backward()
    assert found(sound) == []
