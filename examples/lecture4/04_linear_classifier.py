"""A linear classifier, hinge loss and regularisation as one graph (lecture 4, "Computational Graphs").

The picture of the slide: x and W meet in a multiply gate, the scores go to the hinge loss, W also goes to
R(W), and both are added to L. W branches, so its gradient is the sum of what the data says and what R says.
The figures are those of the course notes ("Linear classification"): scores -2.85, 0.86, 0.28, class 2
correct, loss 1.58.
"""

import numpy as np

import adjoint as ad

x = ad.constant([-15.0, 22.0, -44.0, 56.0], name="x")  # four pixels
W = ad.tensor([[0.01, -0.05, 0.1, 0.05], [0.7, 0.2, 0.05, 0.16], [0.0, -0.45, -0.2, 0.03]], name="W")
b = ad.tensor([0.0, 0.2, -0.3], name="b")
correct, strength = 2, 0.1

scores = (W @ x + b).named("scores")
margins = ad.maximum(0.0, scores - scores[correct] + 1.0)
data_loss = ad.sum(margins) - 1.0  # the correct class is 1 from itself, and does not count
R = ad.sum(W**2).named("R")
L = (data_loss + strength * R).named("L")
L.backward()

print(L.graph.text(width=110))
print("\nscores        ", scores.value)
print(f"loss           {data_loss.value:.2f} of data + {strength} · {R.value:.4f} of weights = {L.value:.4f}")
print("dL/db         ", b.grad, " one class is too close: it is pushed down, the correct one up")
print("dL/dW\n", W.grad)

np.testing.assert_allclose(scores.value, [-2.85, 0.86, 0.28], rtol=1e-12)
np.testing.assert_allclose(data_loss.value, 1.58, rtol=1e-12)
np.testing.assert_allclose(L.value, 1.58 + 0.1 * 0.8166, rtol=1e-12)

# By hand: only class 1 is within the margin, so ds = (0, 1, -1), and dL/dW = ds xᵀ + 2 λ W.
ds = np.array([0.0, 1.0, -1.0])
np.testing.assert_array_equal(b.grad, ds)
np.testing.assert_allclose(W.grad, np.outer(ds, x.value) + 2 * strength * W.value, rtol=1e-14)
assert x.grad is None  # a constant: the picture itself is not to be learnt
