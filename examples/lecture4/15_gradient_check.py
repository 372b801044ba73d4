"""Numerical against analytic gradient (lecture 4, "Gradient descent").

The lecture's comparison: the numerical gradient is slow, approximate and easy to write; the analytic one
fast, exact and error-prone, if a human derives it. So: always use the analytic gradient, and check it with
the numerical one.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import adjoint as ad

Array = np.ndarray

rng = np.random.default_rng(0)
data, labels = rng.standard_normal((20, 15)), rng.integers(0, 10, 20)
weights = 0.1 * rng.standard_normal((15, 10))


def loss_fun(W: Any) -> Any:
    """Softmax loss of a linear classifier with 150 weights."""
    return ad.nn.cross_entropy(data @ W, labels)


def numerical_gradient(f: Callable[[Array], float], W: Array, h: float, centred: bool) -> Array:
    """One number at a time: (f(W + h) - f(W)) / h, or with W - h on the other side."""
    gradient = np.zeros_like(W)
    for index in np.ndindex(W.shape):
        step = np.zeros_like(W)
        step[index] = h
        back = step if centred else np.zeros_like(W)
        gradient[index] = (f(W + step) - f(W - back)) / ((1 + centred) * h)
    return gradient


def analytic_by_hand(W: Array) -> Array:
    """dataᵀ (p - onehot) / n."""
    scores = data @ W
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    p[np.arange(20), labels] -= 1
    return data.T @ p / 20


exact = analytic_by_hand(weights)
methods: list[tuple[str, Callable[[Array], Array]]] = [
    ("forward difference, h = 1e-4", lambda W: numerical_gradient(loss_fun, W, 1e-4, False)),
    ("centred difference, h = 1e-5", lambda W: numerical_gradient(loss_fun, W, 1e-5, True)),
    ("ad.grad", ad.grad(loss_fun)),
]
print("method                        largest error   milliseconds")
errors = []
for name, method in methods:
    method(weights)  # the first call also imports and prepares
    start = time.perf_counter()
    gradient = method(weights)
    milliseconds = 1e3 * (time.perf_counter() - start)
    errors.append(np.abs(gradient - exact).max())
    print(f"{name:30} {errors[-1]:.1e} {milliseconds:14.2f}")
assert errors[0] < 1e-4
assert errors[1] < 1e-9
assert errors[2] < 1e-15

print(f"\n{ad.gradcheck(loss_fun, weights)}")


class Square(ad.Gate):
    """x², by somebody in a hurry."""

    def forward(self, x: Any) -> Any:
        """Keep x."""
        self.x = x
        return x * x

    def backward(self, upstream: Any) -> Any:
        """The mistake: it should be 2 x times the upstream."""
        return self.x * upstream


try:
    ad.gradcheck(Square(), np.array([1.0, 2.0]))
except ad.AdjointError as error:
    print(f"\na wrong backward is found out:\n{error}")
else:
    raise AssertionError("gradcheck did not see the mistake")
