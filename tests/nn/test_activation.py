"""Activations as layers: values, gradients and what they look like in a network."""

import numpy as np
import pytest
from scipy.special import expit

import adjoint as ad
from adjoint import nn

X = np.array([-3.0, -0.5, 0.5, 2.0])
LAYERS = {
    "ReLU()": (nn.ReLU(), [0, 0, 0.5, 2], [0, 0, 1, 1]),
    "Sigmoid()": (nn.Sigmoid(), expit(X), expit(X) * expit(-X)),
    "Tanh()": (nn.Tanh(), np.tanh(X), 1 / np.cosh(X) ** 2),
    "LeakyReLU(0.01)": (nn.LeakyReLU(), [-0.03, -0.005, 0.5, 2], [0.01, 0.01, 1, 1]),
    "LeakyReLU(0.2)": (nn.LeakyReLU(0.2), [-0.6, -0.1, 0.5, 2], [0.2, 0.2, 1, 1]),
    "ELU(1.0)": (nn.ELU(), [np.exp(-3) - 1, np.exp(-0.5) - 1, 0.5, 2], [np.exp(-3), np.exp(-0.5), 1, 1]),
    "ELU(0.5)": (
        nn.ELU(0.5),
        [0.5 * (np.exp(-3) - 1), 0.5 * (np.exp(-0.5) - 1), 0.5, 2],
        [0.5 * np.exp(-3), 0.5 * np.exp(-0.5), 1, 1],
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_values_and_gradients(name):
    layer, values, gradients = LAYERS[name]
    assert repr(layer) == name
    x = ad.tensor(X)
    out = layer(x)
    np.testing.assert_allclose(out.value, values, rtol=1e-13)
    out.sum().backward()
    np.testing.assert_allclose(x.grad, gradients, rtol=1e-13)
    np.testing.assert_allclose(layer(X), values, rtol=1e-13)
    ad.gradcheck(layer, X, order=2)


@pytest.mark.parametrize("name", LAYERS)
def test_far_out_nothing_overflows(name):
    layer = LAYERS[name][0]
    x = ad.tensor(np.array([-1e4, 1e4], np.float32))
    out = layer(x)
    out.sum().backward()
    assert out.dtype == x.grad.dtype == np.float32
    assert np.isfinite(out.value).all()
    assert np.isfinite(x.grad).all()


@pytest.mark.parametrize("name", LAYERS)
def test_they_have_no_parameters(name):
    assert LAYERS[name][0].parameters() == {}
