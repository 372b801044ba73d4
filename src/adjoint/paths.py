"""Sweeps along the paths between some inputs and some outputs of a graph, in tables of their own instead of slots.

`gradients` sweeps down and `tangents` up, over plain values or over Tensors (so that what they compute can be
differentiated again); transforms stand on them. `ledger` keeps what a backward pass sent along each edge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

import numpy as np

from adjoint.autodiff import BIG, backward, fit, fit_tensor, ieee
from adjoint.op import Op
from adjoint.recording import tracing
from adjoint.tensor import Tensor, as_array, value_of
from adjoint.vocabulary import ARRAYS, TENSORS

_BY_ID: Final = attrgetter("_id")


def between(outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Active nodes on a path from one of `inputs` to one of `outputs`, in rising order of id."""
    first = min((x._id for x in inputs), default=0)
    reached = {id(x): x for x in outputs if type(x) is Tensor}
    stack = list(reached.values())
    while stack:
        for x in stack.pop()._inputs:
            if type(x) is Tensor and x._id >= first and id(x) not in reached:
                reached[id(x)] = x
                stack.append(x)
    on_path = {id(x) for x in inputs}
    path = []
    for node in sorted(reached.values(), key=_BY_ID):
        if id(node) in on_path or any(id(x) in on_path for x in node._inputs):
            on_path.add(id(node))
            path.append(node)
    return path


def gradients(
    outputs: Sequence[Tensor], cotangents: Sequence[Any], inputs: Sequence[Tensor], differentiable: bool
) -> list[Any]:
    """Gradients of Σ output · cotangent with respect to the inputs (None where no path leads).

    With `differentiable`, rules run over Tensors and the results are Tensors with a history.
    """
    path = between(outputs, inputs)
    on_path = {id(x) for x in path}
    stop = {id(x) for x in inputs}
    table: dict[int, Any] = {}
    for out, g in zip(outputs, cotangents, strict=True):
        if id(out) in on_path:
            _add(table, out, g)
    if len(path) >= BIG and len(outputs) == 1 and (trace := tracing()) is not None:
        (out,) = outputs
        short = trace.shortened(out, table[id(out)], stop)
        if short is not None:
            path = [node for node in path if node not in short.inside]
            for node, g in short.gradients:
                if id(node) in on_path:
                    _add(table, node, g)
    with np.errstate(all="ignore"):
        for node in reversed(path):
            if id(node) in table and id(node) not in stop:
                for x, term in _pulled(node, table.pop(id(node)), on_path, differentiable):
                    _add(table, x, term)
    return [table.get(id(x)) for x in inputs]


def _add(table: dict[int, Any], node: Tensor, g: Any) -> None:
    held = table.get(id(node))
    table[id(node)] = g if held is None else held + g


def _pulled(node: Tensor, g: Any, on_path: set[int], differentiable: bool) -> Iterator[tuple[Tensor, Any]]:
    """The gradient of each input of a node that lies on a path."""
    op = op_of(node)
    m, g, out, xs, fitted = _operands(node, g, differentiable)
    for i, x in enumerate(node._inputs):
        if id(x) in on_path:
            term = op.pull(m, i, node._rule.active, g, out, xs, node._params)
            if term is not None:
                yield x, fitted(op, i, term, value_of(x) if m is ARRAYS else x)


def _operands(node: Tensor, g: Any, differentiable: bool) -> tuple[Any, Any, Any, Sequence[Any], Callable[..., Any]]:
    """What a rule is read with: words, upstream gradient, result, inputs, and what brings a gradient into shape."""
    if differentiable:
        return TENSORS, g, node, node._inputs, fit_tensor
    return ARRAYS, ieee(g), ieee(node._value), [ieee(value_of(x)) for x in node._inputs], fit


