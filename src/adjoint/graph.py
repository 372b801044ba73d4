"""A whole graph as an object, in the lecture's shape: `forward(inputs)`, then `backward()`.

`Graph` is the list of nodes that an output was computed from, in recording order, which is a topological order.
`forward` computes all of them anew for other inputs and returns a `Trace`: an ordinary recorded graph with its values,
and with its gradients after `backward`. Nothing of an earlier trace is overwritten by a later one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from adjoint.errors import GradientError, ShapeError
from adjoint.leaves import tensor
from adjoint.recording import here
from adjoint.tensor import Array, Tensor, attach, new, record


class Trace:
    """One run of a graph: every value, and every gradient once `backward` has run.

    Attributes
    ----------
    output : Tensor
    inputs : dict of name to Tensor
    values : dict of name to array
        Of all named nodes.
    gradients : dict of name to array or None
        Of all named nodes; None before `backward`.

    Raises
    ------
    GradientError
        For a name that the graph does not have.

    Example
    -------
    >>> import adjoint as ad
    >>> trace = ad.Graph.of(lambda x, y: x * y, x=3.0, y=-4.0).forward({"x": 5.0})
    >>> trace.output.item(), trace.backward()["y"].item()
    (-20.0, 5.0)
    >>> trace["x"].grad.item()
    -4.0
    """

    def __init__(self, output: Tensor, inputs: Mapping[str, Tensor], nodes: Mapping[Tensor, Tensor]) -> None:
        self.output = output
        self.inputs = dict(inputs)
        self._nodes = nodes

    def __getitem__(self, node: Tensor | str) -> Tensor:
        """The tensor of this run for a node of the graph, or for a name."""
        if isinstance(node, Tensor):
            return self._nodes[node]
        named = self._named()
        if node not in named:
            raise GradientError(f"trace: expected a name of the graph, one of {sorted(named)}, got {node!r}{here()}")
        return named[node]

    def _named(self) -> dict[str, Tensor]:
        return {t.name: t for t in self._nodes.values() if t.name is not None} | self.inputs

    @property
    def values(self) -> dict[str, Array]:
        """Values of all named nodes."""
        return {name: t.value for name, t in self._named().items()}

    @property
    def gradients(self) -> dict[str, Array | None]:
        """Gradients of all named nodes; None before `backward`."""
        return {name: t.grad for name, t in self._named().items()}

    def backward(self, upstream: Any = None) -> dict[str, Array | None]:
        """Send the upstream gradient (1 for a scalar) back; the gradients of the inputs by name."""
        self.output.backward(upstream)
        return {name: t.grad for name, t in self.inputs.items()}


class Graph:
    """The nodes that an output was computed from.

    Parameters
    ----------
    output : Tensor
    inputs : dict of name to Tensor, optional
        The leaves that `forward` replaces; the named leaves, if left out.

    Raises
    ------
    GradientError
        From `forward`, for an input that the graph does not have.
    ShapeError
        From `forward`, for an input of another shape than the recorded one.

    Example
    -------
    >>> import adjoint as ad
    >>> graph = ad.Graph.of(lambda x, y, z: (x + y) * z, x=-2.0, y=5.0, z=-4.0)
    >>> graph.forward({"x": 1.0, "y": 2.0, "z": 3.0}).output.item()
    9.0
    >>> {name: g.item() for name, g in graph.backward().items()}
    {'x': 3.0, 'y': 3.0, 'z': 3.0}

    Source: CS231n 2017, lecture 4, "modularized implementation: forward/backward API".
    """

    def __init__(self, output: Tensor, inputs: Mapping[str, Tensor] | None = None) -> None:
        self.output = output
        self.nodes = _nodes_of(output)
        self.leaves = tuple(t for t in self.nodes if t._rule.op is None)
        self.inputs = dict(inputs) if inputs is not None else {t.name: t for t in self.leaves if t.name is not None}
        self.trace: Trace | None = None

    @classmethod
    def of(cls, f: Callable[..., Any], /, **inputs: Any) -> Graph:
        """The graph of a function, recorded by running it on inputs, which are named as its keywords."""
        leaves = {name: x if isinstance(x, Tensor) else tensor(x, name=name) for name, x in inputs.items()}
        output = f(**leaves)
        if not isinstance(output, Tensor):
            raise GradientError(
                f"Graph.of: expected the function to return a Tensor, got {type(output).__name__}{here()}"
            )
        return cls(output, leaves)

    def __len__(self) -> int:
        return len(self.nodes)

    def __repr__(self) -> str:
        return f"<Graph of {len(self.nodes)} nodes: {', '.join(self.inputs)} → {self.output.name or 'output'}>"

    def forward(self, inputs: Mapping[str, Any] | None = None) -> Trace:
        """Compute every node anew, with the given inputs in place of the leaves of these names."""
        given = dict(inputs or {})
        unknown = sorted(given.keys() - self.inputs.keys())
        if unknown:
            raise GradientError(f"forward: expected inputs among {sorted(self.inputs)}, got {unknown[0]!r}{here()}")
        leaves = {t: self._leaf(name, t, given) for name, t in self.inputs.items()}
        run = dict(leaves)
        for node in self.nodes:
            if node not in run:
                run[node] = self._again(node, run)
        self.trace = Trace(run[self.output], {name: run[t] for name, t in self.inputs.items()}, run)
        return self.trace

    def _leaf(self, name: str, old: Tensor, given: Mapping[str, Any]) -> Tensor:
        if name not in given:
            return _another(old)
        fresh = given[name] if isinstance(given[name], Tensor) else _in_kind(given[name], old, name)
        if fresh.shape != old.shape:
            raise ShapeError(f"forward: expected shape {old.shape} for {name!r}, got {fresh.shape}{here()}")
        return fresh

    def _again(self, node: Tensor, run: Mapping[Tensor, Tensor]) -> Tensor:
        op = node._rule.op
        if op is None:
            return _another(node)
        inputs = [run[x] if isinstance(x, Tensor) else x for x in node._inputs]
        result: Tensor = op.apply(*inputs, **node._params)
        return result if node.name is None else result.named(node.name)

    if TYPE_CHECKING:  # attached by view/, see SLOTS in tensor.py

        def text(self, **settings: Any) -> str: ...
        def svg(self, path: Any = None, **settings: Any) -> str: ...
        def html(self, path: Any = None, **settings: Any) -> str: ...

    def backward(self, upstream: Any = None) -> dict[str, Array | None]:
        """`backward` of the latest trace (of a first one at the recorded inputs, if there is none)."""
        return (self.trace or self.forward()).backward(upstream)


def _another(old: Tensor) -> Tensor:
    """A leaf of this run with the value (and, for the read of a Parameter, the source) of a recorded one."""
    if type(old) is not Tensor:  # it gets no gradient that a later run could overwrite
        return old
    return record(new(Tensor), old._rule, old._value, old._inputs, old._params, old._name)  # type: ignore[no-any-return]


def _in_kind(value: Any, old: Tensor, name: str) -> Tensor:
    """A number or array as a leaf in place of `old`; whole numbers in place of floating ones become floating."""
    if type(value) is int and type(old._value) is float:
        value = float(value)
    dtype = old.dtype if old.dtype.kind == "f" and type(value) is not float else None
    return tensor(value, dtype=dtype, name=name)


def _nodes_of(output: Tensor) -> tuple[Tensor, ...]:
    seen = {output}
    stack = [output]
    while stack:
        node = stack.pop()
        if node._rule.op is None:  # a leaf; the read of a Parameter stands for it
            continue
        for x in node._inputs:
            if isinstance(x, Tensor) and x not in seen:
                seen.add(x)
                stack.append(x)
    return tuple(sorted(seen, key=attrgetter("_id")))


attach("graph", {"graph": property(Graph, doc="The graph that ends in this tensor.")})
