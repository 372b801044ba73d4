"""What a graph computed, as a trace of the document: values, gradients with their states, and what flowed on each edge.

A gradient that is not there has one of three reasons, which are never drawn alike: `unknown` (not computed yet),
`none` (no path leads here), `stopped` (a gate lets nothing through on purpose). One that is there is `zero` or `value`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from adjoint.abstract import Abstract
from adjoint.autodiff import ieee
from adjoint.graph import Graph
from adjoint.paths import Edge, edges_of, op_of
from adjoint.tensor import DROPPED, PENDING, Array, Tensor, as_array, value_of
from adjoint.view.arrays import INLINE, written
from adjoint.view.columns import STOPPING, Columns
from adjoint.vocabulary import ARRAYS


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
        return "zero" if not np.any(g) else "value"
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
            if _gradient(t) is None:
                for position, local in _locals(t):
                    locals_[where[place, position]] = written(local, detail)
                continue
            for edge in edges_of(t):
                index = where[place, edge.position]
                contributions[index] = written(edge.product, detail)
                locals_[index] = None if edge.local is None else written(edge.local, detail)
    return contributions, locals_


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
