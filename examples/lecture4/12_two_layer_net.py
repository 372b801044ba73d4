"""Training a two-layer network in 20 lines, by hand and by ours (lecture 4).

The slide: "Full implementation of training a 2-layer Neural Network needs ~20 lines".

64 examples, 1000 inputs, 100 hidden sigmoid neurons, 10 outputs, squared loss, 2,000 steps of 1e-4, in
float64 as on the slide. By hand, four lines derive the gradients; ours has none of them, and the same losses.
"""

import time

import numpy as np
from numpy.random import default_rng

import adjoint as ad

Array = np.ndarray


def by_hand(x: Array, y: Array, w1: Array, w2: Array, steps: int) -> list[float]:
    """The slide's loop."""
    losses = []
    for _ in range(steps):
        h = 1 / (1 + np.exp(-x.dot(w1)))
        y_pred = h.dot(w2)
        losses.append(np.square(y_pred - y).sum().item())

        grad_y_pred = 2.0 * (y_pred - y)
        grad_w2 = h.T.dot(grad_y_pred)
        grad_h = grad_y_pred.dot(w2.T)
        grad_w1 = x.T.dot(grad_h * h * (1 - h))

        w1 -= 1e-4 * grad_w1
        w2 -= 1e-4 * grad_w2
    return losses


def ours(x: Array, y: Array, w1: Array, w2: Array, steps: int) -> list[float]:
    """The same forward lines, and the graph derives the rest."""
    p1, p2 = ad.Parameter(w1), ad.Parameter(w2)
    optimizer = ad.optim.SGD({"w1": p1, "w2": p2}, lr=1e-4)
    losses = []
    for _ in range(steps):
        h = 1 / (1 + np.exp(-(x @ p1)))
        y_pred = h @ p2
        loss = np.square(y_pred - y).sum()
        losses.append(loss.item())

        loss.backward(keep="leaves")
        optimizer.step()
    return losses


rng = default_rng(0)
N, D_in, H, D_out = 64, 1000, 100, 10
x, y = rng.standard_normal((N, D_in)), rng.standard_normal((N, D_out))
w1, w2 = rng.standard_normal((D_in, H)), rng.standard_normal((H, D_out))

start = time.perf_counter()
expected = by_hand(x, y, w1.copy(), w2.copy(), 2000)
middle = time.perf_counter()
losses = ours(x, y, w1, w2, 2000)
end = time.perf_counter()

print(" step        by hand           ours")
for step in (0, 1, 10, 100, 1000, 1999):
    print(f"{step:5} {expected[step]:14.6f} {losses[step]:14.6f}")
print(f"{middle - start:.1f} s by hand, {end - middle:.1f} s ours, 2,000 steps each")
np.testing.assert_allclose(losses, expected, rtol=1e-10)
assert losses[0] > 30_000
assert losses[-1] < 5
