"""The sweep: from an output back to everything that it was computed from.

`backward` collects the active nodes that an output depends on, sorts them by id and serves them from the highest down,
so that a node is served after everything that used it: its gradient is then complete. No recursion; a graph of a
million nodes costs what its nodes cost. Gradients travel in the nodes' own slots.

`fit` is the one place where a gradient is brought to its input's shape and dtype (un-broadcasting, casting), and where
a rule that returned a wrong shape is caught. The sweeps of the transforms, which fill no slots, are in `paths.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

import numpy as np

from adjoint.abstract import Abstract
from adjoint.errors import GradientError, TraceError
from adjoint.families import Elementwise
from adjoint.leaves import Parameter, State
from adjoint.op import ENGINE, Op, Pull
from adjoint.recording import here, tracing
from adjoint.source import array_pull, scalar_pull
from adjoint.tensor import DROPPED, PENDING, Tensor, add_to_slot, attach, plain_value, value_of
from adjoint.vocabulary import ARRAYS, TENSORS

_BY_ID: Final = attrgetter("_id")
#: Nodes of a trace from which on it is asked for a shorter way to their gradients.
BIG: Final = 2000


# --- shape and dtype of a gradient ----------------------------------------------------------------------------------


def fit(op: Op, position: int, g: Any, like: Any) -> Any:
    """The gradient `g` in the shape and dtype of the value `like`: summed where that was broadcast."""
    if type(g) is np.ndarray and type(like) is np.ndarray and g.shape == like.shape and g.dtype is like.dtype:
        return g
    if type(like) is float:
        return float(np.sum(g))
    shape = like.shape
    if type(g) is float or type(g) is int:
        return np.full(shape, g, like.dtype)[()]
    if g.shape != shape:
        if g.size == 1 and g.ndim <= len(shape):  # the usual case of a mean or a sum: the same everywhere
            repeated = np.empty(shape, like.dtype)
            repeated[...] = g
            return repeated
        g = _summed(op, position, ARRAYS, g, shape)
    return g.astype(like.dtype, copy=False) if g.dtype != like.dtype else g


def fit_tensor(op: Op, position: int, g: Any, like: Any) -> Any:
    """`fit` in differentiable words: `g` may be a Tensor."""
    if not isinstance(g, Tensor):
        weak = type(like._value) is Abstract and like._value.weak  # it stands for a Python float
        return fit(op, position, g, 0.0 if weak else like._value)
    if g.shape != like.shape:
        g = _summed(op, position, TENSORS, g, like.shape)
    return g if g.dtype == like.dtype else TENSORS.cast(g, dtype=like.dtype)


def _summed(op: Op, position: int, m: Any, g: Any, shape: tuple[int, ...]) -> Any:
    """Un-broadcast: sum over the axes that broadcasting added or stretched; repeat a gradient that was left smaller."""
    extra = len(g.shape) - len(shape)
    if extra > 0 and g.shape[extra:] == shape:  # the usual case, a bias: no axis was stretched
        return m.sum(g, axis=tuple(range(extra)), keepdims=False)
    if extra <= 0 and all(n in (1, wanted) for n, wanted in zip(g.shape, shape[-extra:], strict=True)):
        return m.broadcast_to(g, shape=shape)  # a rule may leave a gradient smaller where it is the same everywhere
    if extra < 0 or any(wanted not in (1, n) for n, wanted in zip(g.shape[extra:], shape, strict=True)):
        raise wrong_rule(op, position, g.shape, shape)  # never reshaped: a transposed gradient has the right size, too
    grown = tuple(i for i in range(len(g.shape)) if i < extra or shape[i - extra] == 1)
    return m.reshape(m.sum(g, axis=grown, keepdims=False), shape=shape)


def wrong_rule(op: Op, position: int, got: tuple[int, ...], expected: tuple[int, ...]) -> GradientError:
    """The error for a rule whose gradient has another shape than its input."""
    names = op.signature.inputs
    name = names[position] if position < len(names) else f"{names[-1]}[{position - len(names) + 1}]"
    return GradientError(
        f"{op.name}: the gradient rule for input {name!r} gave shape {got}, expected {expected}, the shape of the "
        "input (or one that sums to it); the rule is wrong"
    )


# --- carriers: how a node hands its gradient on ---------------------------------------------------------------------


def _build_pull(op: Op, active: tuple[bool, ...], scalar: bool) -> Pull:
    if not isinstance(op, Elementwise):
        return _general_pull(op, active)
    return scalar_pull(op, active, _quietly(_general_pull(op, active))) if scalar else array_pull(op, active, fit)


def _general_pull(op: Op, active: tuple[bool, ...]) -> Pull:
    positions = [i for i, yes in enumerate(active) if yes]

    def pull(node: Tensor, g: Any) -> None:
        values = xs = [value_of(x) for x in node._inputs]
        out = node._value
        if type(g) is float or float in map(type, values):
            g, out, xs = ieee(g), ieee(out), [ieee(x) for x in values]
        for i in positions:
            term = op.pull(ARRAYS, i, active, g, out, xs, node._params)
            if term is not None:
                add_to_slot(node._inputs[i], fit(op, i, term, values[i]))

    return pull


def _quietly(pull: Pull) -> Pull:
    """Where Python's math raised: the rule on NumPy scalars, with IEEE infinities and NaN."""

    def careful(node: Tensor, g: Any) -> None:
        with np.errstate(all="ignore"):
            pull(node, g)

    return careful


