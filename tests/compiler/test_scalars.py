"""Big graphs of single numbers inside compiled functions: one op, the same results as the graph itself."""

import numpy as np
import pytest

import adjoint as ad
from adjoint.compiler.scalars import LIMIT
from adjoint.compiler.trace import trace

RNG = np.random.default_rng(3)
CELLS = LIMIT // 2


def chain(xs, places):
    """Cells that take two earlier values each."""
    values = list(xs)
    total = values[0]
    for i, j in places:
        values.append(ad.tanh(values[i] * values[j] + 0.3))
        total = total + values[-1]
    return total


@pytest.fixture(scope="module")
def places():
    return [tuple(RNG.integers(0, 4 + k, 2)) for k in range(CELLS)]


LEAVES = [0.3, -0.7, 0.1, 0.9]


def test_value_and_gradient_are_those_of_the_graph(places):
    both = ad.value_and_grad(lambda xs: chain(xs, places))
    value, gradient = ad.compile(both)(LEAVES)
    wanted, slopes = both(LEAVES)
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-9)


def test_a_trace_is_short(places):
    """Without the tape it would have several nodes for each of the graph."""
    traced = trace(ad.value_and_grad(lambda xs: chain(xs, places)), (LEAVES,))
    gradient = traced.outputs[1]
    names, stack = set(), [gradient]
    while stack:
        node = stack.pop()
        if node._rule.op is not None:
            names.add(node._rule.op.name)
        stack += [x for x in node._inputs if isinstance(x, ad.Tensor)]
    assert "run_tape" in names
    assert "tanh" not in names


def test_gradients_go_on_beyond_the_border(places):
    """The numbers are elements of a Parameter, the result is part of a larger loss, and an optimiser steps."""
    w = ad.Parameter(np.array(LEAVES), name="w")
    v = ad.Parameter(np.array(LEAVES), name="v")

    def stepping(p):
        optimizer = ad.optim.SGD([p], lr=0.01)

        def step():
            loss = chain([p[i] for i in range(4)], places) * 0.5
            loss.backward()
            optimizer.step()
            return loss

        return step

    eager, compiled = stepping(w), ad.compile(stepping(v))
    for _ in range(3):
        np.testing.assert_allclose(compiled().item(), eager().item(), rtol=1e-9)
    np.testing.assert_allclose(v.value, w.value, rtol=1e-9)


def test_small_graphs_have_no_tape():
    traced = trace(ad.grad(lambda x: chain([x, x, x, x], [(0, 1), (2, 4)])), (0.5,))
    assert "run_tape" not in str([t.node.op for t in ad.Graph(traced.outputs[0]).nodes])
