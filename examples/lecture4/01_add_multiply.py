"""f = (x + y) z: the lecture's first circuit (lecture 4, "Backpropagation: a simple example").

With x = -2, y = 5, z = -4 the slide writes 3 and -12 above the wires. Below them, from the right: df/df = 1,
df/dz = q = 3, df/dq = z = -4, and by the chain rule df/dx = df/dq · dq/dx = -4 · 1 = -4, df/dy = -4.
"""

import adjoint as ad

x, y, z = ad.tensor(-2.0, name="x"), ad.tensor(5.0, name="y"), ad.tensor(-4.0, name="z")
q = (x + y).named("q")
f = (q * z).named("f")
f.backward()  # every wire gets its gradient, q too

print(f.graph.text())
print("\nupstream × local = downstream, in the order of the backward pass:")
for edge in ad.ledger(f):
    gate, wire = edge.node.node.op.name, edge.input.name
    print(f"  {gate:8} df/d{wire} = {edge.upstream:+.0f} × {edge.local:+.0f} = {edge.product:+.0f}")

assert (q.value, f.value) == (3, -12)
assert (f.grad, q.grad, z.grad, x.grad, y.grad) == (1, -4, 3, -4, -4)
