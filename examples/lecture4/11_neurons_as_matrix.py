"""A loop of neurons against one matrix product, timed (lecture 4, "Neural networks: Architectures").

"We can efficiently evaluate an entire layer of neurons": 50 neurons with 200 inputs each, forward and
backward, once as 50 dot products, once as W x + b. The numbers and gradients are the same; only the number of
gates differs.
"""

import time
from collections.abc import Callable

import numpy as np

import adjoint as ad

rng = np.random.default_rng(0)
weights, biases, inputs = rng.standard_normal((50, 200)), rng.standard_normal(50), rng.standard_normal(200)


def neuron_by_neuron(W: ad.Tensor, b: ad.Tensor, x: ad.Tensor) -> ad.Tensor:
    """Each neuron in its turn: σ(Σ wᵢ xᵢ + b)."""
    return ad.stack([ad.sigmoid(ad.sum(W[i] * x) + b[i]) for i in range(len(weights))])


def as_one_layer(W: ad.Tensor, b: ad.Tensor, x: ad.Tensor) -> ad.Tensor:
    """All neurons at once: σ(W x + b)."""
    return ad.sigmoid(W @ x + b)


def run(layer: Callable[[ad.Tensor, ad.Tensor, ad.Tensor], ad.Tensor]) -> list[np.ndarray]:
    """Firing rates, the gradients of their sum, and the best of five times in milliseconds."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        W, b, x = ad.tensor(weights), ad.tensor(biases), ad.tensor(inputs)
        rates = layer(W, b, x)
        ad.sum(rates).backward()
        times.append(time.perf_counter() - start)
    print(f"{layer.__name__:17} {len(rates.graph.nodes):4} nodes  {1e3 * min(times):8.3f} ms")
    return [rates.value, W.grad, b.grad, x.grad, np.array(min(times))]


print("50 neurons, 200 inputs, forward and backward")
*slow, loop_time = run(neuron_by_neuron)
*fast, matrix_time = run(as_one_layer)
print(f"one matrix product is {loop_time / matrix_time:.0f} times faster")

for one, other in zip(slow, fast, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)
np.testing.assert_allclose(fast[0], 1 / (1 + np.exp(-(weights @ inputs + biases))), rtol=1e-10)
assert loop_time > matrix_time
