"""How far two right results of one op may lie apart.

Engines add in different orders, and their elementary functions are not rounded alike. Where numbers cancel, such
differences grow: how much is a question of conditioning, which this file answers by reading the op as primitives and
carrying an error along with each value. A sum of n terms may be off by (n − 1) · eps · Σ |term|, a product of matrices
by the same over its inner axis, a function by a few ulp and by what moving its operands by their errors makes of it.

Invariant: the error of a value is an array of float64 that broadcasts to its shape; infinite where nothing is known.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from adjoint.abstract import Abstract
from adjoint.compiler.lower import UnloweredError, lowered
from adjoint.compiler.program import COMPARISONS, MEANING, Builder, Program, Value
from adjoint.compiler.repeat import parts
from adjoint.op import Op
from adjoint.tensor import Array


class Bounded(NamedTuple):
    """What NumPy computes, and how far from it another engine may be."""

    content: Array
    error: Array


#: Primitives that put elements in other places.
_MOVES: Final = ("reshape", "transpose", "broadcast", "slice", "unslice", "concatenate", "copied")
#: Primitives that IEEE arithmetic rounds to the nearest number, and those that do not round.
_ROUNDED_ONCE: Final = (
    *("add", "subtract", "multiply", "divide", "negative", "abs", "sign", "floor", "ceil", "trunc", "round", "sqrt"),
    *("square", "reciprocal", "maximum", "minimum", "remainder", "cast"),
)


def ulp(x: Any, dtype: Any) -> Array:
    """Distance from each number to the next larger one in magnitude; 1 for whole numbers and booleans."""
    if np.dtype(dtype).kind != "f":
        return np.ones(np.shape(x))
    magnitude = np.maximum(np.abs(x), np.finfo(dtype).tiny).astype(dtype)
    return np.where(np.isfinite(magnitude), np.spacing(magnitude), 0.0).astype(np.float64)


def allowance(op: Op, values: Sequence[Any], params: Mapping[str, Any], result: Abstract, limit: float) -> Array:
    """How far two results of an op for equal inputs may lie apart: `limit` ulp, or what rounding of its sums can make.

    Whole numbers and booleans must be equal. An op that cannot be read as primitives has `limit` ulp.
    """
    builder = Builder()
    inputs = [builder.input(Abstract.of(x)) for x in values]
    try:
        end = lowered(builder, op, inputs, params, result)
    except UnloweredError:
        end = builder.eager(op.name, inputs, params, result)
    with np.errstate(all="ignore"):
        content, error = _evaluated(builder.program(inputs, [end]), [_exact(x) for x in values], limit)[0]
    return _at_least(error, content, result, limit)


def allowances(loop: Op, values: Sequence[Any], params: Mapping[str, Any], limit: float) -> list[Array]:
    """`allowance` for each result of a loop: errors go from step to step."""
    builder = Builder()
    end = lowered(builder, loop, [builder.input(Abstract.of(x)) for x in values], params, loop.abstract((), params))
    with np.errstate(all="ignore"):
        found = _evaluated_loop(end, [_exact(x) for x in values], limit)
    return [_at_least(error, x, Abstract.of(x), limit) for x, error in found]


def _at_least(error: Any, content: Array, result: Abstract, limit: float) -> Array:
    least = limit * ulp(content, result.dtype) if result.dtype.kind == "f" else 0.0
    return np.broadcast_to(np.fmax(error, least), result.shape)


def _evaluated(program: Program, given: Sequence[Bounded], limit: float) -> list[Bounded]:
    held: dict[int, Any] = {v.number: x for v, x in zip(program.inputs, given, strict=True)}
    for value in program.values:
        if value.kind == "constant":
            held[value.number] = _exact(value.content)
        elif value.kind == "repeat":
            held[value.number] = _evaluated_loop(value, [held[x.number] for x in value.inputs], limit)
        elif value.kind == "result":
            held[value.number] = held[value.inputs[0].number][value.params["index"]]
        elif value.number not in held:
            held[value.number] = _bounded(value, [held[x.number] for x in value.inputs], limit)
    return [held[x.number] for x in program.outputs]


def _evaluated_loop(value: Value, given: Sequence[Bounded], limit: float) -> list[Bounded]:
    body, steps, guard = (value.params[k] for k in ("body", "steps", "guard"))
    first, last = parts(value)
    carries, found = list(given[:first]), list[list[Bounded]]()
    zeros = [_exact(np.zeros(x.shape, x.dtype)) for x in body.outputs[first:]]
    for t in reversed(range(steps)) if value.params["reverse"] else range(steps):
        taken = [*carries, *(_row(x, t) for x in given[first:last]), *given[last:]]
        if guard is not None and not taken[guard].content:
            found.append(zeros)
            continue
        outputs = _evaluated(body, taken, limit)
        carries = outputs[:first]
        found.append(outputs[first:])
    stacked = zip(*(reversed(found) if value.params["reverse"] else found), strict=True)
    return [*carries, *map(_stacked, stacked)]


def _row(x: Bounded, t: int) -> Bounded:
    return Bounded(x.content[t], np.broadcast_to(x.error, x.content.shape)[t])


def _stacked(rows: Sequence[Bounded]) -> Bounded:
    return Bounded(np.stack([x.content for x in rows]), np.stack([np.broadcast_to(e, x.shape) for x, e in rows]))


def _exact(content: Any) -> Bounded:
    return Bounded(np.asarray(content), np.zeros(np.shape(content)))


def _bounded(value: Value, operands: Sequence[Bounded], limit: float) -> Bounded:
    """One primitive by NumPy, with the error of its result."""
    result = MEANING[value.kind](*(x.content for x in operands), **value.params)
    content = np.asarray(result, value.dtype)
    if value.kind in _ERRORS:
        return Bounded(content, np.asarray(_ERRORS[value.kind](value, operands)))
    if value.dtype.kind != "f" or value.kind in ("eager", "uniform"):
        return _exact(content)
    return Bounded(content, _error_of_function(value, operands, content, limit))


def _moved(value: Value, operands: Sequence[Bounded]) -> Any:
    """Errors go where their elements go."""
    return MEANING[value.kind](*(x.error for x in operands), **value.params)


def _error_of_choice(value: Value, operands: Sequence[Bounded]) -> Any:
    condition, x, y = operands
    wrong = np.where(condition.error > 0.0, np.abs(np.subtract(x.content, y.content, dtype=np.float64)), 0.0)
    return np.where(condition.content, x.error, y.error) + wrong


def _error_of_comparison(value: Value, operands: Sequence[Bounded]) -> Any:
    """1 where it may come out either way, because the operands are no further apart than their errors."""
    x, y = operands
    total = x.error + y.error
    return np.float64((total > 0.0) & (np.abs(np.subtract(x.content, y.content, dtype=np.float64)) <= total))


def _error_of_extreme(value: Value, operands: Sequence[Bounded]) -> Any:
    return np.max(operands[0].error, **value.params, initial=0.0)


def _error_of_sum(value: Value, operands: Sequence[Bounded]) -> Array:
    """Each addition rounds once, on a partial sum that is no larger than the sum of the magnitudes."""
    if value.dtype.kind != "f":
        return np.zeros(value.shape)
    meaning, params = MEANING[value.kind], value.params
    x, others = operands[0], [o.content for o in operands[1:]]
    magnitude = np.abs(x.content.astype(np.float64)) + x.error
    total = meaning(magnitude, *others, **params)
    count = meaning(np.ones(magnitude.shape), *others, **params)
    rounding = np.maximum(count - 1.0, 0.0) * total * np.finfo(value.dtype).eps
    special = meaning(_special(x), *others, **params)
    return _bound(meaning(x.error, *others, **params) + rounding, total, special, value.dtype)


def _error_of_product(value: Value, operands: Sequence[Bounded]) -> Array:
    if value.dtype.kind != "f":
        return np.zeros(value.shape)
    (a, moved_a), (b, moved_b) = ((np.abs(x.content.astype(np.float64)), x.error) for x in operands)
    grown = moved_a @ b + a @ moved_b + moved_a @ moved_b if moved_a.any() or moved_b.any() else 0.0
    total = a @ b + grown
    special_a, special_b = map(_special, operands)
    met = special_a @ np.ones(b.shape) + np.ones(a.shape) @ special_b if special_a.any() or special_b.any() else 0.0
    return _bound(grown + 2.0 * a.shape[-1] * np.finfo(value.dtype).eps * total, total, met, value.dtype)


def _special(x: Bounded) -> Array:
    """1 where a number is infinite or NaN."""
    return np.where(np.isfinite(x.content), 0.0, 1.0)


def _bound(error: Any, total: Any, special: Any, dtype: Any) -> Array:
    """The error of a sum: none where infinities and NaN take part, which come out the same in any order; infinite where
    the order decides whether a partial sum of finite numbers is infinite.
    """
    return np.where(special > 0.0, 0.0, np.where(total < np.finfo(dtype).max / 4.0, error, np.inf))


def _error_of_function(value: Value, operands: Sequence[Bounded], content: Array, limit: float) -> Array:
    """What the function makes of operands that are off by their errors, and its own rounding."""
    own = (0.0 if value.kind in _ROUNDED_ONCE else limit) * ulp(content, value.dtype)
    if not any(x.error.any() for x in operands):
        return own
    wide = [x.content.astype(np.float64) for x in operands]
    meaning = MEANING["negative" if value.kind == "cast" else value.kind]
    middle, error = meaning(*wide), np.zeros(value.shape)
    for signs in itertools.product((-1.0, 1.0), repeat=len(wide)):
        moved = meaning(*(x + s * o.error for x, s, o in zip(wide, signs, operands, strict=True)))
        same = (moved == middle) | (np.isnan(moved) & np.isnan(middle))
        distance = np.where(same, 0.0, np.abs(moved - middle))
        error = np.maximum(error, np.where(np.isnan(distance), np.inf, distance))
    return np.asarray(own + 2.0 * error + ulp(content, value.dtype))


#: How the error of each kind of primitive arises; those that are not here are functions of the elements, or exact.
_ERRORS: Final[Mapping[str, Callable[[Value, Sequence[Bounded]], Any]]] = {
    **dict.fromkeys(_MOVES, _moved),
    **dict.fromkeys(COMPARISONS, _error_of_comparison),
    **dict.fromkeys(("max", "min"), _error_of_extreme),
    **dict.fromkeys(("sum", "scatter"), _error_of_sum),
    "gather": lambda value, operands: operands[0].error[operands[1].content],
    "matmul": _error_of_product,
    "not_": lambda value, operands: operands[0].error,
    "where": _error_of_choice,
}
