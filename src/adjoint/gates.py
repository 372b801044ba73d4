"""Gates of the user's own: the lecture's class with `forward` and `backward`, and `custom_vjp`.

A gate keeps what it needs for the backward pass on itself (`self.x = x`). So that a gate can be used twice in one
graph, each use gets a copy of it. For a derivative of a derivative the copy runs once more, on Tensors: a gate written
with operators and functions that know Tensors is differentiable to any order, one in plain NumPy raises by name.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from adjoint.abstract import Abstract
from adjoint.errors import AdjointError, GradientError
from adjoint.paths import gradients
from adjoint.recording import here, mode
from adjoint.shaped import General
from adjoint.tensor import Tensor, as_array, leaf, owned, value_of
from adjoint.vocabulary import TENSORS


class _GateOp(General):
    """The op behind every gate: the gate of this use is a param of the node."""

    def evaluate(self, values: Sequence[Any], params: Any) -> Any:
        use: Gate = params["gate"]
        value = use.forward(*map(_seen, values))
        if isinstance(value, Tensor):
            value = value._value
        if type(value) is int:
            value = float(value)
        if not isinstance(value, float | np.ndarray | np.generic):
            raise GradientError(
                f"{use.name}: expected forward to return one array or number, got {type(value).__name__}{here()}"
            )
        return owned(value)  # the gate may keep it, and change what it kept in its next use

    def title(self, params: Mapping[str, Any]) -> str:
        """The user's name for the gate."""
        name: str = params["gate"].name
        return name

    def apply(self, *inputs: Any, gate: Gate) -> Any:
        """Compute and record; every use gets a copy of the gate, so that its state belongs to that use."""
        return super().apply(*inputs, gate=copy.copy(gate))

    def diagnosis(self, values: Sequence[Any], params: Any, error: Exception) -> AdjointError:
        raise error  # it comes from the user's own code, and its traceback says from where

    def abstract(self, inputs: Sequence[Abstract], params: Any) -> Abstract:
        return Abstract.of(copy.copy(params["gate"]).forward(*(x.specimen() for x in inputs)))

    def pull(
        self, m: Any, position: int, active: tuple[bool, ...], g: Any, out: Any, xs: Sequence[Any], params: Any
    ) -> Any:
        use: Gate = params["gate"]
        terms = use.again(xs, g) if isinstance(out, Tensor) else use.once(g, last=not any(active[position + 1 :]))
        given = terms if isinstance(terms, tuple | list) else (terms,)
        if len(given) != len(xs):
            raise GradientError(
                f"{use.name}: expected backward to return one gradient per input ({len(xs)}), got {len(given)}"
            )
        term = given[position]
        _check_shape(use, position, term, xs[position])
        return term._value if isinstance(term, Tensor) and not isinstance(out, Tensor) else term

    def push(
        self, m: Any, active: tuple[bool, ...], tangents: Sequence[Any], out: Any, xs: Sequence[Any], params: Any
    ) -> Any:
        """The transpose of backward, which is linear in its upstream gradient u: d (Σ backward(u) · tangent) / d u."""
        upstream = leaf(np.ones_like(value_of(out)))
        with mode(record=True):
            terms = params["gate"].again(xs, upstream)
            given = terms if isinstance(terms, tuple | list) else (terms,)
            pairs = [
                (term, t) for term, t in zip(given, tangents, strict=True) if isinstance(term, Tensor) and t is not None
            ]
            sums = [TENSORS.sum(TENSORS.multiply(term, t), axis=None, keepdims=False) for term, t in pairs]
        (tangent,) = gradients(sums, [1.0] * len(sums), [upstream], isinstance(out, Tensor))
        return 0.0 if tangent is None else tangent


def _seen(value: Any) -> Any:
    """A recorded value as a gate may see it: not to be changed in place."""
    return as_array(value) if isinstance(value, np.ndarray) else value


def _check_shape(use: Gate, position: int, term: Any, x: Any) -> None:
    got, expected = np.shape(term), np.shape(x)
    if term is not None and got != expected and not _sums_to(got, expected):
        raise GradientError(
            f"{use.name}: expected backward to return shape {expected} for input {position + 1} (the shape of that "
            f"input, or one that sums to it), got {got}{here()}"
        )


