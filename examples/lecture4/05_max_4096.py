"""f(x) = max(0, x) on 4,096 numbers (lecture 4, "Vectorized operations": what does the Jacobian look like?).

Its Jacobian has 4096 × 4096 entries, for a minibatch of 100 even 409,600 × 409,600; but each output sees only
its own input, so it is diagonal: 1 where x > 0, else 0. Backward multiplies by that diagonal, and the matrix
is never formed.
"""

import tracemalloc

import numpy as np

import adjoint as ad

numbers = np.random.default_rng(0).standard_normal(4096)
upstream = np.random.default_rng(1).standard_normal(4096)

tracemalloc.start()
x = ad.tensor(numbers)
f = ad.maximum(0.0, x)
f.backward(upstream)
peak = tracemalloc.get_traced_memory()[1]
tracemalloc.stop()

np.testing.assert_array_equal(f.value, np.maximum(0, numbers))
np.testing.assert_array_equal(x.grad, np.where(numbers > 0, upstream, 0))

out, pull = ad.vjp(lambda x: ad.maximum(0.0, x), numbers)
(diagonal,) = pull(np.ones(4096))
np.testing.assert_array_equal(diagonal, (numbers > 0).astype(float))

dense, batch = 8 * 4096**2, 8 * 409_600**2
print(f"the diagonal, from one backward pass: {diagonal.nbytes:>17,} bytes, {diagonal.sum():.0f} ones")
print(f"the dense Jacobian would take:        {dense:>17,} bytes")
print(f"and of a minibatch of 100:            {batch:>17,} bytes")
print(f"forward and backward took at most:    {peak:>17,} bytes")
assert peak < dense / 100

# On eight of the numbers the dense matrix is affordable, and it is that diagonal.
J = ad.jacobian(lambda x: ad.maximum(0.0, x))(numbers[:8])
print("\nthe Jacobian of the first eight:\n", J.todense().astype(int))
np.testing.assert_array_equal(J.todense(), np.diag(diagonal[:8]))
