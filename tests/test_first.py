"""What a reader should meet first: four small graphs, each with the gradient that one can work out by hand."""

import math

import numpy as np

import adjoint as ad


def test_a_diamond_sums_the_gradients_of_its_two_sides():
    x = ad.tensor(3.0)
    left, right = x * 2.0, x * x
    out = left * right  # 2x³

    out.backward()

    assert out.item() == 54.0
    assert (left.grad, right.grad) == (9.0, 6.0)
    assert x.grad == 6 * 3.0**2


def test_a_leaf_used_many_times_gets_the_sum_over_its_uses():
    x, y = ad.tensor(2.0), ad.tensor(5.0)
    out = x * y + x + x  # d/dx = y + 2

    out.backward()

    assert x.grad == 7.0
    assert y.grad == 2.0


def test_a_node_used_twice_by_one_op_gets_both_terms():
    x = ad.tensor([1.0, -2.0])
    (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad, [2.0, -4.0])


def test_a_chain_of_ten_thousand_needs_no_recursion():
    x = ad.tensor(1.0)
    y = x
    for _ in range(10_000):
        y = y * 1.0001

    y.backward()

    assert math.isclose(x.grad.item(), 1.0001**10_000, rel_tol=1e-11)
    assert math.isclose(y.item(), 1.0001**10_000, rel_tol=1e-11)


def test_backward_twice_replaces_the_gradients():
    x = ad.tensor(3.0)
    y = x * x
    y.backward()
    y.backward()
    assert x.grad == 6.0
    assert y.grad == 1.0


def test_backward_twice_adds_when_asked_to():
    x = ad.tensor(3.0)
    y = x * x
    y.backward()
    y.backward(accumulate=True)
    assert x.grad == 12.0
    assert y.grad == 2.0


def test_the_circuit_of_the_lecture():
    x, y, z = ad.tensor(-2.0), ad.tensor(5.0), ad.tensor(-4.0)
    q = x + y
    f = q * z

    f.backward()

    assert (q.item(), f.item()) == (3.0, -12.0)
    assert [t.grad.item() for t in (x, y, z, q, f)] == [-4.0, -4.0, 3.0, -4.0, 1.0]
