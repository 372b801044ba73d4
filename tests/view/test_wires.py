"""Documents as text: what is drawn of a document is what is drawn of its graph."""

import numpy as np
import pytest

import adjoint as ad
from adjoint.compiler.trace import trace
from adjoint.view import document, text


def scalars(**values):
    return [ad.tensor(value, name=name) for name, value in values.items()]


def neuron():
    w0, x0, w1, x1, w2 = scalars(w0=2.0, x0=-1.0, w1=-3.0, x1=-2.0, w2=-3.0)
    return 1 / (1 + ad.exp(-(w0 * x0 + w1 * x1 + w2)))


def branches():
    x, y, z = scalars(x=3.0, y=2.0, z=1.0)
    return (x * y).named("p") + x * ad.stop_gradient(y) + ad.constant(2.0, name="c") * ad.maximum(z, x)


def norm():
    W = ad.tensor([[0.1, 0.5], [-0.3, 0.8]], name="W")
    x = ad.tensor([0.2, 0.4], name="x")
    return (((W @ x).named("q")) ** 2).sum().named("f")


def large():
    return (ad.tensor(np.arange(90.0), name="x") * 2.0).sum().named("f")


@pytest.mark.parametrize("make", [neuron, branches, norm, large])
@pytest.mark.parametrize("settings", [{}, {"digits": 2}, {"ascii": True}, {"values": False}, {"width": 60}])
def test_a_document_is_drawn_as_its_graph(make, settings):
    f = make()
    assert text(document(f), **settings) == text(f.graph, **settings)
    ledger = ad.ledger(f)
    assert text(document(f), **settings) == text(f.graph, ledger=ledger, **settings)
    assert text(document(f), gradients=False) == text(f.graph, gradients=False, ledger=ledger)


def test_a_large_document_is_a_table_with_a_gap():
    x = ad.tensor(1.0, name="x")
    f = x
    for _ in range(60):
        f = f * 2.0
    lines = text(document(f)).splitlines()
    assert lines[0] == "61 nodes"
    assert lines[2].split() == ["node", "operation", "shape", "value", "gradient"]
    assert lines[3].split() == ["x", "input", "()", "1.00"]
    assert "… 21 more" in lines
    assert len(lines) == 3 + 41


def test_a_document_without_data_shows_shapes():
    (output,) = trace(lambda x: x * 2.0, [np.ones(3)]).outputs
    assert "float64[3]" in text(document(output))