def tangents(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], given: Sequence[Any], differentiable: bool
) -> list[Any]:
    """Tangents of the outputs from those of the inputs, swept upward (None where no path leads)."""
    table: dict[int, Any] = {id(x): t for x, t in zip(inputs, given, strict=True)}
    with np.errstate(all="ignore"):
        for node in between(outputs, inputs):
            if id(node) not in table:
                table[id(node)] = _pushed(node, table, differentiable)
    return [table.get(id(x)) for x in outputs]


def _pushed(node: Tensor, table: dict[int, Any], differentiable: bool) -> Any:
    """The tangent of a node from those of its inputs."""
    op = op_of(node)
    incoming = [ieee(table.get(id(x))) for x in node._inputs]
    m, _, out, xs, fitted = _operands(node, None, differentiable)
    term = op.push(m, node._rule.active, incoming, out, xs, node._params)
    return fitted(op, 0, term, node if differentiable else node._value)


def op_of(node: Tensor) -> Op:
    """The op of a node that is no leaf."""
    op = node._rule.op
    assert op is not None, "a node between inputs and outputs was made by an op"
    return op


# --- the ledger -----------------------------------------------------------------------------------------------------


class Edge(NamedTuple):
    """One edge of the backward pass: what arrived at a node, and what it handed to one of its inputs.

    Attributes
    ----------
    node : Tensor
        Whose gate it is.
    input : Tensor
    position : int
        Of the input among the inputs of the gate.
    upstream : array
    local : array or None
        None where it is a Jacobian that is never formed.
    product : array
        In the shape of the input.

    Example
    -------
    >>> import adjoint as ad
    >>> x = ad.tensor(3.0)
    >>> [edge.product.item() for edge in ad.ledger(x * x)]
    [3.0, 3.0]
    """

    node: Tensor
    input: Tensor
    position: int
    upstream: Any
    local: Any
    product: Any


def ledger(root: Tensor, upstream: Any = None) -> list[Edge]:
    """Run a backward pass and return what flowed along each edge, in the order in which it flowed.

    product = upstream × local, in the shape of the input; `local` is None where it is a Jacobian that is never
    formed.

    Parameters
    ----------
    root : Tensor
    upstream : number or array of its shape, optional
        The gradient that arrives there; 1 for a scalar.

    Returns
    -------
    list of Edge

    Raises
    ------
    GradientError
        If root is no scalar and no upstream is given, or if it has no gradient.

    Example
    -------
    >>> import adjoint as ad
    >>> x, y = ad.tensor(3.0, name="x"), ad.tensor(-4.0, name="y")
    >>> for edge in ad.ledger(x * y):
    ...     print(edge.input.name, edge.upstream, edge.local, edge.product)
    x 1.0 -4.0 -4.0
    y 1.0 3.0 3.0

    Source: CS231n 2017, lecture 4, slide 22.
    """
    backward(root, upstream)
    nodes = [node for node in between([root], _active_leaves(root)) if node._rule.op is not None]
    with np.errstate(all="ignore"):
        return [edge for node in reversed(nodes) if node._grad is not None for edge in edges_of(node)]


def _active_leaves(root: Tensor) -> list[Tensor]:
    leaves: dict[int, Tensor] = {}
    seen = {id(root)}
    stack = [root]
    while stack:
        node = stack.pop()
        if node._rule.op is None:
            leaves[id(node)] = node
            continue
        for x in node._inputs:
            if type(x) is Tensor and id(x) not in seen:
                seen.add(id(x))
                stack.append(x)
    return list(leaves.values())


def edges_of(node: Tensor) -> Iterator[Edge]:
    op, active = op_of(node), node._rule.active
    m, g, out, xs, _ = _operands(node, node._grad, False)
    for i, x in enumerate(node._inputs):
        term = op.pull(m, i, active, g, out, xs, node._params) if active[i] else None
        if term is None:
            continue
        local = op.pull(m, i, active, ieee(1.0), out, xs, node._params) if op.scalar else None
        shown = None if local is None else as_array(np.broadcast_to(local, node.shape))
        yield Edge(node, x, i, as_array(node._grad), shown, as_array(fit(op, i, term, value_of(x))))
