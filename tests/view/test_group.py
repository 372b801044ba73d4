"""Groups of gates: the combined local gradient, what is refused, and that a group is a document as any other."""

import numpy as np
import pytest

import adjoint as ad
from adjoint.view import DocumentError, document, group, svg, text
from adjoint.view.document import from_bytes, to_bytes


def neuron():
    w0, x0, w1, x1, w2 = (
        ad.tensor(value, name=name)
        for name, value in {"w0": 2.0, "x0": -1.0, "w1": -3.0, "x1": -2.0, "w2": -3.0}.items()
    )
    s = (w0 * x0 + w1 * x1 + w2).named("s")
    f = (1 / (1 + ad.exp(-s))).named("f")
    f.backward()
    return f


def sigmoid():
    f = neuron()
    nodes = f.graph.nodes
    return group(f, nodes[[t.name for t in nodes].index("s") + 1 :], "sigmoid")


def column(made, name, label):
    return made["traces"][0][name][made["graph"]["nodes"]["label"].index(label)]


def test_the_lectures_sigmoid():
    made = sigmoid()
    assert made["graph"]["nodes"]["formula"][-1] == "sigmoid(s)"
    (edge,) = [e for e, target in enumerate(made["graph"]["edges"]["target"]) if target == made["graph"]["output"]]
    local = made["traces"][0]["locals"][edge]
    out = column(made, "values", "f")
    assert (round(out, 2), round(1 - out, 2), round(local, 2)) == (0.73, 0.27, 0.20)
    assert local == pytest.approx(out * (1 - out), rel=1e-15)
    assert made["traces"][0]["contributions"][edge] == column(made, "gradients", "s")


def test_what_is_outside_stays_as_it_is():
    before, made = document(neuron()), sigmoid()
    for label in ("w0", "x0", "w1", "x1", "w2", "s", "f"):
        for name in ("values", "gradients", "states"):
            assert column(made, name, label) == column(before, name, label)
    assert made["graph"]["count"] == before["graph"]["count"] - 3
    assert from_bytes(to_bytes(made)) == made


def test_text_and_picture_show_one_gate():
    made = sigmoid()
    assert text(made, digits=2).splitlines()[-1] == "sigmoid: ∂f/∂s = 0.20"
    assert "(sigmoid)─ f ─" in text(made)
    assert text(made, ascii=True).splitlines()[-1] == "sigmoid: df/ds = 0.1966"
    drawn = svg(made, digits=2)
    assert ">sigmoid<" in drawn
    assert ">sigmoid: ∂f/∂s = 0.20<" in drawn
    assert "the product of its local gradients, added up over its paths; ∂f/∂s = 0.20</title>" in drawn


def test_paths_add_up_and_an_input_that_is_used_twice_is_one_wire():
    x, y = ad.tensor(3.0, name="x"), ad.tensor(2.0, name="y")
    f = (x * x * y + x).named("f")
    f.backward()
    made = group(f, [t for t in f.graph.nodes if t.name not in ("x", "y")])
    assert made["graph"]["edges"] == {"source": [0, 1], "target": [2, 2], "position": [0, 1]}
    assert made["traces"][0]["locals"] == [13.0, 9.0]
    assert made["traces"][0]["contributions"] == [13.0, 9.0]


def test_groups_can_be_made_of_groups():
    made = sigmoid()
    whole = group(made, range(5, made["graph"]["count"]), "neuron")
    f = neuron()
    gradients = [t.grad.item() for t in f.graph.nodes[:5]]
    assert whole["graph"]["nodes"]["formula"][-1] == "neuron(w0, x0, w1, x1, w2)"
    np.testing.assert_allclose(whole["traces"][0]["locals"], gradients, rtol=1e-15)


@pytest.mark.parametrize("detail", ["full", "statistics"])
def test_arrays_element_by_element(detail):
    x, b = ad.tensor(np.linspace(-1.0, 1.0, 100), name="x"), ad.tensor(0.5, name="b")
    y = ad.tanh(ad.exp(x * b) + ad.stop_gradient(x)).named("y")
    f = y.sum()
    f.backward()
    made = group(document(f, detail=detail), range(2, len(f.graph.nodes) - 1))
    sources = [made["graph"]["nodes"]["label"][e] for e in made["graph"]["edges"]["source"]]
    assert sources == ["x", "b", "y"]
    found = made["traces"][0]["locals"][:2]
    if detail == "statistics":
        assert found == [None, None]
        return
    slope = (1 - y.value**2) * np.exp(x.value * 0.5)
    np.testing.assert_allclose(found[0]["data"], slope * 0.5, rtol=1e-12)
    np.testing.assert_allclose(found[1]["data"], slope * x.value, rtol=1e-12)
    assert made["traces"][0]["contributions"][1] == pytest.approx(b.grad.item(), rel=1e-15)


def test_a_group_with_a_matrix_product_has_no_local_gradient_per_element():
    W, x = ad.tensor(np.ones((2, 2)), name="W"), ad.tensor([1.0, 2.0], name="x")
    f = (ad.relu(W @ x).named("h")).sum()
    f.backward()
    made = group(f, ["h", "#2"], "layer")
    assert made["traces"][0]["locals"][:2] == [None, None]
    assert made["traces"][0]["contributions"][1]["data"] == [2.0, 2.0]
    assert "(layer)" in text(made)


def test_before_a_backward_pass_local_gradients_are_there_already():
    x = ad.tensor(2.0, name="x")
    made = group(ad.exp(x * 3.0) * 2.0, ["#1", "#2", "#3"])
    assert made["traces"][0]["locals"] == [pytest.approx(6 * np.exp(6.0))]
    assert made["traces"][0]["contributions"] == [None]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (["x"], "expected gates, got x"),
        ([], "expected gates, got nothing"),
        (["nobody"], r"expected a node of this graph \(x, y, p, q, f\), got 'nobody'"),
        ([17], "expected a node of this graph .*, got 17"),
        (["p", "q"], "expected one gate that is used outside of the group, got p, q"),
        ([ad.tensor(1.0)], "expected a node of this graph .*, got a Tensor of another graph"),
    ],
)
def test_what_is_no_group_is_refused(nodes, message):
    x, y = ad.tensor(3.0, name="x"), ad.tensor(2.0, name="y")
    f = ((x * y).named("p") * (x + y).named("q")).named("f")
    with pytest.raises(DocumentError, match=f"group: {message}"):
        group(f, nodes)
