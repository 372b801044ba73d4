"""The point at which a function is checked, and the kinks near it.

A `Point` holds the arguments of a function, flat: those of floating numbers are moved, the others passed as they are.
Parameters of a module are moved where they are, and put back, also after an error. A kink between two places shows in
the graphs recorded there: an op with a kink says which branch won (`winner`), and one of these answers changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from adjoint.errors import DTypeError
from adjoint.families import Reduction
from adjoint.graph import Graph
from adjoint.leaves import Parameter
from adjoint.recording import here
from adjoint.tensor import Tensor, leaf, plain_value, value_of
from adjoint.transforms import Parametrised, flatten
from adjoint.vocabulary import ARRAYS, over_axis

Values = list[Any]


class Point:
    """The arguments of a function, flat; those that hold floating numbers are moved, the others passed as they are."""

    def __init__(self, f: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._f, self._args = f, args
        self._leaves, recipe = flatten(args)
        self._places = [i for i, x in enumerate(self._leaves) if _is_floating(x)]
        if not self._places:
            raise DTypeError(f"gradcheck: expected an argument of floating numbers, got none{here()}; write 3.0 for 3")
        paths = recipe.paths()
        self.names = [f"argument {paths[i][0]}" + "".join(f"[{k!r}]" for k in paths[i][1:]) for i in self._places]
        self.values = [_in_float64(self._leaves[i]) for i in self._places]
        self._frozen = [p for p in _parameters_of(args) if not p.trainable]
        self._parameters = [x if isinstance(x, Parameter) else None for x in (self._leaves[i] for i in self._places)]

    def function(self, leaves: Values) -> Values:
        """The checked function of the moved leaves alone, as a list of its floating results."""
        new = list(self._leaves)
        for i, x in zip(self._places, leaves, strict=True):
            new[i] = x if isinstance(x, Tensor) else leaf(x)
        outputs, _ = flatten(self._f(*_refilled(self._args, iter(new))))
        return [x for x in outputs if np.asarray(value_of(x)).dtype.kind == "f"]

    @contextmanager
    def at(self, values: Values) -> Iterator[Values]:
        """Within the block Parameters hold these values; gives the leaves: Parameters, and the other values."""
        pairs = [(p, p._value, v) for p, v in zip(self._parameters, values, strict=True) if p is not None]
        pairs += [(p, p._value, _in_float64(p)) for p in self._frozen]
        try:
            for p, _, value in pairs:
                p.replace(value)
            yield [v if p is None else p for p, v in zip(self._parameters, values, strict=True)]
        finally:
            for p, before, _ in pairs:
                p.replace(before)

    def moved(self, direction: Values, step: float) -> Values:
        """The values, moved along a direction."""
        return [x + step * d for x, d in zip(self.values, direction, strict=True)]

    def nodes(self, values: Values) -> list[Tensor]:
        """The active nodes that the function records at these values."""
        with self.at(values) as leaves, np.errstate(all="ignore"):
            outputs = [x for x in self.function(leaves) if isinstance(x, Tensor)]
        return [t for out in outputs for t in Graph(out).nodes if t.active and t.node.op is not None]

    def crossed(self, direction: Values, step: float) -> str | None:
        """The kink between the two ends of a step, if there is one."""
        middle, *ends = [self.nodes(self.moved(direction, s)) for s in (0.0, step, -step)]
        if any([t.node.op for t in end] != [t.node.op for t in middle] for end in ends):
            return "takes another branch (a Python if?) within the smallest step"
        for k, tensor in enumerate(middle):
            won, node = _winner(tensor), tensor.node
            if node.op is not None and any(np.any(_winner(end[k]) != won) for end in ends):
                return f"crosses the kink of {node.op.name} at node {tensor.name or k + 1}, {node.origin}"
        return None


def _refilled(args: Any, supply: Iterator[Any]) -> Any:
    """The arguments with new leaves; a module stays and takes the places of its parameters."""
    import optree

    def filled(x: Any) -> Any:
        if isinstance(x, Parametrised):
            return [x, *(next(supply) for _ in flatten(x)[0])][0]
        return next(supply)

    return optree.tree_map(filled, args, is_leaf=lambda x: isinstance(x, Parametrised))


def _parameters_of(args: Any) -> list[Parameter]:
    import optree

    leaves = optree.tree_leaves(args, is_leaf=lambda x: isinstance(x, Parametrised))
    return [p for x in leaves if isinstance(x, Parametrised) for p in x.parameters().values()]


def _is_floating(x: Any) -> bool:
    if isinstance(x, Tensor):
        return x.active and x.dtype.kind == "f"
    return np.asarray(plain_value(x, "gradcheck")).dtype.kind == "f"


def _in_float64(x: Any) -> Any:
    value = value_of(x)
    return value if type(value) is float else np.asarray(value, np.float64)


def _winner(node: Tensor) -> Any:
    """Which branch each element of a node with a kink took; None for a smooth op."""
    op, values, m = node.node.op, [value_of(x) for x in node.node.inputs], ARRAYS
    if op is None or op.winner is None:
        return None
    if isinstance(op, Reduction):
        m = over_axis(ARRAYS, op._axes(np.shape(values[0]), node.node.params["axis"]))
    return op.winner(m, *values)
