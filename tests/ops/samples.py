"""Inputs for the ops of the registry: drawn from each op's domain, away from its kinks by a margin.

The tests of this folder walk the registry with them; what an op declares beside its block (domain, samples, kinks,
reference) is all that is known about it here.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

import adjoint as ad
from adjoint.families import Elementwise, Reduction
from adjoint.op import Op
from adjoint.vocabulary import ARRAYS, REGISTRY

#: Ops of the library itself; a user's gate has no rule until the user states it, and doctests may add ops.
OPS = {name: op for name, op in REGISTRY.items() if op.__module__.startswith("adjoint.ops.")}
DRAWS = {name: op for name, op in OPS.items() if name.startswith("random_")}
COMPUTED = {name: op for name, op in OPS.items() if name not in DRAWS}
ELEMENTWISE = {name: op for name, op in OPS.items() if isinstance(op, Elementwise)}
REDUCTIONS = {name: op for name, op in OPS.items() if isinstance(op, Reduction)}
SMOOTH = {name: op for name, op in COMPUTED.items() if op.nondiff is None}

MARGIN = 0.05

SHAPES: dict[int, list[tuple[tuple[int, ...], ...]]] = {
    1: [((),), ((3,),), ((2, 3),), ((0,),), ((2, 0),)],
    2: [
        ((), ()), ((2, 3), (2, 3)), ((2, 3), ()), ((), (3,)), ((3,), (2, 1)), ((2, 1, 3), (2, 1)), ((0,), ()),
        ((0, 3), (3,)), ((2, 0), (2, 1)),
    ],
    3: [((), (), ()), ((2, 3), (2, 3), (2, 3)), ((2, 1), (3,), ()), ((0,), (), (0,))],
}  # fmt: skip

#: Shape, axis, keepdims.
REDUCED: list[tuple[tuple[int, ...], Any, bool]] = [
    ((), None, False), ((4,), 0, False), ((2, 3), None, False), ((2, 3), None, True), ((2, 3), 1, True),
    ((2, 3), -2, False), ((2, 3, 2), (0, 2), False), ((2, 3, 2), (2, 0), True), ((1, 1), None, False),
    ((0, 3), 1, False), ((0, 3), 0, False), ((0,), None, True),
]  # fmt: skip


class Sample(NamedTuple):
    """Inputs and params of one call."""

    op: Op
    inputs: tuple[Any, ...]
    params: dict[str, Any]

    def call(self, *inputs: Any) -> Any:
        """The public call, with other inputs of the same shapes if given."""
        xs = inputs or self.inputs
        return self.op(list(xs), **self.params) if self.op.signature.variadic else self.op(*xs, **self.params)

    def reference(self) -> Any:
        """What the independent reference gives."""
        function = resolved(self.op.reference)
        listed = self.op.signature.variadic and str(self.op.reference).startswith("numpy.")
        return function(list(self.inputs), **self.params) if listed else function(*self.inputs, **self.params)

    @property
    def differentiable(self) -> list[int]:
        """Positions of the inputs that can have a gradient."""
        return [i for i, x in enumerate(self.inputs) if np.asarray(x).dtype.kind == "f"]

    def of(self, positions: tuple[int, ...]) -> Callable[..., Any]:
        """The op as a function of some of its inputs, the others constant."""

        def f(*active: Any) -> Any:
            given = dict(zip(positions, active, strict=True))
            return self.call(*(given.get(i, x) for i, x in enumerate(self.inputs)))

        return f

    def patterns(self) -> Iterator[tuple[int, ...]]:
        """Every way to choose which inputs are active."""
        for count in range(1, len(self.differentiable) + 1):
            yield from itertools.combinations(self.differentiable, count)


def resolved(reference: str | Callable[..., Any]) -> Callable[..., Any]:
    """A callable, given itself or by its dotted name."""
    if callable(reference):
        return reference
    module, _, name = reference.rpartition(".")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function


def rng_for(op: Op) -> np.random.Generator:
    """Draws that depend on the op alone, so that a failure is the same when a test runs by itself."""
    return np.random.default_rng(list(op.name.encode()))


def samples(op: Op, dtype: Any = np.float64) -> list[Sample]:
    """0-d, empty, broadcast and larger inputs of an op."""
    rng = rng_for(op)
    if isinstance(op, Elementwise):
        return [Sample(op, tuple(draw(op, s, rng, dtype)), {}) for s in SHAPES[len(op.signature.inputs)]]
    if isinstance(op, Reduction):
        fits = [c for c in REDUCED if not (op.needs_elements and _over_nothing(c[0], c[1]))]
        return [Sample(op, (distinct(s, rng, dtype),), {"axis": a, "keepdims": k}) for s, a, k in fits]
    drawn = [tuple(s if isinstance(s, np.ndarray) else distinct(s, rng, dtype) for s in c.inputs) for c in op.cases]
    return [Sample(op, xs, dict(c.params)) for xs, c in zip(drawn, op.cases, strict=True)]


def _over_nothing(shape: tuple[int, ...], axis: Any) -> bool:
    axes = range(len(shape)) if axis is None else np.atleast_1d(axis).astype(int)
    return any(shape[a] == 0 for a in axes)


def distinct(shape: tuple[int, ...], rng: np.random.Generator, dtype: Any = np.float64) -> Any:
    """Numbers between −2 and 2 of which no two are close: order statistics stay away from their kinks."""
    size = int(np.prod(shape))
    spaced = (rng.permutation(size) + rng.uniform(0.25, 0.75, size)) * 4.0 / max(size, 1) - 2.0
    return spaced.reshape(shape).astype(dtype)


def draw(op: Elementwise, shapes: tuple[tuple[int, ...], ...], rng: np.random.Generator, dtype: Any) -> list[Any]:
    """Inputs from the op's domain, none near a kink."""
    for _ in range(1000):
        xs = [_uniform(op, i, shape, rng, dtype) for i, shape in enumerate(shapes)]
        if _away_from_kinks(op, xs):
            return xs
    raise AssertionError(f"{op.name}: its domain leaves no room between its kinks")


