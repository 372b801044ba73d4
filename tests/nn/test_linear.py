"""Linear and Maxout: what they compute, in which dtype, and what they take."""

import numpy as np
import pytest

import adjoint as ad
from adjoint import nn
from adjoint.errors import AdjointError, DTypeError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 3))


def test_linear_by_hand():
    layer = nn.Linear(3, 2, dtype="float64")
    layer.bias.assign([1.0, -2.0])
    out = layer(X)
    expected = np.array([[sum(x[i] * layer.weight.value[i, j] for i in range(3)) for j in range(2)] for x in X])
    np.testing.assert_allclose(out.value, expected + np.array([1.0, -2.0]), rtol=1e-13)
    upstream = RNG.normal(size=(5, 2))
    out.backward(upstream)
    np.testing.assert_allclose(layer.weight.grad, X.T @ upstream, rtol=1e-12)
    np.testing.assert_allclose(layer.bias.grad, upstream.sum(axis=0), rtol=1e-12)


@pytest.mark.parametrize("layer", [nn.Linear(3, 2, dtype="float64"), nn.Maxout(3, 2, 4, dtype="float64")])
def test_gradients_against_differences(layer):
    """With respect to every parameter and the input, of second order, too."""
    ad.gradcheck(lambda layer, x: (layer(x) ** 2).sum(), layer, X, order=2)


@pytest.mark.parametrize("shape", [(3,), (1, 3), (0, 3), (2, 4, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_takes_any_leading_axes(shape, bias):
    layer = nn.Linear(3, 2, bias=bias, dtype="float64")
    assert list(layer.parameters()) == ["weight", "bias"][: 1 + bias]
    x = ad.tensor(RNG.normal(size=shape))
    out = layer(x)
    assert out.shape == (*shape[:-1], 2)
    np.testing.assert_allclose(out.value, x.value @ layer.weight.value, rtol=1e-12)
    out.sum().backward()
    np.testing.assert_allclose(x.grad, np.broadcast_to(layer.weight.value.sum(axis=1), shape), rtol=1e-12)


@pytest.mark.parametrize("wrap", [lambda x: x, ad.tensor])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", [lambda d: nn.Linear(3, 2, dtype=d), lambda d: nn.Maxout(3, 2, dtype=d)])
def test_a_layer_computes_in_the_dtype_of_its_weights(make, dtype, wrap):
    layer = make(dtype)
    for x in (X, X.astype(np.float32), X.astype(np.float16), (10 * X).astype(int), X > 0):
        out = layer(wrap(x))
        assert out.dtype == dtype
        out.sum().backward()
        assert layer.weight.grad.dtype == dtype


def test_a_float64_input_of_a_float32_layer_gets_a_float64_gradient():
    x = ad.tensor(X)
    nn.Linear(3, 2)(x).sum().backward()
    assert x.grad.dtype == np.float64


def test_lists_and_integers_are_taken():
    layer = nn.Linear(3, 2)
    np.testing.assert_array_equal(layer([[1, 2, 3]]).value, layer(np.array([[1.0, 2.0, 3.0]])).value)


@pytest.mark.parametrize("layer", [nn.Linear(2, 2), nn.Maxout(2, 2)])
@pytest.mark.parametrize("x", [[["a", "b"]], np.array([[1j, 2j]]), None])
def test_what_is_no_number(layer, x):
    with pytest.raises(DTypeError, match=rf"{type(layer).__name__}: expected real numbers, got .*test_linear\.py:\d+"):
        layer(x)


@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_maxout_by_hand(pieces):
    layer = nn.Maxout(3, 2, pieces, dtype="float64")
    layer.bias.assign(RNG.normal(size=layer.bias.shape))
    candidates = np.stack([X @ layer.weight.value[k] + layer.bias.value[k] for k in range(pieces)])
    out = layer(X)
    np.testing.assert_allclose(out.value, candidates.max(axis=0), rtol=1e-13)
    out.sum().backward()
    won = candidates == candidates.max(axis=0)
    expected = np.stack([X.T @ won[k] for k in range(pieces)])
    np.testing.assert_allclose(layer.weight.grad, expected, rtol=1e-12, atol=1e-14)


def test_maxout_of_two_pieces_is_a_rectifier_or_a_magnitude():
    layer = nn.Maxout(1, 1, 2, dtype="float64")
    x = np.array([[-2.0], [3.0]])
    layer.load_arrays({"weight": [[[0.0]], [[1.0]]], "bias": np.zeros((2, 1, 1))})
    assert layer(x).tolist() == [[0.0], [3.0]]
    layer.load_arrays({"weight": [[[-1.0]], [[1.0]]], "bias": np.zeros((2, 1, 1))})
    assert layer(x).tolist() == [[2.0], [3.0]]


def test_reprs():
    assert repr(nn.Linear(3, 2)) == "Linear(3, 2)"
    assert repr(nn.Maxout(3, 2, 4)) == "Maxout(3, 2, pieces=4)"


# --- first weights --------------------------------------------------------------------------------------------------


def test_first_weights_come_from_the_generator():
    def weights(seed):
        rng = ad.random.Generator(seed)
        return [nn.Linear(3, 2, rng=rng).weight.value for _ in range(2)]

    first, again, other = weights(1), weights(1), weights(2)
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], other[0])


def test_biases_start_at_zero():
    assert not nn.Linear(3, 2).bias.value.any()
    assert not nn.Maxout(3, 2).bias.value.any()


def test_a_function_may_make_the_weights():
    layer = nn.Linear(3, 2, init=lambda rng, shape, dtype: np.full(shape, 0.5, dtype))
    assert layer.weight.tolist() == [[0.5, 0.5]] * 3


def test_an_initialiser_that_is_none():
    with pytest.raises(AdjointError, match="init: expected 'he' or 'xavier' or a function, got 'kaiming', at "):
        nn.Linear(3, 2, init="kaiming")
