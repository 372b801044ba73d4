"""A three-layer network, in three lines (lecture 4, "Example feed-forward computation of a neural network").

Three inputs, two hidden layers of four neurons, one output. The slide's lines run on NumPy arrays; on Tensors
the same lines record a graph. The third form is a module, whose rows are examples: y = x @ weight + bias.
"""

from typing import Any

import numpy as np

import adjoint as ad

rng = np.random.default_rng(0)
W1, b1 = rng.standard_normal((4, 3)), rng.standard_normal((4, 1))
W2, b2 = rng.standard_normal((4, 4)), rng.standard_normal((4, 1))
W3, b3 = rng.standard_normal((1, 4)), rng.standard_normal((1, 1))
x = rng.standard_normal((3, 1))


def f(x: Any) -> Any:
    """The activation function: sigmoid, of an array or of a Tensor."""
    return 1.0 / (1.0 + np.exp(-x))


# The slide, on arrays.
h1 = f(np.dot(W1, x) + b1)
h2 = f(np.dot(W2, h1) + b2)
out = np.dot(W3, h2) + b3

# The same three lines, on a Tensor.
t = ad.tensor(x, name="x")
t1 = f(np.dot(W1, t) + b1)
t2 = f(np.dot(W2, t1) + b2)
result = np.dot(W3, t2) + b3
result.backward(np.ones((1, 1)))

# A module that holds the weights.
sigmoid, generator = ad.nn.Sigmoid(), ad.random.Generator(0)
layers = [ad.nn.Linear(i, o, dtype="float64", rng=generator) for i, o in [(3, 4), (4, 4), (4, 1)]]
net = ad.nn.Sequential(layers[0], sigmoid, layers[1], sigmoid, layers[2])
for layer, W, b in zip(layers, (W1, W2, W3), (b1, b2, b3), strict=True):
    layer.weight.assign(W.T)
    layer.bias.assign(b[:, 0])
row = net(x.T)

print(f"NumPy {out.item():.12f}\nours  {result.item():.12f}\nnet   {row.item():.12f}")
np.testing.assert_allclose(result.value, out, rtol=1e-14)
np.testing.assert_allclose(row.value, out.T, rtol=1e-13)

# The gradient on the input, by hand: W1ᵀ (h1 (1 - h1) · W2ᵀ (h2 (1 - h2) · W3ᵀ)).
by_hand = W1.T @ (h1 * (1 - h1) * (W2.T @ (h2 * (1 - h2) * W3.T)))
print("d out / d x =", t.grad[:, 0])
np.testing.assert_allclose(t.grad, by_hand, rtol=1e-12)
