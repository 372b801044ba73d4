"""Gradient descent (lecture 4, "Optimization").

    while True:
        weights_grad = evaluate_gradient(loss_fun, data, weights)
        weights += - step_size * weights_grad  # perform parameter update

The data here are twenty points near a line, so that the valley's floor is known: least squares in closed
form.
"""

import numpy as np

import adjoint as ad

rng = np.random.default_rng(0)
position = np.linspace(-1, 1, 20)
data = np.stack([position, np.ones(20)], axis=1)
target = 3 * position - 1 + 0.1 * rng.standard_normal(20)


def loss_fun(weights: ad.Tensor) -> ad.Tensor:
    """Mean squared distance of the line from the points."""
    return ad.mean((data @ weights - target) ** 2)


evaluate_gradient = ad.value_and_grad(loss_fun)
weights, step_size = np.zeros(2), 0.5
print("step      loss   slope  offset")
for step in range(101):
    loss, weights_grad = evaluate_gradient(weights)
    if step in (0, 1, 2, 5, 10, 20, 50, 100):
        print(f"{step:4} {loss:9.6f} {weights[0]:7.4f} {weights[1]:7.4f}")
    weights = weights + -step_size * weights_grad  # perform parameter update

solution, residual, *_ = np.linalg.lstsq(data, target)
print(f"least squares {residual[0] / 20:9.6f} {solution[0]:.4f} {solution[1]:.4f}, in closed form")
np.testing.assert_allclose(weights, solution, rtol=1e-12)
np.testing.assert_allclose(loss, residual[0] / 20, rtol=1e-12)

# The same steps by an optimiser: the weights live in a Parameter, which it updates.
parameter = ad.Parameter(np.zeros(2))
optimizer = ad.optim.SGD({"weights": parameter}, lr=step_size)
for _ in range(101):
    loss_fun(parameter).backward()
    optimizer.step()
np.testing.assert_allclose(parameter.value, weights, rtol=1e-13)
