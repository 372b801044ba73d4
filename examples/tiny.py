"""The product in 100 lines: a graph, its gradients, a proof that they are right, a network that reads digits.

Run it from top to bottom, or paste it block by block. Lecture 4 of CS231n is the tour's map: gates, the chain
rule, vectors, modules, networks.
"""

from typing import Any

import numpy as np

import adjoint as ad

# 1. A graph. Ordinary code on Tensors computes at once, and remembers how.
x, y, z = ad.tensor(-2.0, name="x"), ad.tensor(5.0, name="y"), ad.tensor(-4.0, name="z")
f = (x + y) * z
assert f.item() == -12.0

# 2. Gradients, on every wire: upstream × local, from the output back to the inputs.
f.backward()
print(f.graph.text())
assert (x.grad, y.grad, z.grad) == (-4.0, -4.0, 3.0)

# 3. The same as data: one row per edge of the backward pass.
for edge in ad.ledger(f):
    print(f"through {edge.node.node.op.name}: {edge.upstream:+} × {edge.local:+} = {edge.product:+}")


# 4. Functions in, functions out: derivatives of plain NumPy code, of any order.
def sigmoid(t: Any) -> Any:
    """The logistic function, of a number, an array or a Tensor."""
    return 1.0 / (1.0 + np.exp(-t))


slope = ad.grad(sigmoid)
curvature = ad.grad(slope)
print("sigmoid at 0: value, slope, curvature:", sigmoid(0.0), slope(0.0), curvature(0.0))
assert (slope(0.0), curvature(0.0)) == (0.25, 0.0)

# 5. Vectors: Jacobians, their products with vectors, Hessians.
W = np.array([[0.1, 0.5], [-0.3, 0.8]])
v = np.array([0.2, 0.4])
J = ad.jacobian(lambda v: W @ v)(v)
assert np.allclose(J.todense(), W)
assert np.allclose(J @ v, W @ v)
H = ad.hessian(lambda v: ad.sum((W @ v) ** 2))(v)
assert np.allclose(H.todense(), 2 * W.T @ W)
print("Jacobian of W v:", np.asarray(J).tolist())

# 6. Proof: every gradient against differences of the function itself, first and second order.
print(ad.gradcheck(lambda v: ad.sum(ad.tanh(W @ v) ** 2), v, order=2))


# 7. A gate of your own: forward, and backward that multiplies what arrives.
class Cube(ad.Gate):
    """x³."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Keep x for the way back."""
        self.x = x
        return x**3

    def backward(self, upstream: np.ndarray) -> np.ndarray:
        """3 x² times upstream."""
        return 3 * self.x**2 * upstream


ad.gradcheck(Cube(), np.array([1.0, -2.0]))

# 8. Modules: objects with named parameters. Nothing registers itself behind your back.
rng = ad.random.Generator(0)
net = ad.nn.Sequential(ad.nn.Linear(64, 100, rng=rng), ad.nn.ReLU(), ad.nn.Linear(100, 10, rng=rng))
for path, parameter in net.parameters().items():
    print(f"{path:20} {parameter.shape}")

# 9. Training on 1,797 scanned digits, written out: loss, backward, step.
digits = ad.data.digits()
optimizer = ad.optim.Adam(net, lr=3e-3)
shuffle = np.random.default_rng(0)
for epoch in range(15):
    for images, labels in ad.data.minibatches((digits.x_train, digits.y_train), 32, rng=shuffle):
        loss = ad.nn.cross_entropy(net(images), labels)
        loss.backward(keep="leaves")
        optimizer.step()
    accuracy = np.mean(net(digits.x_test).numpy().argmax(axis=1) == digits.y_test)
    if epoch % 5 == 4:
        print(f"epoch {epoch + 1:2}: loss {loss.item():.4f}, accuracy on the held-out fifth {accuracy:.3f}")
assert accuracy > 0.95

# 10. Mistakes are answered in words.
try:
    ad.tensor([1.0, 2.0, 3.0]) + ad.tensor([1.0, 2.0])
except ad.AdjointError as error:
    print(error)
