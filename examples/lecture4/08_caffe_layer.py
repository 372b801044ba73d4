"""A layer as Caffe writes it, `* top_diff (chain rule)` (lecture 4, "Caffe Sigmoid Layer").

Caffe's layers turn a bottom blob into a top blob in `forward`, and in `backward` the top's gradient into the
bottom's:

    const Dtype sigmoid_x = top_data[i];
    bottom_diff[i] = top_diff[i] * sigmoid_x * (1. - sigmoid_x);

The factor `top_diff` is the whole of the chain rule: a layer needs to know nothing of the network around it.
"""

from typing import Any

import numpy as np

import adjoint as ad


class SigmoidLayer(ad.Gate):
    """top = 1 / (1 + exp(-bottom)), element by element, in plain NumPy."""

    def forward(self, bottom: Any) -> Any:
        """Keep the top blob: the gradient is written in it."""
        self.top = 1.0 / (1.0 + np.exp(-bottom))
        return self.top

    def backward(self, top_diff: Any) -> Any:
        """bottom_diff = top_diff · σ (1 - σ)."""
        return top_diff * self.top * (1.0 - self.top)


blob = np.array([[-2.0, -1.0, 0.0], [0.5, 1.0, 3.0]])
top_diff = np.array([[1.0, 2.0, 4.0], [-1.0, 0.0, 10.0]])

bottom = ad.tensor(blob, name="bottom")
top = SigmoidLayer()(bottom)
top.backward(top_diff)
print("top\n", top.value)
print("bottom_diff = top_diff · σ (1 - σ)\n", bottom.grad)

# σ(0) = 1/2 exactly, so its slope is 1/4; a top_diff of 0 stops everything; the rest as 1 / (2 + 2 cosh x).
assert (top.value[0, 2], bottom.grad[0, 2], bottom.grad[1, 1]) == (0.5, 4 * 0.25, 0)
np.testing.assert_allclose(bottom.grad, top_diff / (2 + 2 * np.cosh(blob)), rtol=1e-13)

# In a stack of two layers, the top_diff of the first is the bottom_diff of the second.
layer, ours = SigmoidLayer(), ad.tensor(blob)
twice = ad.tensor(blob)
layer(layer(twice)).backward(top_diff)
ad.sigmoid(ad.sigmoid(ours)).backward(top_diff)
np.testing.assert_allclose(twice.grad, ours.grad, rtol=1e-13)
print("two layers of it agree with our sigmoid twice, to", np.abs(twice.grad - ours.grad).max())