def _sums_to(got: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(got, expected) in (got, expected)
    except ValueError:
        return False


def _gate_forward(m, *xs, gate):  # type: ignore[no-untyped-def]
    """A gate of the user's own.

    out = gate.forward(x, …)

    Gradient: gate.backward(upstream).

    Example
    -------
    >>> import adjoint as ad
    >>> class Double(ad.Gate):
    ...     def forward(self, x):
    ...         return 2.0 * x
    ...     def backward(self, upstream):
    ...         return 2.0 * upstream
    >>> Double()(ad.tensor(3.0)).item()
    6.0

    Source: CS231n 2017, lecture 4, "modularized implementation".
    """
    return gate.forward(*xs)


_GATE = _GateOp(_gate_forward, name="gate", symbol="gate")
_GATE.vjp(lambda *unused: None)


class Gate:
    """Base of a gate of your own, in the lecture's shape.

    Write `forward(self, x, …)`, which returns the result and may keep on `self` what the backward pass needs, and
    `backward(self, upstream)`, which returns the gradient of each input, upstream × local (a tuple of them if there
    are
    several inputs).

    Raises
    ------
    GradientError
        If `backward` gives too few gradients or one of another shape; if a derivative of the derivative is asked for
        and
        `backward` leaves the graph.

    Example
    -------
    >>> import adjoint as ad
    >>> class Multiply(ad.Gate):
    ...     def forward(self, x, y):
    ...         self.x, self.y = x, y
    ...         return x * y
    ...     def backward(self, dz):
    ...         return self.y * dz, self.x * dz
    >>> x, y = ad.tensor(3.0), ad.tensor(-4.0)
    >>> z = Multiply()(x, y)
    >>> z.backward()
    >>> z.item(), x.grad.item(), y.grad.item()
    (-12.0, -4.0, 3.0)

    Source: CS231n 2017, lecture 4, "modularized implementation: forward/backward API".
    """

    @property
    def name(self) -> str:
        """Name in messages and pictures."""
        return type(self).__name__

    def forward(self, *xs: Any) -> Any:
        """The result for these inputs (plain numbers or arrays)."""
        raise GradientError(f"{self.name}: a gate needs a method forward(self, x, …)")

    def backward(self, upstream: Any) -> Any:
        """The gradient of each input."""
        raise GradientError(f"{self.name}: a gate needs a method backward(self, upstream)")

    def __call__(self, *xs: Any) -> Any:
        """Compute and record; a gate may be called again, each use has a state of its own."""
        return _GATE.apply(*xs, gate=self)

    def once(self, g: Any, *, last: bool) -> Any:
        """`backward` on plain values: run once per pass, though its gradients are asked for input by input."""
        kept = self.__dict__.pop("_terms", None)
        terms = kept[1] if kept is not None and kept[0] is g else self.backward(_seen(g))
        if not last:
            self.__dict__["_terms"] = g, terms
        return terms

    def again(self, xs: Sequence[Any], g: Any) -> Any:
        """`backward` over Tensors, for a derivative of the derivative."""
        use = copy.copy(self)
        try:
            with mode(transforms=1):  # so that leaving the graph raises instead of losing the derivative
                use.forward(*xs)
                terms = use.backward(g)
        except (AdjointError, TypeError, ValueError, AttributeError) as error:
            raise self._plain_numpy(error) from error
        given = terms if isinstance(terms, tuple | list) else (terms,)
        if not any(isinstance(t, Tensor) for t in given):
            raise self._plain_numpy(None)
        return terms

    def _plain_numpy(self, error: Exception | None) -> GradientError:
        return GradientError(
            f"{self.name}: a second derivative or a forward tangent needs a backward that works on Tensors, but this "
            f"gate leaves the graph{f' ({error})' if error else ''}{here()}; "
            "write it with operators and functions of adjoint or NumPy"
        )


class _CustomGate(Gate):
    """The gate behind a function with a `custom_vjp`."""

    def __init__(self, function: custom_vjp) -> None:
        self._function = function
        self._kept: Any = None

    @property
    def name(self) -> str:
        return getattr(self._function.function, "__name__", "custom_vjp")

    def forward(self, *xs: Any) -> Any:
        if self._function.forward is None:
            raise GradientError(f"{self.name}: custom_vjp needs its rules: {self.name}.defvjp(forward, backward)")
        out, self._kept = self._function.forward(*xs)
        return out

    def backward(self, upstream: Any) -> Any:
        assert self._function.backward is not None, "forward ran first and found both rules"
        return self._function.backward(self._kept, upstream)


class custom_vjp:  # noqa: N801 (a decorator)
    """A function with a backward rule of your own.

    `f.defvjp(forward, backward)`: `forward(*inputs)` returns (result, kept), `backward(kept, upstream)` the gradient
    of
    each input (a tuple if there are several).

    Parameters
    ----------
    function : function of arrays
        Gives the name and the docstring; `forward` does the computing.

    Raises
    ------
    GradientError
        If it is called before its rules are stated, or if a gradient has another shape than its input.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> @ad.custom_vjp
    ... def clipped(x):
    ...     return x
    >>> clipped.defvjp(lambda x: (x, None), lambda kept, g: np.clip(g, -1.0, 1.0))
    >>> ad.grad(lambda x: 10.0 * clipped(x))(3.0)
    1.0

    Source: the interface is that of JAX.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.forward: Callable[..., Any] | None = None
        self.backward: Callable[..., Any] | None = None
        self.__doc__ = function.__doc__
        self.__name__ = getattr(function, "__name__", "custom_vjp")

    def defvjp(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
        """State the two rules."""
        self.forward, self.backward = forward, backward

    def __call__(self, *xs: Any) -> Any:
        """Compute and record."""
        return _CustomGate(self)(*xs)
