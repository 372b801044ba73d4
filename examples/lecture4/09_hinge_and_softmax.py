"""The SVM and softmax losses by hand, in stages, beside ours (lecture 4, "Writing SVM / Softmax").

The lecture's advice for the assignment: "Stage your forward/backward computation!"

The three pictures of lecture 3, a cat, a car and a frog, have the scores below. The hinge losses are 2.9, 0
and 12.9 on the slide, in the mean 5.27; the softmax of the cat's row is 0.13, 0.87, 0.00. Beside each staged
loss stands ours.
"""

import numpy as np

import adjoint as ad

Array = np.ndarray

scores = np.array([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]])  # columns: cat, car, frog
labels = np.array([0, 1, 2])
rows = np.arange(3)


def hinge_by_hand(scores: Array, labels: Array) -> tuple[float, Array]:
    """Mean of Σⱼ max(0, sⱼ - s_correct + 1) over the wrong classes, and its gradient."""
    margins = np.maximum(0.0, scores - scores[rows, labels][:, None] + 1.0)
    margins[rows, labels] = 0.0
    loss = margins.sum() / len(scores)
    # backward, from the last stage to the first
    d_margins = np.full_like(scores, 1.0 / len(scores))
    d_scores = d_margins * (margins > 0)
    d_scores[rows, labels] -= d_scores.sum(axis=1)  # s_correct feeds every margin: a branch, so a sum
    return loss, d_scores


def softmax_by_hand(scores: Array, labels: Array) -> tuple[float, Array]:
    """Mean of -log(exp(s_correct) / Σ exp(sⱼ)), and its gradient."""
    shifted = scores - scores.max(axis=1, keepdims=True)  # same quotient, no overflow
    exponentials = np.exp(shifted)
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    loss = -np.log(probabilities[rows, labels]).sum() / len(scores)
    # backward: p - 1 for the correct class, p for the others
    d_scores = probabilities.copy()
    d_scores[rows, labels] -= 1.0
    return loss, d_scores / len(scores)


for name, by_hand, ours in [
    ("hinge", hinge_by_hand, ad.nn.hinge_loss),
    ("softmax", softmax_by_hand, ad.nn.cross_entropy),
]:
    expected_loss, expected_gradient = by_hand(scores, labels)
    s = ad.tensor(scores, name="scores")
    loss = ours(s, labels)
    loss.backward()
    print(f"{name}: by hand {expected_loss:.6f}, ours {loss.value:.6f}; gradient:")
    print(np.array_str(s.grad, precision=4, suppress_small=True))
    np.testing.assert_allclose(loss.value, expected_loss, rtol=1e-13)
    np.testing.assert_allclose(s.grad, expected_gradient, rtol=1e-12, atol=1e-15)

each = ad.nn.hinge_loss(scores, labels, reduction="none")
print("hinge losses of cat, car, frog:", each)
np.testing.assert_allclose(each, [2.9, 0.0, 12.9], atol=1e-12)
assert abs(hinge_by_hand(scores, labels)[0] - 5.27) <= 0.005
np.testing.assert_allclose(ad.softmax(scores, axis=1)[0], [0.13, 0.87, 0.00], atol=0.005)
