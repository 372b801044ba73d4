"""The neuron: a weighted sum and a firing rate (lecture 4, "Be very careful with your brain analogies!").

What the slide's `neuron_tick` computes: dendrites carry inputs x_i, each synapse has a strength w_i, the cell
body sums w_i x_i + b, and the axon carries a firing rate f(sum). Gradients are then what each synapse should
change.

What a biological neuron does beyond it, as the lecture warns:
- there are many types of neurons, with different behaviour;
- dendrites perform complex non-linear computations of their own, before anything is summed;
- a synapse is no single weight but a complex non-linear dynamical system;
- the timing of spikes may matter, so that a rate code may not be adequate.
"""

import math

import numpy as np

import adjoint as ad


class Neuron:
    """The neuron of the slide, in plain Python and NumPy."""

    def __init__(self, weights: list[float], bias: float) -> None:
        self.weights, self.bias = np.array(weights), bias

    def neuron_tick(self, inputs: list[float]) -> float:
        """Assume inputs and weights are 1-D arrays, and the bias is a number."""
        cell_body_sum = np.sum(np.array(inputs) * self.weights) + self.bias
        firing_rate = 1.0 / (1.0 + math.exp(-cell_body_sum))  # sigmoid activation function
        return firing_rate


inputs, weights, bias = [-1.0, -2.0], [2.0, -3.0], -3.0
rate_by_hand = Neuron(weights, bias).neuron_tick(inputs)

x, w, b = ad.tensor(inputs, name="x"), ad.tensor(weights, name="w"), ad.tensor(bias, name="b")
cell_body_sum = ad.sum(x * w) + b
firing_rate = ad.sigmoid(cell_body_sum)
firing_rate.backward()
print(__doc__.partition("\n\n")[2])
print(f"firing rate: {rate_by_hand:.4f} by the slide's class, {firing_rate.value:.4f} by ours")
print(f"to fire more, change the synapses by {w.grad.round(4)} and the bias by {b.grad:.4f}")
assert abs(firing_rate.value - rate_by_hand) < 1e-15
slope = rate_by_hand * (1 - rate_by_hand)
np.testing.assert_allclose(w.grad, slope * np.array(inputs), rtol=1e-14)
np.testing.assert_allclose(b.grad, slope, rtol=1e-14)

# Other activation functions of the lecture, at a cell body sum of -1, with the slope each passes back.
e = math.exp(-1.0)
activations = [  # name, function, value and slope by hand
    ("sigmoid", ad.sigmoid, e / (1 + e), e / (1 + e) ** 2),
    ("tanh", ad.tanh, math.tanh(-1.0), 1 - math.tanh(-1.0) ** 2),
    ("ReLU", ad.relu, 0.0, 0.0),
    ("leaky ReLU", lambda s: ad.leaky_relu(s, 0.1), -0.1, 0.1),
    ("ELU", ad.elu, e - 1, e),
    ("maxout", lambda s: ad.maximum(2.0 * s + 0.5, -0.5 * s), 0.5, -0.5),
]
print("\nactivation     f(-1)   slope")
for name, activation, value, slope in activations:
    rate, derivative = ad.value_and_grad(activation)(-1.0)
    print(f"{name:10}  {float(rate):+.4f} {float(derivative):+.4f}")
    np.testing.assert_allclose([rate, derivative], [value, slope], rtol=1e-14)