def ieee(value: Any) -> Any:
    """A Python float as NumPy's: it has a shape, and infinities where Python's raises."""
    return np.float64(value) if type(value) is float else value


ENGINE.build_pull = _build_pull


# --- the backward pass ----------------------------------------------------------------------------------------------


def collect(root: Tensor) -> list[Tensor]:
    """Active nodes that `root` depends on, and itself, from the highest id down; their slots are marked pending."""
    nodes = [root]
    root._grad = PENDING
    for node in nodes:  # grows while it is read
        for x in node._inputs:
            kind = type(x)
            if (kind is Tensor or kind is Parameter) and x._grad is not PENDING:
                x._grad = PENDING
                nodes.append(x)
    nodes.sort(key=_BY_ID, reverse=True)
    return nodes


def backward(root: Tensor, upstream: Any = None, *, keep: str = "all", accumulate: bool = False) -> None:
    """Fill `.grad` of every active node that this tensor was computed from.

    d root / d x = Σ over the uses of x: upstream × local

    Parameters
    ----------
    upstream : number or array of this tensor's shape, optional
        The gradient that arrives here; 1 for a scalar.
    keep : "all" or "leaves"
        Whether intermediate nodes keep their gradients, too.
    accumulate : bool
        Add to the gradients that are there, instead of replacing them (micro-batches).

    Raises
    ------
    GradientError
        If this tensor is no scalar and no upstream is given, or if it has no gradient.

    Example
    -------
    >>> import adjoint as ad
    >>> x = ad.tensor([1.0, 2.0])
    >>> y = x * x
    >>> y.backward([1.0, 10.0])
    >>> x.grad
    array([ 2., 40.])

    Source: CS231n 2017, lecture 4, slides 22 to 40.
    """
    if type(root) is not Tensor and isinstance(root, State):
        root = root.read()
    seed = 1.0 if upstream is None and type(root) is Tensor and type(root._value) is float else _seed(root, upstream)
    if keep != "all" and keep != "leaves":  # noqa: PLR1714 (half the time of a tuple, on every small circuit)
        raise GradientError(f"backward: expected keep='all' or 'leaves', got {keep!r}{here()}")
    before = _held_gradients(root) if accumulate else None
    nodes = collect(root)
    root._grad = seed
    try:
        if type(root._value) is Abstract:
            _refuse_lost(nodes, before)
            _traced_sweep(nodes)
        elif type(seed) is float:  # then every node is a Python float, and no warning of NumPy can come up
            _sweep(nodes)
        else:
            with np.errstate(all="ignore"):
                _sweep(nodes)
    except BaseException:
        for node in nodes:
            node._grad = None
        raise
    finally:
        if before is not None:
            _add_back(before)
    if keep == "leaves":
        for node in nodes:
            if node._rule.op is not None:
                node._grad = None


def _sweep(nodes: Iterable[Tensor]) -> None:
    for node in nodes:
        g = node._grad
        if g is not PENDING:
            node._rule.pull(node, g)
        else:  # reached, but every path to it passed a branch where nothing flows
            node._grad = None


def _traced_sweep(nodes: list[Tensor]) -> None:
    """The sweep without data: rules run over Tensors, and gradients are nodes of the same trace.

    A Tensor from outside the trace is a constant of it. Its gradient is computed nowhere, which its slot then says.
    """
    for node in _left(nodes):
        g = node._grad
        if g is PENDING:
            node._grad = None
        elif node._rule.op is None:
            node._rule.pull(node, g)
        elif type(node._value) is not Abstract:
            node._grad = DROPPED
        else:
            _traced_pull(node, node._rule.op, g)


def _left(nodes: list[Tensor]) -> list[Tensor]:
    """The nodes that are left when a big graph of single numbers has become one op."""
    trace = tracing()
    if trace is None or len(nodes) < BIG:
        return nodes
    short = trace.shortened(nodes[0], nodes[0]._grad, ())
    if short is None:
        return nodes
    for node, g in short.gradients:
        if node._grad is not None:
            add_to_slot(node, g)
    inside = [node for node in nodes if node in short.inside]
    for node in inside:
        node._grad = DROPPED
    return [node for node in nodes if node not in short.inside]


