"""A large graph as a table: a row for each node or module, and a gap in the middle where it is too long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from adjoint.abstract import Abstract
from adjoint.view.digits import lines, shape, span

if TYPE_CHECKING:
    from adjoint.tensor import Tensor
    from adjoint.view.text import View

MOST_ROWS: Final = 40
HEAD: Final = ("node", "operation", "inputs", "shape", "value", "gradient")
WIDEST: Final = 32  # characters of a cell


@dataclass(frozen=True)
class Group:
    """Nodes that share a row: one node, or those of a module."""

    scope: str
    members: tuple[int, ...]


def table(view: View, width: int | None = None) -> str:
    """The rows of a graph under a heading, cut to the width of the page."""
    groups = _folded(view.graph.nodes)
    hidden = len(groups) - MOST_ROWS
    first = groups[: MOST_ROWS // 2] if hidden > 0 else groups
    last = groups[-MOST_ROWS // 2 :] if hidden > 0 else []
    names = {index: group.scope for group in groups if group.scope for index in group.members}
    rows = [_row(view, group, names) for group in (*first, *last)]
    page = aligned([HEAD, *rows], width)
    if hidden > 0:
        page.insert(1 + len(first), f"{'..' if view.ascii else '…'} {hidden:,} more")
    count = len(view.graph.nodes)
    return "\n".join([f"{count:,} nodes", "", *page])


def _folded(nodes: Sequence[Tensor]) -> list[Group]:
    """Groups by module, as deep as the page allows; nodes outside of modules stand for themselves."""
    scopes = ["" if t._scope is None else t._scope.path for t in nodes]
    deepest = max(scope.count(".") + 1 for scope in scopes)
    for depth in range(deepest, 0, -1):
        groups = _groups([".".join(scope.split(".")[:depth]) for scope in scopes])
        if len(groups) <= MOST_ROWS:
            break
    return groups


def _groups(scopes: Iterable[str]) -> list[Group]:
    """One group per module, in the order of its last node."""
    members: dict[tuple[str, int], list[int]] = {}
    for index, scope in enumerate(scopes):
        members.setdefault((scope, -1 if scope else index), []).append(index)
    groups = [Group(scope, tuple(indices)) for (scope, _), indices in members.items()]
    return sorted(groups, key=lambda group: group.members[-1])


def _row(view: View, group: Group, names: Mapping[int, str]) -> tuple[str, ...]:
    nodes = view.graph.nodes
    t = nodes[group.members[-1]]
    return (
        group.scope or _label(t, group.members[-1]),
        _operations([nodes[index] for index in group.members]),
        _inputs(view, group, names),
        shape(t.shape),
        view.value(t)[0] if without_data(t) else _brief(view, t.value) if view.values else "",
        _brief(view, t.grad) if view.gradients and t.grad is not None else "".join(view.gradient(t, False)),
    )


def without_data(t: Tensor) -> bool:
    """Whether only shape and dtype are known: a node of a function that was traced."""
    return type(t._value) is Abstract


def _brief(view: View, value: np.ndarray) -> str:
    """A value in one line: a number, a short vector, or the range of what is larger."""
    shown = lines(value, view.digits, ascii=view.ascii)
    return shown[0] if len(shown) == 1 and value.ndim < 2 else "".join(span(value, view.digits, ascii=view.ascii))


def _label(t: Tensor, index: int) -> str:
    return t.name or f"#{index}"


def _operations(members: Sequence[Tensor]) -> str:
    """The operation of a node; of a module, how many nodes it has and which operations."""
    names = Counter(t._rule.op.name for t in members if t._rule.op is not None)
    if len(members) == 1:
        return next(iter(names), "input")
    return f"{len(members)} nodes: {', '.join(names)}"


def _inputs(view: View, group: Group, names: Mapping[int, str]) -> str:
    """Where a row's inputs come from, each named once; a module for what it has computed."""
    nodes = view.graph.nodes
    inside = {id(nodes[index]) for index in group.members}
    found = [view.place.get(id(x)) for index in group.members for x in nodes[index].node.inputs if id(x) not in inside]
    return ", ".join(
        dict.fromkeys(names.get(index) or _label(nodes[index], index) for index in found if index is not None)
    )


def aligned(rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Rows as lines, their columns aligned."""
    short = [[cell if len(cell) <= WIDEST else cell[: WIDEST - 1] + "…" for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*short, strict=True)]
    page = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in short]
    return [line if width is None or len(line) <= width else line[: width - 1] + "…" for line in page]
