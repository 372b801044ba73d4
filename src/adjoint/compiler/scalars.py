"""Big graphs of single numbers in a trace: one op, which runs them on the tape.

Backpropagated op by op, a graph of 100,000 numbers would be a program of a million primitives. When a backward pass in
a trace meets more than `LIMIT` of them, they become one `run_tape`: its inputs are the nodes at the border of the
graph, its result has the value of the graph's end and then the gradient of every input.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Final, NamedTuple

import numpy as np

from adjoint.abstract import Abstract
from adjoint.compiler.lower import Symbol, UnloweredError
from adjoint.compiler.tape import Tape
from adjoint.families import Elementwise
from adjoint.leaves import State
from adjoint.shaped import general
from adjoint.tensor import Tensor, next_id
from adjoint.vocabulary import TENSORS

#: Nodes from which on a graph of single numbers runs on the tape.
LIMIT: Final = 2000


@general(nondiff="it is a gradient already, computed by the tape, which does not differentiate it again")
def run_tape(m, *numbers, tape):
    """The end of a big graph of single numbers, and its gradient with respect to each of the numbers.

    out = (f(numbers), ∂f/∂number₁, ∂f/∂number₂, …)

    Gradient: none.

    Example
    -------
    >>> import adjoint as ad
    >>> from adjoint.compiler.scalars import run_tape
    >>> from adjoint.compiler.tape import Tape
    >>> x, y = ad.tensor(3.0), ad.tensor(4.0)
    >>> run_tape([1.0, 2.0], tape=Tape.of(x * y, [x, y]))
    array([2., 2., 1.])

    Source: A. Griewank and A. Walther, "Evaluating Derivatives", 2008, section 4.
    """
    if any(isinstance(x, Symbol) for x in numbers):
        raise UnloweredError("a tape has an interpreter of its own")
    result, gradients = tape.run([float(x) for x in numbers])
    return np.array([result, *gradients], tape.dtype)


run_tape.shape(lambda *numbers, tape: Abstract((1 + len(numbers),), tape.dtype))


class Shortened(NamedTuple):
    """What became one op: the nodes inside, and the gradients of those at the border."""

    inside: Container[Tensor]
    gradients: list[tuple[Tensor, Any]]


def shortened(end: Tensor, g: Any, stop: Container[int]) -> Shortened | None:
    """The graph of single numbers above a node as one op, with the gradient `g` at its end; None if it is small.

    The node itself becomes an element of the op's result. Nodes whose `id` is in `stop` are at the border.
    """
    inside, border = _explored(end, stop)
    if len(inside) < LIMIT:
        return None
    try:
        tape = Tape.of(end, border)
    except UnloweredError:
        return None
    ran = run_tape.apply(*border, tape=tape)
    gradients = [(x, TENSORS.getitem(ran, key=i)) for i, x in enumerate(border, 1)]
    if isinstance(g, Tensor) or g != 1.0:
        gradients = [(x, TENSORS.multiply(each, g)) for x, each in gradients]
    value = TENSORS.getitem(ran, key=0)
    end._rule, end._inputs, end._params, end._id = value._rule, value._inputs, value._params, next_id()
    return Shortened(inside, gradients)


def _explored(end: Tensor, stop: Container[int]) -> tuple[set[Tensor], list[Tensor]]:
    """Nodes inside, and those at the border in the order in which they were recorded."""
    inside, border, stack = set[Tensor](), dict[Tensor, None](), [end]
    while stack:
        node = stack.pop()
        if node in inside or node in border:
            continue
        if id(node) in stop or not _is_inside(node, end):
            border[node] = None
            continue
        inside.add(node)
        stack += [x for x in node._inputs if isinstance(x, Tensor) and type(x._value) is Abstract]
    return inside, sorted(border, key=lambda x: x._id)


def _is_inside(node: Tensor, end: Tensor) -> bool:
    if isinstance(node, State) or not isinstance(node._rule.op, Elementwise):
        return False
    value: Any = node._value
    return type(value) is Abstract and value.shape == () and value.dtype == end.dtype