def _uniform(op: Elementwise, i: int, shape: tuple[int, ...], rng: np.random.Generator, dtype: Any) -> Any:
    if op.name == "where" and i == 0:
        return rng.random(shape) < 0.5
    low, high = op.domain[i] if op.domain else (-2.0, 2.0)
    return np.asarray(rng.uniform(low, high, shape)).astype(dtype)


def _away_from_kinks(op: Elementwise, xs: list[Any]) -> bool:
    if op.winner is None:
        return True
    won = op.winner(ARRAYS, *xs)
    shifts = itertools.product(*([0.0, -MARGIN, MARGIN] if x.dtype.kind == "f" else [0] for x in xs))
    moved = ([x + s for x, s in zip(xs, shift, strict=True)] for shift in shifts)
    return all(np.array_equal(op.winner(ARRAYS, *near), won) for near in moved)


def layouts(x: Any) -> dict[str, Any]:
    """The same numbers in other memory layouts."""
    doubled = np.repeat(x, 2, axis=-1) if x.ndim else x
    return {
        "transposed": np.ascontiguousarray(x.T).T if x.ndim else x,
        "reversed": np.ascontiguousarray(x[::-1])[::-1] if x.ndim else x,
        "strided": doubled[..., ::2] if x.ndim else x,
        "read-only": ad.constant(x).value,
    }


def abstract(sample: Sample) -> Any:
    """What the shape rule says of a call."""
    from adjoint.op import Abstract

    defaults = {n: v for n, v in sample.op.signature.defaults.items() if n in sample.op.signature.params}
    return sample.op.abstract([Abstract.of(x) for x in sample.inputs], defaults | sample.params)
