"""The families of ops that state local gradients, and what follows from these.

- elementwise: a *local gradient* per input; vjp = upstream × local, jvp = Σ tangent × local.
- reduction: one local per input element; vjp = expand(g) × local, jvp = sum(tangent × local).

The families that state how gradients travel, linear and general, are in `shaped.py`.

`scale` is the only place where an upstream gradient and a local one meet. A local that is a mask is a `Select`, and the
engine selects instead of multiplying: an infinite upstream must not make 0·∞.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple, Self, overload

import numpy as np

from adjoint.abstract import Abstract
from adjoint.op import SHARED, Op, Shared, Signature, shape_error
from adjoint.vocabulary import ARRAYS, over_axis

LocalRule = Callable[..., Any] | None


class Select(NamedTuple):
    """A local gradient that is `yes` where the condition holds and `no` elsewhere.

    Attributes
    ----------
    condition : boolean array or Tensor
    yes, no : number, array, Tensor or Select
        Local gradients; the engine chooses instead of multiplying, so that ∞ · 0 does not become NaN.

    Example
    -------
    >>> import adjoint as ad
    >>> @ad.elementwise(name="doc_ramp")
    ... def ramp(m, x):
    ...     return m.maximum(x, 0.0)
    >>> ramp.local(lambda m, out, x: ad.Select(x > 0.0, 1.0, 0.0))
    <op doc_ramp(x)>
    >>> ad.grad(ramp)(2.0), ad.grad(ramp)(-2.0)
    (1.0, 0.0)
    """

    condition: Any
    yes: Any
    no: Any


def scale(m: Any, upstream: Any, local: Any) -> Any:
    """Upstream meets local: their product, through `Select`, with the literals 1, 0 and −1 dropped."""
    if isinstance(local, Select):
        return m.where(local.condition, scale(m, upstream, local.yes), scale(m, upstream, local.no))
    if type(local) is float:
        if local == 1.0:
            return upstream
        if local == 0.0:
            return 0.0
        if local == -1.0:
            return -upstream
    return upstream * local


def share(m: Any, wins: Any, ties: Any, active: tuple[bool, ...]) -> Select:
    """Local gradient of a max or min gate: all to the winner; at a tie half, or nothing beside a constant."""
    return Select(wins, 1.0, Select(ties, 0.5, 0.0) if all(active) else 0.0)


# --- elementwise ----------------------------------------------------------------------------------------------------

_PYTHON_NUMBERS = (float, int, bool, np.bool_)


def _all_python(values: Sequence[Any]) -> bool:
    return all(type(v) in _PYTHON_NUMBERS for v in values)


class Elementwise(Op):
    """Element by element, with broadcasting; states a local gradient per input."""

    scalar = True
    locals: tuple[LocalRule, ...] = ()

    def local(self, *rules: LocalRule) -> Self:
        """State d out / d input, one rule `(m, out, *inputs)` per input; None where the input has no gradient.

        A rule that names `active` is told which inputs get a gradient.
        """
        self.locals = tuple(rules)
        return self

    @property
    def shared(self) -> Shared:
        """One input gives the shape, several broadcast."""
        return _ONE_INPUT if len(self.signature.inputs) == 1 else _BROADCAST

    @property
    def has_rule(self) -> bool:
        """True if local gradients are stated."""
        return bool(self.locals)

    def evaluate(self, values: Sequence[Any], params: Mapping[str, Any]) -> Any:
        """The value; a Python float if all inputs are Python numbers."""
        try:
            value = self.forward(ARRAYS, *values)
        except ArithmeticError:  # a Python float raises where IEEE has an infinity or NaN
            value = self.forward(ARRAYS, *[np.float64(v) if type(v) in (float, int) else v for v in values])
        if type(value) is bool:
            return np.bool_(value)
        if type(value) not in (float, int) and value.dtype.kind == "f" and _all_python(values):
            return float(value)
        return value

    def abstract(self, inputs: Sequence[Abstract], params: Mapping[str, Any]) -> Abstract:
        """Broadcast shape; the dtype that the forward gives for inputs of these dtypes."""
        key = tuple(inputs)
        found = self._abstracts.get(key)  # a trace asks the same again and again
        if found is not None:
            return found
        try:
            shape = np.broadcast_shapes(*(x.shape for x in inputs))
        except ValueError:
            raise self._does_not_broadcast([x.shape for x in inputs]) from None
        result = Abstract.of(self.evaluate([x.specimen() for x in inputs], params))
        return self._abstracts.setdefault(key, Abstract(shape, result.dtype, result.weak))

    @cached_property
    def _abstracts(self) -> dict[tuple[Abstract, ...], Abstract]:
        return {}

    def _does_not_broadcast(self, shapes: list[tuple[int, ...]]) -> Exception:
        named = " and ".join(f"{n} {s}" for n, s in zip(self.signature.inputs, shapes, strict=True))
        return shape_error(self, f"expected shapes that broadcast, got {named}", _broadcast_fix(shapes))

    def local_gradient(self, m: Any, position: int, active: tuple[bool, ...], out: Any, xs: Sequence[Any]) -> Any:
        """The local gradient d out / d input at `position`, in the words `m`."""
        rule = self.locals[position] if position < len(self.locals) else None
        if rule is None:
            raise self.no_rule()
        names = rule.__code__.co_varnames[: rule.__code__.co_argcount]
        return rule(m, out, *xs, active) if names[-1] == "active" else rule(m, out, *xs)

    def pull(
        self, m: Any, position: int, active: tuple[bool, ...], g: Any, out: Any, xs: Sequence[Any], params: Any
    ) -> Any:
        """Upstream × local."""
        return scale(m, g, self.local_gradient(m, position, active, out, xs))

    def push(
        self, m: Any, active: tuple[bool, ...], tangents: Sequence[Any], out: Any, xs: Sequence[Any], params: Any
    ) -> Any:
        """Σ tangent × local."""
        total: Any = None
        for i, t in enumerate(tangents):
            if t is not None:
                term = scale(m, t, self.local_gradient(m, i, active, out, xs))
                total = term if total is None else total + term
        return total


_ONE_INPUT: Final = SHARED._replace(
    returns="Of the shape of x: a Tensor if x is one, else an array or a number.",
    raises="DTypeError\n    For complex numbers, text or ragged lists.",
)
_BROADCAST: Final = SHARED._replace(
    inputs="number, array or Tensor, of shapes that broadcast",
    returns="Of the broadcast shape: a Tensor if an input is one, else an array or a number.",
    raises=f"ShapeError\n    If the shapes do not broadcast.\n{_ONE_INPUT.raises}",
)


def _broadcast_fix(shapes: list[tuple[int, ...]]) -> str:
    """What a user most likely meant, for two shapes that do not broadcast."""
    if len(shapes) != 2:
        return "axes are matched from the last one; each must be equal or 1"
    short, long = sorted(shapes, key=len)
    if len(short) == 1 and len(long) == 2 and short[0] == long[0]:
        return f"to combine it with each column, make {short} into {(short[0], 1)} with x[:, None]"
    if short == long[::-1] and len(short) == 2:
        return "one of them looks transposed: try x.T"
    return "axes are matched from the last one; each must be equal or 1"


@overload
def elementwise(forward: Callable[..., Any], /) -> Elementwise: ...
@overload
def elementwise(**settings: Any) -> Callable[[Callable[..., Any]], Elementwise]: ...
def elementwise(forward: Callable[..., Any] | None = None, /, **settings: Any) -> Any:
    """Make an elementwise op of a forward rule `forward(m, x, …)` written in the words of `m`; then state `.local(…)`.

    Parameters
    ----------
    forward : function `(m, *inputs) -> result`
        The rule, in the words of `m`.
    symbol : str
        How pictures show it.
    nondiff : str
        Why there is no gradient.
    kink : str
        Where the derivative jumps, and what is taken there.
    domain : sequence of (low, high)
        Where tests draw each input from.
    reference : str
        An independent implementation, "numpy.tanh".
    name : str
        If not that of the rule.

    Returns
    -------
    Elementwise
        The op, or without a rule a decorator that makes one.

    Example
    -------
    >>> import adjoint as ad
    >>> @ad.elementwise(reference="scipy.special.expit", name="doc_logistic")
    ... def logistic(m, x):
    ...     return 1.0 / (1.0 + m.exp(-x))
    >>> logistic.local(lambda m, out, x: out * (1.0 - out))
    <op doc_logistic(x)>
    >>> x = ad.tensor(0.0)
    >>> y = logistic(x)
    >>> y.backward()
    >>> y.item(), x.grad.item()
    (0.5, 0.25)
    """
    return decorator(Elementwise, forward, settings)


def decorator(family: type[Op], forward: Callable[..., Any] | None, settings: dict[str, Any]) -> Any:
    """An op of a forward rule, or with settings what makes one: a decorator with and without parentheses."""
    if forward is not None:
        return family(forward)
    return lambda rule: family(rule, **settings)


# --- reductions -----------------------------------------------------------------------------------------------------


class Reduction(Op):
    """Over one axis, several, or all; states one local gradient per input element.

    The forward and the local are written as if the axis were bound and kept: `m.sum(x)` has a size of 1 there.
    """

    local_rule: Callable[..., Any] | None = None

    def __init__(self, forward: Callable[..., Any], *, needs_elements: bool = False, **settings: Any) -> None:
        super().__init__(forward, **settings)
        self.needs_elements = needs_elements  # a maximum over no elements does not exist, a sum over none is 0

    @property
    def shared(self) -> Shared:
        """What reduces and what is left of the shape."""
        return _REDUCED

    def read_signature(self, forward: Callable[..., Any]) -> Signature:
        """The input that the forward rule has; every reduction has an axis and keepdims beside it."""
        defaults = {"axis": None, "keepdims": False}
        return Signature.of(forward)._replace(params=("axis", "keepdims"), defaults=defaults)

    def local(self, rule: Callable[..., Any]) -> Self:
        """State d out / d x for each element of x: a rule `(m, out, x)`; out has its axes kept."""
        self.local_rule = rule
        return self

    @property
    def has_rule(self) -> bool:
        """True if a local gradient is stated."""
        return self.local_rule is not None

    def evaluate(self, values: Sequence[Any], params: Mapping[str, Any]) -> Any:
        """The reduced value, without its axes unless keepdims."""
        x = values[0] if type(values[0]) is np.ndarray else np.asarray(values[0])
        axes = self._axes(x.shape, params["axis"])
        kept = self.forward(over_axis(ARRAYS, axes), x)
        return kept if params["keepdims"] else kept.reshape(_without(x.shape, axes))

    def abstract(self, inputs: Sequence[Abstract], params: Mapping[str, Any]) -> Abstract:
        """The shape without the reduced axes (or with ones)."""
        shape = inputs[0].shape
        axes = self._axes(shape, params["axis"])
        if self.needs_elements and any(shape[a] == 0 for a in axes):
            raise shape_error(self, f"expected at least one element along the axis, got shape {shape}")
        dtype = Abstract.of(self.evaluate([np.asarray(inputs[0].specimen())], params)).dtype
        return Abstract(_kept(shape, axes) if params["keepdims"] else _without(shape, axes), dtype)

    def _axes(self, shape: tuple[int, ...], axis: Any) -> tuple[int, ...]:
        rank = len(shape)
        if axis is None:
            return tuple(range(rank))
        if type(axis) is int and -rank <= axis < rank:
            return (axis % rank,)
        axes = tuple(int(a) for a in axis) if isinstance(axis, tuple | list) else (int(axis),)
        for a in axes:
            if not -rank <= a < rank:
                raise shape_error(self, f"expected an axis from {-rank} to {rank - 1}, got axis={axis} (shape {shape})")
        normal = tuple(a % rank for a in axes)
        if len(set(normal)) < len(normal):
            raise shape_error(self, f"expected different axes, got axis={axis} (shape {shape})")
        return normal

    def _local(self, m: Any, out: Any, x: Any, params: Any) -> tuple[Any, Any, tuple[int, ...]]:
        axes = self._axes(x.shape, params["axis"])
        bound = over_axis(m, axes)
        if self.local_rule is None:
            raise self.no_rule()
        kept = _kept(x.shape, axes)
        return bound, self.local_rule(bound, m.reshape(out, shape=kept), x), kept

    def pull(
        self, m: Any, position: int, active: tuple[bool, ...], g: Any, out: Any, xs: Sequence[Any], params: Any
    ) -> Any:
        """Expand(g) × local."""
        x = xs[0]
        bound, local, kept = self._local(m, out, x, params)
        return scale(bound, m.reshape(g, shape=kept), local)  # the engine repeats it where it is still kept at size 1

    def push(
        self, m: Any, active: tuple[bool, ...], tangents: Sequence[Any], out: Any, xs: Sequence[Any], params: Any
    ) -> Any:
        """Sum(tangent × local)."""
        bound, local, _ = self._local(m, out, xs[0], params)
        return m.reshape(bound.sum(scale(bound, tangents[0], local)), shape=out.shape)


_REDUCED: Final = SHARED._replace(
    settings={"axis": "int, tuple of int, or None for all axes", "keepdims": "bool"},
    returns="Without these axes (of size 1 there, with keepdims): a Tensor if x is one, else an array or a number.",
    raises="ShapeError\n    If there is no such axis, or no element that the result could be made of.",
)


@lru_cache(maxsize=4096)
def _kept(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


@lru_cache(maxsize=4096)
def _without(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for i, n in enumerate(shape) if i not in axes)


@overload
def reduction(forward: Callable[..., Any], /) -> Reduction: ...
@overload
def reduction(**settings: Any) -> Callable[[Callable[..., Any]], Reduction]: ...
def reduction(forward: Callable[..., Any] | None = None, /, **settings: Any) -> Any:
    """Make a reduction of a forward rule `forward(m, x)` written as if the axis were bound and kept; then `.local(…)`.

    Parameters
    ----------
    forward : function `(m, x) -> result`
        The rule, in the words of `m`.
    symbol : str
        How pictures show it.
    nondiff : str
        Why there is no gradient.
    kink : str
        Where the derivative jumps, and what is taken there.
    domain : sequence of (low, high)
        Where tests draw each input from.
    reference : str
        An independent implementation, "numpy.tanh".
    name : str
        If not that of the rule.
    needs_elements : bool
        Over no elements the result does not exist.

    Returns
    -------
    Reduction
        The op, with settings `axis` and `keepdims`.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> @ad.reduction(name="doc_norm", reference="numpy.linalg.norm")
    ... def norm(m, x):
    ...     return m.sqrt(m.sum(x * x))
    >>> norm.local(lambda m, out, x: x / out)
    <op doc_norm(x, axis=None, keepdims=False)>
    >>> ad.grad(norm)(np.array([3.0, 4.0]))
    array([0.6, 0.8])
    """
    return decorator(Reduction, forward, settings)
