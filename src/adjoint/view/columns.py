"""The structure of a graph as columns: nodes, edges, and the tables of ops, modules and files that they point into."""

from __future__ import annotations

import os
from typing import Any, Final

import numpy as np

from adjoint.graph import Graph
from adjoint.leaves import Parameter, State
from adjoint.op import Op
from adjoint.recording import Origin, Scope, decode_origin
from adjoint.tensor import NO_PARAMS, Node, Tensor
from adjoint.view.arrays import number
from adjoint.view.gates import caption, operation
from adjoint.view.patterns import patterns
from adjoint.view.text import labels

STOPPING: Final = "stop_gradient"


class Table:
    """Things by the place in which they were first met."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self._places: dict[Any, int] = {}

    def find(self, key: Any) -> int | None:
        """Where the row of a key is."""
        return self._places.get(key)

    def add(self, key: Any, row: Any) -> int:
        """A new row, and its place."""
        self._places[key] = len(self.rows)
        self.rows.append(row)
        return len(self.rows) - 1


class Columns:
    """A graph as columns. `place` says which number a Tensor has."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.place = {id(t): index for index, t in enumerate(graph.nodes)}
        self.labels = labels(graph.nodes)
        self.ops, self.modules, self.files = Table(), Table(), Table()
        self.edges = [
            (self.place[id(x)], index, position)
            for index, t in enumerate(graph.nodes)
            if t._rule.op is not None
            for position, x in enumerate(t._inputs)
            if isinstance(x, Tensor)
        ]
        self._captions: dict[Op, str] = {}
        self._dtypes: dict[Any, str] = {}
        self._origins: dict[Any, tuple[int, int]] = {}

    def to_json(self) -> dict[str, Any]:
        """The entry `graph` of a document."""
        nodes = self.graph.nodes
        origins = [self._origin(t) for t in nodes]
        columns = {
            "kind": [kind_of(t) for t in nodes],
            "op": [self._op(t._rule.op) for t in nodes],
            "name": [t._name for t in nodes],
            "label": self.labels,
            "caption": [self._caption(t) for t in nodes],
            "formula": [self.formula(t) for t in nodes],
            "shape": [list(t.shape) for t in nodes],
            "dtype": [self._dtype(t.dtype) for t in nodes],
            "module": [self._module(t._scope) for t in nodes],
            "file": [file for file, _ in origins],
            "line": [line for _, line in origins],
        }
        sources, targets, positions = (
            (list(column) for column in zip(*self.edges, strict=True)) if self.edges else ([],) * 3
        )
        return {
            "count": len(nodes),
            "output": self.place[id(self.graph.output)],
            "nodes": columns,
            "edges": {"source": sources, "target": targets, "position": positions},
            "constants": self._constants(),
            **{"ops": self.ops.rows, "modules": self.modules.rows, "files": self.files.rows},
        }

    def _constants(self) -> dict[str, Any]:
        """The single numbers that stand in gates in place of an input."""
        found = [
            (index, position, number(plain))
            for index, t in enumerate(self.graph.nodes)
            if t._rule.op is not None
            for position, x in enumerate(t._inputs)
            if not isinstance(x, Tensor) and (plain := _plain(x)) is not None
        ]
        node, position, value = (list(column) for column in zip(*found, strict=True)) if found else ([], [], [])
        return {"node": node, "position": position, "value": value}

    def _dtype(self, dtype: np.dtype[Any]) -> str:
        """The name of a dtype, which NumPy takes long to make."""
        if dtype not in self._dtypes:
            self._dtypes[dtype] = str(dtype)
        return self._dtypes[dtype]

    def _op(self, op: Op | None) -> int:
        if op is None:
            return -1
        found = self.ops.find(op)
        row = {
            **{"name": op.name, "elementwise": op.scalar, "stops": op.name == STOPPING},
            **{"pattern": patterns(op.name), "parts": None},
        }
        return self.ops.add(op, row) if found is None else found

    def _module(self, scope: Scope | None) -> int:
        """The place of a module call; its callers get places before it."""
        chain = []
        while scope is not None and self.modules.find(scope) is None:
            chain.append(scope)
            scope = scope.outer
        place = -1 if scope is None else self.modules.find(scope)
        for call in reversed(chain):
            row = {"path": call.path, "type": type(call.module).__name__, "parent": place}
            place = self.modules.add(call, row)
        return place if place is not None else -1

    def _caption(self, t: Tensor) -> str:
        op = t._rule.op
        if op is None:
            return ""
        if t._params is not NO_PARAMS or not all(isinstance(x, Tensor) for x in t._inputs):
            return caption(_node(t))
        if op not in self._captions:
            self._captions[op] = caption(_node(t))
        return self._captions[op]

    def formula(self, t: Tensor) -> str:
        """The operation of a node with its inputs by label; empty for a leaf."""
        if t._rule.op is None:
            return ""
        return operation(_node(t), [self.labels[self.place[id(x)]] if isinstance(x, Tensor) else "" for x in t._inputs])

    def _origin(self, t: Tensor) -> tuple[int, int]:
        """File and line; decoded once for each place in the code."""
        key = (t._code, t._offset)
        if key not in self._origins:
            origin = decode_origin(t._code, t._offset)
            self._origins[key] = (-1, 0) if origin is None else (self._file(origin), max(origin.line, 0))
        return self._origins[key]

    def _file(self, origin: Origin) -> int:
        """A file below the working folder by its path from there, another by its name: a document goes to others."""
        relative = str(origin).rpartition(":")[0]
        name = os.path.basename(relative) if os.path.isabs(relative) else relative.replace(os.sep, "/")
        found = self.files.find(name)
        return self.files.add(name, name) if found is None else found


def _node(t: Tensor) -> Node:
    """What captions are made from, without the place in the code, which is expensive."""
    return Node(t._rule.op, t._inputs, t._params, t.shape, t.dtype, None, "")


def _plain(x: Any) -> float | int | None:
    """A constant as a number of Python, a truth value as 1 or 0; None of an array."""
    if type(x) is float:
        return x
    if not isinstance(x, int | float | np.generic | np.ndarray) or np.ndim(x):
        return None
    return float(x) if np.asarray(x).dtype.kind == "f" else int(x)


def kind_of(t: Tensor) -> str:
    """What a node is: "op", or one of the four kinds of leaves."""
    if t._rule.op is not None:
        return "op"
    source = t._inputs[0] if t._inputs and isinstance(t._inputs[0], State) else t
    if isinstance(source, State):
        return "parameter" if isinstance(source, Parameter) else "state"
    return "input" if t.active else "constant"
