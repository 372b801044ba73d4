"""What a graph computed, as a trace of the document: values, gradients with their states, and what flowed on each edge.

A gradient that is not there has one of three reasons, which are never drawn alike: `unknown` (not computed yet),
`none` (no path leads here), `stopped` (a gate lets nothing through on purpose). One that is there is `zero` or `value`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from adjoint.abstract import Abstract
from adjoint.autodiff import ieee
from adjoint.graph import Graph
from adjoint.paths import Edge, edges_of, op_of
from adjoint.tensor import DROPPED, PENDING, Array, Tensor, as_array, value_of
from adjoint.view.arrays import INLINE, written
from adjoint.view.columns import STOPPING, Columns
from adjoint.vocabulary import ARRAYS

#: Position of an input, its local gradient, and what it gets back; None where there is none.
Flow = tuple[int, Any, Any]
_ONE: Final = np.float64(1.0)


def trace_of(graph: Graph, columns: Columns, detail: str) -> dict[str, Any] | None:
    """The values and gradients that a graph has now; None of one that was recorded without data."""
    nodes = graph.nodes
    if any(type(t._value) is Abstract for t in nodes):
        return None
    gradients = [_gradient(t) for t in nodes]
    contributions, locals_ = _flows(graph, columns, detail)
    return {
        "title": "",
        "values": [written(t._value, detail) for t in nodes],
        "gradients": [None if g is None else written(g, detail) for g in gradients],
        "states": _states(graph, gradients),
        "contributions": contributions,
        "locals": locals_,
    }


def _gradient(t: Tensor) -> Any:
    g = t._grad
    return None if g is PENDING or g is DROPPED or isinstance(g, Tensor) else g


def _states(graph: Graph, gradients: list[Any]) -> list[str]:
    if all(g is None for g in gradients):
        return ["unknown"] * len(gradients)
    stopped = {id(x) for t in graph.nodes if t._rule.op is not None and t._rule.op.name == STOPPING for x in t._inputs}
    swept = graph.output._grad is not None  # else only the leaves have kept theirs
    return [
        _state(t, g, id(t) in stopped, swept or t._rule.op is None) for t, g in zip(graph.nodes, gradients, strict=True)
    ]


def _state(t: Tensor, g: Any, stopped: bool, kept: bool) -> str:
    if g is not None:
        return "value" if (g if type(g) is float else np.any(g)) else "zero"
    if not t.active:
        return "stopped" if stopped else "none"
    if t._grad is DROPPED or not kept:
        return "unknown"
    return "stopped" if stopped else "none"


def _flows(graph: Graph, columns: Columns, detail: str) -> tuple[list[Any], list[Any]]:
    """Contribution and local gradient of every edge, where it has one."""
    contributions: list[Any] = [None] * len(columns.edges)
    locals_: list[Any] = [None] * len(columns.edges)
    where = {(target, position): index for index, (_, target, position) in enumerate(columns.edges)}
    with np.errstate(all="ignore"):
        for place, t in enumerate(graph.nodes):
            if t._rule.op is None or not (detail == "full" or _is_small(t)):
                continue
            for position, local, product in _numbers(t) if _is_of_numbers(t) else _arrays(t):
                index = where[place, position]
                contributions[index] = None if product is None else written(product, detail)
                locals_[index] = None if local is None else written(local, detail)
    return contributions, locals_


def _arrays(t: Tensor) -> Iterator[Flow]:
    """What flows back through a gate; without a gradient, the local gradients of an elementwise one."""
    if _gradient(t) is None:
        yield from ((position, local, None) for position, local in _locals(t))
    else:
        yield from ((edge.position, edge.local, edge.product) for edge in edges_of(t))


def _is_of_numbers(t: Tensor) -> bool:
    """Whether an elementwise gate has only Python floats, which need no shape: the bulk of a large scalar graph."""
    return type(t._value) is float and op_of(t).scalar and all(type(value_of(x)) is float for x in t._inputs)


def _numbers(t: Tensor) -> Iterator[Flow]:
    """The same of a gate of numbers."""
    op, active, g = op_of(t), t._rule.active, _gradient(t)
    out, xs = ieee(t._value), [ieee(value_of(x)) for x in t._inputs]
    for position, is_active in enumerate(active):
        if not is_active:
            continue
        local = op.pull(ARRAYS, position, active, _ONE, out, xs, t._params)
        product = None if g is None else op.pull(ARRAYS, position, active, ieee(g), out, xs, t._params)
        yield position, None if local is None else float(local), None if product is None else float(product)


def _locals(t: Tensor) -> Iterator[tuple[int, Array]]:
    """The local gradients of an elementwise gate by position, known as soon as it has computed."""
    op, active = op_of(t), t._rule.active
    if not (op.scalar and t.active):
        return
    out, xs = ieee(t._value), [ieee(value_of(x)) for x in t._inputs]
    for position, is_active in enumerate(active):
        local = op.pull(ARRAYS, position, active, ieee(1.0), out, xs, t._params) if is_active else None
        if local is not None:
            yield position, as_array(np.broadcast_to(local, t.shape) if t.shape else local)


def _is_small(t: Tensor) -> bool:
    """Whether what flows through a gate is written in full anyway; else its rules are not run again."""
    return t.size <= INLINE and all(x.size <= INLINE for x in t._inputs if isinstance(x, Tensor))


def ledger_of(graph: Graph) -> list[Edge]:
    """What flowed along each edge in the backward pass that has run; nothing before one."""
    with np.errstate(all="ignore"):
        return [
            edge
            for t in reversed(graph.nodes)
            if t._rule.op is not None and _gradient(t) is not None
            for edge in edges_of(t)
        ]
