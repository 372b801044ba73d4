"""What each gate does with a gradient (lecture 4, "Patterns in backward flow", "Gradients add at branches").

add distributes its upstream gradient, max routes it to the larger input, multiply switches its inputs'
values; and where one wire feeds several gates, the gradients that come back along the branches are summed.
"""

import adjoint as ad

# The lecture's circuit: f = 2 (x y + max(z, w)).
x, y = ad.tensor(3.0, name="x"), ad.tensor(-4.0, name="y")
z, w = ad.tensor(2.0, name="z"), ad.tensor(-1.0, name="w")
product, larger = x * y, ad.maximum(z, w)
total = product + larger
f = total * 2.0
f.backward()
print(f.graph.text())

print(f"add distributes: {total.grad} arrives, {product.grad} and {larger.grad} leave")
assert total.grad == product.grad == larger.grad == 2
print(f"max routes:      {larger.grad} arrives, {z.grad} and {w.grad} leave")
assert (z.grad, w.grad) == (2, 0)
print(f"mul switches:    {product.grad} arrives, {x.grad} and {y.grad} leave for {x.value} and {y.value}")
assert (x.grad, y.grad) == (2 * -4, 2 * 3)
assert f.value == -20

# A branch: a feeds three gates. By hand, d(a b + sin a + a²)/da = b + cos a + 2 a, which is b + 1 at a = 0.
a, b = ad.tensor(0.0, name="a"), ad.tensor(5.0, name="b")
g = a * b + ad.sin(a) + a * a
g.backward()
terms = [edge.product.item() for edge in ad.ledger(g) if edge.input is a]
print(f"a branch sums:   {' + '.join(f'{term:g}' for term in terms)} = {a.grad:g}")
assert a.grad == sum(terms) == 6

# A tie of two variables is shared, half to each: the choice is declared, not left to rounding.
s, t = ad.tensor(1.0), ad.tensor(1.0)
ad.maximum(s, t).backward()
print(f"max at a tie:    {s.grad} and {t.grad}")
assert (s.grad, t.grad) == (0.5, 0.5)
