"""The sigmoid neuron 1 / (1 + exp(-(w0 x0 + w1 x1 + w2))), unfolded and as one gate (lecture 4).

The slide takes the neuron apart into gates whose local gradients everybody knows, and prints two decimals on
every wire. Then it draws one box around four of them, the sigmoid gate: dσ/dx = (1 - σ) σ, here 0.73 · 0.27 =
0.20 in one step. The slide's text multiplies its rounded 0.20 on: x0 gets "2 · 0.2 = 0.4" there and 0.39 in
the picture.
"""

from math import exp

import adjoint as ad

w0, x0 = ad.tensor(2.0, name="w0"), ad.tensor(-1.0, name="x0")
w1, x1 = ad.tensor(-3.0, name="w1"), ad.tensor(-2.0, name="x1")
w2 = ad.tensor(-3.0, name="w2")

product0, product1 = w0 * x0, w1 * x1
partial = product0 + product1
total = partial + w2
negative = total * -1.0
exponential = ad.exp(negative)
denominator = exponential + 1.0
f = ad.reciprocal(denominator)
f.backward()

slide = [  # wire, tensor, value and gradient as the slide prints them
    ("w0", w0, 2.00, -0.20),
    ("x0", x0, -1.00, 0.39),
    ("w1", w1, -3.00, -0.39),
    ("x1", x1, -2.00, -0.59),
    ("w2", w2, -3.00, 0.20),
    ("w0·x0", product0, -2.00, 0.20),
    ("w1·x1", product1, 6.00, 0.20),
    ("+", partial, 4.00, 0.20),
    ("+ w2", total, 1.00, 0.20),
    ("· -1", negative, -1.00, -0.20),
    ("exp", exponential, 0.37, -0.53),
    ("+ 1", denominator, 1.37, -0.53),
    ("1/x", f, 0.73, 1.00),
]
print(f.graph.text(digits=2, width=110))
print("\nwire     value  slide   gradient  slide")
for name, wire, value, gradient in slide:
    print(f"{name:6} {wire.value:+7.4f}  {value:+5.2f}    {wire.grad:+7.4f}  {gradient:+5.2f}")
    assert abs(wire.value - value) <= 0.005, name
    assert abs(wire.grad - gradient) <= 0.005, name

# The same neuron with the four last gates in one.
v0, u0, v1, u1, v2 = (ad.tensor(wire.value) for wire in (w0, x0, w1, x1, w2))
folded = ad.sigmoid(v0 * u0 + v1 * u1 + v2)
folded.backward()
before, now = len(f.graph.nodes), len(folded.graph.nodes)
print(f"\none sigmoid gate: {folded.value:.4f}, {before} nodes before, {now} now")

sigma = 1 / (1 + exp(-1.0))  # closed form: the neuron's sum is exactly 1
slope = sigma * (1 - sigma)
assert abs(f.value - sigma) < 1e-15
assert abs(folded.value - sigma) < 1e-15
for wire, expected in [(v0, -1), (u0, 2), (v1, -2), (u1, -3), (v2, 1)]:
    assert abs(wire.grad - expected * slope) < 1e-15
