"""Jacobians and Hessians as objects: shapes, products, containers, empty and scalar cases, and derivatives of them."""

import re

import numpy as np
import pytest
from scipy import optimize

import adjoint as ad

A = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
X = np.array([0.5, -1.5, 2.0])


def test_the_jacobian_of_a_linear_map_is_its_matrix():
    J = ad.jacobian(lambda x: A @ x)(X)
    assert isinstance(J, ad.Jacobian)
    assert (J.structure, J.shape, J.out_shape, J.in_shape, J.ndim) == ("dense", (2, 3), (2,), (3,), 2)
    assert (J.dtype, J.nbytes) == (np.float64, 48)
    np.testing.assert_array_equal(np.asarray(J), A)
    np.testing.assert_array_equal(J.todense(), A)
    np.testing.assert_array_equal(J @ X, A @ X)
    np.testing.assert_array_equal(J.T @ [1.0, 10.0], A.T @ [1.0, 10.0])
    np.testing.assert_array_equal(J.T.T.todense(), A)
    assert repr(J) == "<Jacobian (2,) by (3,), dense, 48 bytes>"


@pytest.mark.parametrize("rows", [1, 2, 5], ids=["wide", "square", "tall"])
def test_wide_and_tall_ones_agree_with_the_closed_form(rows):
    B = np.arange(2.0 * rows).reshape(rows, 2)
    x = np.array([0.3, 0.7])
    np.testing.assert_allclose(ad.jacobian(lambda x: np.tanh(B @ x))(x), (1 - np.tanh(B @ x) ** 2)[:, None] * B)


def test_shape_is_out_then_in():
    x = np.arange(6.0).reshape(2, 3)
    J = ad.jacobian(lambda x: x.T * 2.0)(x)
    assert J.shape == (3, 2, 2, 3)
    expected = np.einsum("ac,bd->badc", 2 * np.eye(2), np.eye(3)).transpose(0, 1, 3, 2)
    np.testing.assert_array_equal(np.asarray(J), expected)
    np.testing.assert_array_equal(J @ x, 2 * x.T)
    np.testing.assert_array_equal(J.T @ x.T, 2 * x)
    assert J.matrix().shape == (6, 6)


def test_scalars_have_jacobians_without_axes():
    J = ad.jacobian(lambda x: x**3)(2.0)
    assert (J.shape, float(np.asarray(J))) == ((), 12.0)
    assert J @ 2.0 == 24.0
    assert ad.jacobian(lambda x: x.sum())(X).shape == (3,)
    assert ad.jacobian(lambda s: s * X)(2.0).shape == (3,)
    np.testing.assert_array_equal(np.asarray(ad.jacobian(lambda s: s * X)(2.0)), X)


def test_empty_inputs_and_outputs():
    assert ad.jacobian(lambda x: x * 2.0)(np.zeros(0)).shape == (0, 0)
    assert ad.jacobian(lambda x: x[:0])(X).shape == (0, 3)
    assert ad.jacobian(lambda x: x.sum())(np.zeros((0, 2))).shape == (0, 2)


def test_a_result_that_does_not_depend_on_the_input():
    np.testing.assert_array_equal(np.asarray(ad.jacobian(lambda x: np.ones(2))(X)), np.zeros((2, 3)))
    np.testing.assert_array_equal(np.asarray(ad.jacobian(lambda x: np.ones(5))(X)), np.zeros((5, 3)))


def test_float32_stays_float32():
    assert ad.jacobian(lambda x: x * x)(X.astype(np.float32)).dtype == np.float32
    assert ad.jacobian(lambda x: (x * x).sum())(X.astype(np.float32)).dtype == np.float32


def test_argnums_and_containers():
    f = lambda x, y: {"p": x * y, "s": x.sum()}  # noqa: E731
    y = np.array([1.0, 2.0, 3.0])
    J = ad.jacobian(f, argnums=(0, 1))(X, y)
    np.testing.assert_array_equal(np.asarray(J["p"][0]), np.diag(y))
    np.testing.assert_array_equal(np.asarray(J["p"][1]), np.diag(X))
    np.testing.assert_array_equal(np.asarray(J["s"][0]), np.ones(3))
    np.testing.assert_array_equal(np.asarray(J["s"][1]), np.zeros(3))
    J = ad.jacobian(lambda p: p["a"] * p["b"])({"a": 2.0, "b": X})
    np.testing.assert_array_equal(np.asarray(J["a"]), X)
    np.testing.assert_array_equal(np.asarray(J["b"]), 2.0 * np.eye(3))


def test_the_hessian_is_scipys_and_symmetric():
    def rosen(x):
        return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()

    H = np.asarray(ad.hessian(rosen)(X))
    np.testing.assert_allclose(H, optimize.rosen_hess(X))
    np.testing.assert_allclose(H, H.T)


def test_the_hessian_by_several_arguments_is_a_block_matrix():
    H = ad.hessian(lambda x, y: x**2 * y, argnums=(0, 1))(3.0, 5.0)
    assert [[float(np.asarray(block)) for block in row] for row in H] == [[10.0, 6.0], [6.0, 0.0]]


def test_jacobian_of_a_gradient_is_the_hessian():
    f = lambda x: (x**3).sum() + x[0] * x[1]  # noqa: E731
    expected = np.diag(6 * X) + np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(np.asarray(ad.jacobian(ad.grad(f))(X)), expected)
    np.testing.assert_allclose(np.asarray(ad.hessian(f)(X)), expected)


def test_gradient_of_a_jacobian():
    norm = lambda x: (ad.jacobian(lambda y: y * y)(x).todense() ** 2).sum()  # noqa: E731
    np.testing.assert_allclose(ad.grad(norm)(X), 8.0 * X)
    assert ad.grad(lambda x: ad.jacobian(lambda y: y**3)(x))(2.0) == 12.0


def test_jacobian_of_a_jacobian():
    third = ad.jacobian(ad.jacobian(lambda x: x**3))(X)
    assert third.shape == (3, 3, 3)
    expected = np.zeros((3, 3, 3))
    expected[range(3), range(3), range(3)] = 6.0 * X
    np.testing.assert_allclose(np.asarray(third), expected)
    np.testing.assert_allclose(np.asarray(ad.jacobian(ad.hessian(lambda x: (x**4).sum()))(X))[1, 1, 1], 24.0 * X[1])


def test_products_inside_a_transform_keep_the_gradient():
    f = lambda x: (ad.jacobian(lambda y: y * y)(x) @ np.ones(3)).sum()  # noqa: E731
    np.testing.assert_allclose(ad.grad(f)(X), [2.0, 2.0, 2.0])
    with pytest.raises(ad.errors.GradientError, match="gradient would be lost"):
        ad.grad(lambda x: np.asarray(ad.jacobian(lambda y: y * y)(x)).sum())(X)


def test_a_module_gives_jacobians_by_path():
    net = ad.nn.Linear(3, 2, rng=ad.random.Generator(0), dtype="float64")
    J = ad.jacobian(lambda n: n(X))(net)
    assert {path: block.shape for path, block in J.items()} == {"weight": (2, 3, 2), "bias": (2, 2)}
    np.testing.assert_array_equal(np.asarray(J["bias"]), np.eye(2))


def test_a_vector_of_another_shape_is_refused():
    J = ad.jacobian(lambda x: A @ x)(X)
    with pytest.raises(ad.errors.ShapeError, match=re.escape("Jacobian @ v: expected shape (3,), got (2,), at ")):
        J @ np.ones(2)