def _traced_pull(node: Tensor, op: Op, g: Any) -> None:
    active, inputs = node._rule.active, node._inputs
    for i in (i for i, yes in enumerate(active) if yes):
        x = inputs[i]
        if type(x._value) is not Abstract:
            x._grad = DROPPED
            continue
        term = op.pull(TENSORS, i, active, g, node, inputs, node._params)
        if term is not None:
            add_to_slot(x, fit_tensor(op, i, term, x))


def _add_back(before: Mapping[Tensor, Any]) -> None:
    for node, g in before.items():
        node._grad = g if node._grad is None else node._grad + g


def _held_gradients(root: Tensor) -> dict[Tensor, Any]:
    held: dict[Tensor, Any] = {}
    seen = {root}
    stack = [root]
    while stack:
        node = stack.pop()
        if node._grad is not None and node._grad is not DROPPED:
            held[node] = node._grad
        for x in node._inputs:
            if (type(x) is Tensor or type(x) is Parameter) and x not in seen:
                seen.add(x)
                stack.append(x)
    return held


def _refuse_lost(nodes: Sequence[Tensor], before: Mapping[Tensor, Any] | None) -> None:
    """Where gradients accumulate in a trace: there is nothing to add to but what it has computed itself."""
    if before is None:
        return
    lost = next((x for x in nodes if type(x) is Parameter and x not in before), None)
    if lost is not None:
        raise TraceError(
            f"backward: accumulate=True would add to a gradient of {lost._name or 'a parameter'} from outside, which a "
            f"compiled function does not see{here()}; call the first backward() inside it without accumulate"
        )


def _seed(root: Tensor, upstream: Any) -> Any:
    if type(root) is not Tensor:
        raise GradientError(why_inactive(root))
    value = root._value
    if type(value) is Abstract:
        return _traced_seed(root, upstream)
    if upstream is None:
        if type(value) is float:
            return 1.0
        if value.size != 1:
            raise _no_scalar(root)
        return np.ones(value.shape, value.dtype)[()]
    given = plain_value(value_of(upstream), "backward: upstream")
    if np.shape(given) != root.shape:
        raise _wrong_upstream(root, np.shape(given))
    return float(given) if type(value) is float else np.array(given, value.dtype)


def _traced_seed(root: Tensor, upstream: Any) -> Any:
    """The seed without data: a number, or the upstream gradient as a node in the shape and dtype of the root."""
    value = root._value
    if upstream is None:
        if value.size != 1:
            raise _no_scalar(root)
        return 1.0 if value.weak else np.ones(value.shape, value.dtype)
    given = upstream if isinstance(upstream, Tensor) else plain_value(upstream, "backward: upstream")
    if np.shape(given) != root.shape:
        raise _wrong_upstream(root, np.shape(given))
    return TENSORS.cast(given, dtype=value.dtype)


def _no_scalar(root: Tensor) -> GradientError:
    return GradientError(
        f"backward: expected a scalar, got shape {root.shape}{here()}; reduce it to a loss first (.sum() or "
        f".mean()), or say which upstream gradient arrives: t.backward(upstream of shape {root.shape})"
    )


def _wrong_upstream(root: Tensor, got: tuple[int, ...]) -> GradientError:
    return GradientError(f"backward: expected an upstream gradient of shape {root.shape}, got {got}{here()}")


def _history(root: Tensor) -> list[Tensor]:
    """Inactive nodes that `root` was computed from, itself included, from the highest id down."""
    seen = {root: None}
    stack = [root]
    while stack:
        for x in stack.pop()._inputs:
            if isinstance(x, Tensor) and not x.active and x not in seen:
                seen[x] = None
                stack.append(x)
    return sorted(seen, key=_BY_ID, reverse=True)


def why_inactive(root: Tensor, what: str = "backward") -> str:
    """Why a tensor gets no gradient, in words: what its history says."""
    history = _history(root)
    for node in history:
        op = node._rule.op
        if op is not None and op.nondiff is not None and any(x.active for x in node._inputs if isinstance(x, Tensor)):
            made = "" if node is root else f", and this tensor was computed from it ({node.node.origin})"
            return f"{what}: {op.name} has no gradient: {op.nondiff}{made}{here()}"
    whole = next((x for x in history if x._rule.op is None and x.dtype.kind in "iu"), None)
    if whole is not None or root.dtype.kind != "f":
        dtype = (root if whole is None else whole).dtype
        return (
            f"{what}: {dtype} tensors have no gradients{here()}; make them floating: "
            "ad.tensor([1.0, 2.0]), or ad.tensor(data, dtype=float)"
        )
    return (
        f"{what}: this tensor depends on no tensor that gets a gradient{here()}; it was made by ad.constant, detach, "
        "stop_gradient, or inside ad.no_grad, or its parameters are frozen"
    )


attach("autodiff", {"backward": backward})
