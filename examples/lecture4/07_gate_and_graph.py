"""A multiply gate and a graph object (lecture 4, "Modularized implementation: forward / backward API").

The slide's gate keeps its inputs in `forward` and multiplies the gradient it is handed in `backward`. Its
graph calls `forward` on every gate in topological order, then `backward` on every gate in reverse. Both run
here as they stand there; only the bookkeeping is ours.
"""

from typing import Any

import adjoint as ad


class Multiply(ad.Gate):
    """z = x · y."""

    def forward(self, x: Any, y: Any) -> Any:
        """Keep the inputs: backward needs them."""
        self.x, self.y = x, y
        return x * y

    def backward(self, dz: Any) -> Any:
        """[dL/dx, dL/dy] = [y dz, x dz]: upstream times local."""
        return [self.y * dz, self.x * dz]


multiply = Multiply()


def circuit(x: ad.Tensor, y: ad.Tensor, z: ad.Tensor) -> ad.Tensor:
    """(x + y) z, with the product from our gate."""
    return multiply(x + y, z)


graph = ad.Graph.of(circuit, x=-2.0, y=5.0, z=-4.0)
print("nodes, topologically sorted:")
for node in graph.nodes:
    print("  ", node.node.op.name if node.node.op else f"input {node.name}")

trace = graph.forward({"x": -2.0, "y": 5.0, "z": -4.0})
gradients = graph.backward()
print("f =", trace.output.item(), " gradients:", {name: float(g) for name, g in gradients.items()})
assert float(trace.output) == -12
assert gradients == {"x": -4, "y": -4, "z": 3}

# The same graph on other inputs: f = (1 + 2) · 3, df/dx = df/dy = 3, df/dz = 3.
other = graph.forward({"x": 1.0, "y": 2.0, "z": 3.0})
assert float(other.output) == 9
assert other.backward() == {"x": 3, "y": 3, "z": 3}

# A gate used twice keeps each use's inputs apart: cube(x) = x · (x · x), and its slope is 3 x².
x = ad.tensor(2.0)
multiply(x, multiply(x, x)).backward()
print("x³ at 2 by the same gate twice: slope", x.grad)
assert x.grad == 12
