"""Looking into a compiled function: a variant of it that also returns what its nodes hold.

A tapped function is compiled like any other. It runs the function inside the trace, walks the graph below the results
and the assigned states, picks nodes, and computes with the library's own ops what is asked of them; gradients are those
that a backward pass of the function has left. Nothing in the compiler knows of taps, and the function itself, compiled
without them, stays as fast as it was: call the tapped variant at every hundredth step, and the plain one in between.

Invariant: a tapped call does what a plain one does, assignments included.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

import numpy as np

from adjoint.abstract import Abstract
from adjoint.compiler.compiled import Compiled
from adjoint.compiler.trace import Recorder
from adjoint.errors import AdjointError
from adjoint.leaves import State
from adjoint.ops.elementwise.comparison import equal, isfinite, logical_not
from adjoint.ops.functions import std
from adjoint.ops.reduce import mean, sum
from adjoint.ops.shape import cast
from adjoint.recording import here, no_grad, tracing
from adjoint.tensor import DROPPED, PENDING, Node, Tensor
from adjoint.transforms import flatten

Select = str | Sequence[str] | Callable[[Node], bool]

_FLOAT: Final = np.dtype(np.float64)


class Statistics(NamedTuple):
    """Four numbers about an array.

    Attributes
    ----------
    mean, spread : number
        Mean and standard deviation of all elements; NaN if one of them is infinite or NaN, or if there is none.
    zeros : number
        The share of elements that are 0: for a ReLU, of those that are silent.
    nonfinite : whole number
        How many elements are infinite or NaN.
    """

    mean: Any
    spread: Any
    zeros: Any
    nonfinite: Any


class Tap(NamedTuple):
    """What one node held.

    Attributes
    ----------
    value : Statistics or array
    gradient : Statistics, array or None
        Of the last backward pass in the function; None if none reached the node.
    """

    value: Any
    gradient: Any


def tapped(f: Callable[..., Any], select: Select | None = None, *, statistics: bool = True) -> Compiled:
    """A compiled function that returns the result of `f` and, by name of node, what nodes hold on the way.

    mean = Σ x / n;  spread = √(Σ (x − mean)² / n);  zeros = #(x = 0) / n

    Parameters
    ----------
    f : function, or one compiled by `ad.compile`
        Any that `ad.compile` takes, also a training step: each call of the tapped function is a step.
    select : str, sequence of str, or function of a Node, optional
        Which nodes. A text is a pattern (`net.layers.*`) for the name of a node, the name of its op, or the path of a
        module call, which stands for its result. A function says yes or no to each node. Gradients and updates are
        nodes, too. Left out: the results of all module calls.
    statistics : bool
        Four numbers for each node; if False the whole arrays.

    Returns
    -------
    Compiled
        With the arguments of `f`; its result is `(result of f, taps)`, where taps is a dict of name to `Tap` in the
        order of the nodes. A node's name is its own, or that of the module call that ends with it, or its op with the
        path of its module (`net.relu`); a number follows where a name comes again.

    Gradient: none flows through taps.

    Raises
    ------
    AdjointError
        From a call, if nothing is selected; the message says what there is.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> from adjoint.compiler.taps import tapped
    >>> net = ad.nn.Sequential(ad.nn.Linear(4, 3), ad.nn.ReLU())
    >>> opt = ad.optim.SGD(net, lr=0.1)
    >>> def step(x):
    ...     loss = net(x).sum()
    ...     loss.backward()
    ...     opt.step()
    ...     return loss
    >>> loss, taps = tapped(step)(np.ones((8, 4)))
    >>> list(taps)
    ['net.layers.0', 'net.layers.1']
    >>> taps["net.layers.1"].gradient.mean.item(), taps["net.layers.0"].value.nonfinite.item()
    (1.0, 0)
    """
    inner = f._f if isinstance(f, Compiled) else f
    chosen = (select,) if isinstance(select, str) else select
    look = _statistics if statistics else _detached

    @functools.wraps(inner)
    def with_taps(*args: Any, **settings: Any) -> Any:
        result = inner(*args, **settings)
        picked = _named(_picked(_Walk(result), chosen))
        with no_grad():
            return result, {name: Tap(look(node), look(_gradient(node))) for name, node in picked.items()}

    if isinstance(f, Compiled):
        return Compiled(with_taps, tuple(f._static), fast=f._fast, bfloat16=f._bfloat16)
    return Compiled(with_taps)


# --- which nodes ------------------------------------------------------------------------------------------------------


class _Walk:
    """The nodes with an op that a run of a function has left, in the order of recording.

    `ends` are the results of module calls: of each the last node that something outside the module is made from. What a
    module assigns to its states is not its result.
    """

    def __init__(self, result: Any) -> None:
        trace = tracing()
        results = [x for x in flatten(result)[0] if isinstance(x, Tensor)]
        assigned = list(trace.current.values()) if isinstance(trace, Recorder) else []
        outside = [x for x in assigned if x._scope is None]
        self.nodes: Final = _below([*results, *assigned])
        last = {x._scope: x for x in _below([*results, *outside]) if x._scope is not None}
        self.ends: Final[dict[Tensor, str]] = {node: scope.path for scope, node in last.items()}


def _below(roots: Iterable[Tensor]) -> list[Tensor]:
    seen: set[Tensor] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in seen and not isinstance(node, State):
            seen.add(node)
            stack += [x for x in node._inputs if isinstance(x, Tensor)]
    return sorted((x for x in seen if x._rule.op is not None), key=lambda t: t._id)


def _picked(walk: _Walk, select: Sequence[str] | Callable[[Node], bool] | None) -> Iterator[tuple[Tensor, str]]:
    """The selected nodes, each with the name that it has by itself."""
    found = [(x, _own_name(x, walk)) for x in walk.nodes if _is_selected(x, walk, select)]
    if not found:
        ops = sorted({x._rule.op.name for x in walk.nodes if x._rule.op is not None})
        raise AdjointError(
            f"taps: expected to select a node, got none for {select!r}{here()}; "
            f"module calls: {', '.join(walk.ends.values()) or 'none'}; "
            f"names: {', '.join(x._name for x in walk.nodes if x._name) or 'none'}; ops: {', '.join(ops) or 'none'}"
        )
    return iter(found)


def _is_selected(node: Tensor, walk: _Walk, select: Sequence[str] | Callable[[Node], bool] | None) -> bool:
    if select is None:
        return node in walk.ends
    if callable(select):
        return bool(select(node.node))
    op = node._rule.op
    known = [node._name, op and op.name, walk.ends.get(node)]
    return any(fnmatchcase(x, pattern) for x in known if x for pattern in select)


def _own_name(node: Tensor, walk: _Walk) -> str:
    op, scope = node._rule.op, node._scope
    path = "" if scope is None else f"{scope.path}."
    return node._name or walk.ends.get(node) or f"{path}{op.name if op is not None else 'leaf'}"


def _named(picked: Iterable[tuple[Tensor, str]]) -> dict[str, Tensor]:
    """Nodes by name; a number follows a name that comes again."""
    found: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    for node, name in picked:
        counts[name] = counts.get(name, 0) + 1
        found[name if counts[name] == 1 else f"{name} {counts[name]}"] = node
    return found


def _gradient(node: Tensor) -> Any:
    g = node._grad
    return None if g is PENDING or g is DROPPED else g


# --- what of them -----------------------------------------------------------------------------------------------------


def _detached(x: Any) -> Any:
    """The array itself, without a history."""
    return x.detach() if isinstance(x, Tensor) else x


def _statistics(x: Any) -> Statistics | None:
    """The four numbers; whole numbers and booleans are taken as float64."""
    if x is None:
        return None
    kept = _detached(x)
    kind = Abstract.of(kept._value if isinstance(kept, Tensor) else kept).dtype.kind
    numbers = kept if kind == "f" else cast(kept, dtype=_FLOAT)
    zeros = mean(cast(equal(numbers, 0.0), dtype=_FLOAT))
    return Statistics(mean(numbers), std(numbers), zeros, sum(cast(logical_not(isfinite(numbers)), dtype=np.int64)))
