"""The families of ops that state a shape rule, and how gradients travel through them.

- linear: a *transpose* per input; the jvp is the op itself applied to the tangent.
- general: vjp and jvp, stated outright.

The families that state local gradients, whose shapes follow, are in `families.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, overload

import numpy as np

from adjoint.abstract import Abstract
from adjoint.families import decorator
from adjoint.op import Op


class _Shaped(Op):
    shape_rule: Callable[..., Any]

    def shape(self, rule: Callable[..., Any]) -> Self:
        """State the shape rule `(*inputs, **params) -> shape` (or Abstract); inputs have `.shape` and `.dtype`."""
        self.shape_rule = rule
        return self

    def abstract(self, inputs: Sequence[Abstract], params: Mapping[str, Any]) -> Abstract:
        """What the shape rule says; the dtype is what the inputs promote to, unless it says otherwise."""
        result = self.shape_rule(*inputs, **params)
        if isinstance(result, Abstract):
            return result
        return Abstract(result, np.result_type(*(0.0 if x.weak else x.dtype for x in inputs)))


class Linear(_Shaped):
    """Linear in each of its inputs; states a transpose per input."""

    transposes: tuple[Callable[..., Any], ...] = ()

    def transpose(self, *rules: Callable[..., Any]) -> Self:
        """State the transpose for each input: a rule `(m, g, *inputs, **params)`; one rule for all of a variadic op,
        which then has the position before g.
        """
        self.transposes = tuple(rules)
        return self

    @property
    def has_rule(self) -> bool:
        """True if transposes are stated."""
        return bool(self.transposes)

    def pull(
        self, m: Any, position: int, active: tuple[bool, ...], g: Any, out: Any, xs: Sequence[Any], params: Any
    ) -> Any:
        """The transpose applied to the upstream gradient."""
        if not self.transposes:
            raise self.no_rule()
        if self.signature.variadic:
            return self.transposes[0](m, position, g, *xs, **params)
        return self.transposes[position](m, g, *xs, **params)

    #: With several inputs: linear in all of them together (concatenate) rather than in each (matmul).
    jointly = False

    def push(
        self, m: Any, active: tuple[bool, ...], tangents: Sequence[Any], out: Any, xs: Sequence[Any], params: Any
    ) -> Any:
        """The op itself, applied to the tangents."""
        if self.jointly:
            filled = [_zeros_of(m, x) if t is None else t for t, x in zip(tangents, xs, strict=True)]
            return self.forward(m, *filled, **params)
        terms = [self.forward(m, *xs[:i], t, *xs[i + 1 :], **params) for i, t in enumerate(tangents) if t is not None]
        return sum(terms[1:], start=terms[0])


def _zeros_of(m: Any, x: Any) -> Any:
    return np.zeros(np.shape(x) if not hasattr(x, "shape") else x.shape, getattr(x, "dtype", np.float64))


@overload
def linear(forward: Callable[..., Any], /) -> Linear: ...
@overload
def linear(*, jointly: bool = False, **settings: Any) -> Callable[[Callable[..., Any]], Linear]: ...
def linear(forward: Callable[..., Any] | None = None, /, *, jointly: bool = False, **settings: Any) -> Any:
    """Make a linear op of a forward rule `forward(m, x, /, setting)`; then state `.shape(…)` and `.transpose(…)`.

    Parameters
    ----------
    forward and settings : as in `elementwise`
    jointly : bool
        With several inputs: linear in all of them together (as concatenate is) rather than in each (as matmul is).

    Returns
    -------
    Linear
        The op.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> @ad.linear(name="doc_times")
    ... def times(m, x, /, factor):
    ...     return factor * x
    >>> times.shape(lambda x, factor: x.shape).transpose(lambda m, g, x, factor: factor * g)
    <op doc_times(x, factor)>
    >>> ad.grad(lambda x: times(x, 5.0).sum())(np.ones(2))
    array([5., 5.])
    """

    def make(rule: Callable[..., Any]) -> Linear:
        op = Linear(rule, **settings)
        op.jointly = jointly
        return op

    return make if forward is None else make(forward)


class General(_Shaped):
    """Anything else; states its vjp per input and its jvp outright."""

    vjps: tuple[Callable[..., Any], ...] = ()
    jvp_rule: Callable[..., Any] | None = None

    def vjp(self, *rules: Callable[..., Any]) -> Self:
        """State the gradient for each input: a rule `(m, g, out, *inputs, **params)`."""
        self.vjps = tuple(rules)
        return self

    def jvp(self, rule: Callable[..., Any]) -> Self:
        """State the tangent of the result: a rule `(m, tangents, out, *inputs, **params)`."""
        self.jvp_rule = rule
        return self

    @property
    def has_rule(self) -> bool:
        """True if vjp and jvp are stated."""
        return bool(self.vjps) and self.jvp_rule is not None

    def pull(
        self, m: Any, position: int, active: tuple[bool, ...], g: Any, out: Any, xs: Sequence[Any], params: Any
    ) -> Any:
        """What the vjp rule says."""
        if not self.vjps:
            raise self.no_rule()
        return self.vjps[position](m, g, out, *xs, **params)

    def push(
        self, m: Any, active: tuple[bool, ...], tangents: Sequence[Any], out: Any, xs: Sequence[Any], params: Any
    ) -> Any:
        """What the jvp rule says."""
        if self.jvp_rule is None:
            raise self.no_rule()
        return self.jvp_rule(m, tangents, out, *xs, **params)


@overload
def general(forward: Callable[..., Any], /) -> General: ...
@overload
def general(**settings: Any) -> Callable[[Callable[..., Any]], General]: ...
def general(forward: Callable[..., Any] | None = None, /, **settings: Any) -> Any:
    """Make an op of a forward rule; then state `.shape(…)`, and `.vjp(…)` and `.jvp(…)` or `nondiff="reason"`.

    Parameters
    ----------
    forward and settings : as in `elementwise`

    Returns
    -------
    General
        The op.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> @ad.general(name="doc_norm_squared")
    ... def norm_squared(m, x, /):
    ...     return m.sum(x * x, axis=None, keepdims=False)
    >>> norm_squared.shape(lambda x: ()).vjp(lambda m, g, out, x: 2.0 * g * x)
    <op doc_norm_squared(x)>
    >>> ad.grad(norm_squared)(np.array([3.0, 4.0]))
    array([6., 8.])
    """
    return decorator(General, forward, settings)
