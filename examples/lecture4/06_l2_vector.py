"""f(x, W) = ‖W x‖² (lecture 4, "A vectorized example").

With W = [[0.1, 0.5], [-0.3, 0.8]] and x = [0.2, 0.4] the slide has q = W x = [0.22, 0.26] and f = 0.116, then
∇q f = 2 q = [0.44, 0.52], ∇W f = 2 q xᵀ and ∇x f = 2 Wᵀ q. "Always check: the gradient with respect to a
variable should have the same shape as the variable."
"""

import numpy as np

import adjoint as ad

W = ad.tensor([[0.1, 0.5], [-0.3, 0.8]], name="W")
x = ad.tensor([0.2, 0.4], name="x")
q = (W @ x).named("q")
f = ad.sum(q**2).named("f")
f.backward()

print(f.graph.text())
for name, tensor in [("q", q), ("W", W), ("x", x)]:
    print(f"d f / d {name} =", tensor.grad.round(6).tolist())
    assert tensor.grad.shape == tensor.shape

np.testing.assert_allclose(q.value, [0.22, 0.26], rtol=1e-12)
np.testing.assert_allclose(f.value, 0.116, rtol=1e-12)
np.testing.assert_allclose(q.grad, [0.44, 0.52], rtol=1e-12)
np.testing.assert_allclose(W.grad, [[0.088, 0.176], [0.104, 0.208]], rtol=1e-12)
np.testing.assert_allclose(x.grad, [-0.112, 0.636], rtol=1e-12)
np.testing.assert_allclose(W.grad, 2 * np.outer(q.value, x.value), rtol=1e-12)
np.testing.assert_allclose(x.grad, 2 * W.value.T @ q.value, rtol=1e-12)
