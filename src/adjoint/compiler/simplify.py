"""Rewriting a program: the same results, to the last bit, from fewer and simpler primitives.

A rule looks at one primitive, whose operands are simplified already, and returns a value to take in its place, or None.
`simplify` rebuilds a program in order with all rules of a list; constants, common subexpressions and dead code fall
away in the building (`Builder`). Rules of `EXACT` keep IEEE results: NaN, infinities, the sign of a zero. Those
of `FAST` do not, and act only where a user asked for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from adjoint.compiler.matmul import FEW_COLUMNS, has_pairs
from adjoint.compiler.program import Builder, Program, Value
from adjoint.compiler.repeat import pruned, settled

Rule = Callable[[Builder, Value], Value | None]


def simplify(program: Program, rules: Sequence[Rule]) -> Program:
    """The program with every primitive offered to the rules, in their order, until none of them changes it."""
    builder, program = Builder(), pruned(program)
    new: dict[int, Value] = {}
    for value in program.values:
        inputs = [new[x.number] for x in value.inputs]
        if value.kind == "repeat":
            new[value.number] = _simplified_loop(builder, rules, settled(builder, value, inputs))
        else:
            new[value.number] = _rewritten(builder, rules, builder.copied(value, inputs))
        new[value.number].origin = new[value.number].origin or value.origin
    return builder.program([new[x.number] for x in program.inputs], [new[x.number] for x in program.outputs])


def _simplified_loop(builder: Builder, rules: Sequence[Rule], value: Value) -> Value:
    return builder.repeat(value.inputs, {**value.params, "body": simplify(value.params["body"], rules)})


def _rewritten(builder: Builder, rules: Sequence[Rule], value: Value) -> Value:
    for rule in rules:
        other = rule(builder, value)
        if other is not None and other is not value:
            assert (other.shape, other.dtype) == (value.shape, value.dtype), f"{rule.__name__} changed {value}"
            return _rewritten(builder, rules, other)
    return value


def number(value: Value) -> float | None:
    """The one number that a constant holds, everywhere; None for anything else."""
    if value.kind == "broadcast":
        return number(value.inputs[0])
    if value.kind != "constant" or value.content.size == 0:
        return None
    content = value.content
    first = content.flat[0]
    same = content.size == 1 or bool((content == first).all() and (np.signbit(content) == np.signbit(first)).all())
    return float(first) if same else None


# --- exact rules ------------------------------------------------------------------------------------------------------


def neutral_operand(builder: Builder, value: Value) -> Value | None:
    """x · 1, x / 1, x − 0, x + (−0): x itself. (x + 0 is not: −0 + 0 = 0.)"""
    if value.kind not in ("add", "subtract", "multiply", "divide"):
        return None
    x, y = value.inputs
    pairs = [(x, y), (y, x)] if value.kind in ("add", "multiply") else [(x, y)]
    for kept, other in pairs:
        n = number(other)
        if n is not None and kept.abstract == value.abstract and _leaves_as_is(value.kind, n, value.dtype):
            return kept
    return None


def _leaves_as_is(kind: str, n: float, dtype: Any) -> bool:
    if kind in ("multiply", "divide"):
        return n == 1.0
    negative = math.copysign(1.0, n) < 0
    return n == 0.0 and (dtype.kind in "iu" or negative == (kind == "add"))


def turned_twice(builder: Builder, value: Value) -> Value | None:
    """−(−x) and not(not x): x itself."""
    if value.kind in ("negative", "not_") and value.inputs[0].kind == value.kind:
        return value.inputs[0].inputs[0]
    return None


def minus_one(builder: Builder, value: Value) -> Value | None:
    """x · (−1): −x."""
    if value.kind == "multiply" and value.dtype.kind == "f":
        for x, y in (value.inputs, value.inputs[::-1]):
            if number(y) == -1.0 and x.abstract == value.abstract:
                return builder.make("negative", (x,), {}, value.abstract)
    return None


def power_of_two(builder: Builder, value: Value) -> Value | None:
    """x / 2ᵏ: x · 2⁻ᵏ, which rounds the same number once, too; a division takes several times as long."""
    if value.kind != "divide" or value.dtype not in (np.float32, np.float64):
        return None
    n = number(value.inputs[1])
    return _times(builder, value, 1.0 / n) if n is not None and n != 1.0 and _is_power_of_two(n) else None


def _is_power_of_two(n: float) -> bool:
    """Whether it is ±2ᵏ, and its reciprocal a normal number also in float32."""
    return 2.0**-100 < abs(n) < 2.0**100 and abs(math.frexp(n)[0]) == 0.5


def _times(builder: Builder, value: Value, factor: float) -> Value:
    """The first operand times a number, in place of a quotient."""
    x, divisor = value.inputs
    product = builder.constant(np.full(divisor.shape, factor, value.dtype))
    return builder.make("multiply", (x, product), {}, value.abstract)


def square_as_product(builder: Builder, value: Value) -> Value | None:
    """x²: x · x."""
    return builder.make("multiply", value.inputs * 2, {}, value.abstract) if value.kind == "square" else None


def known_power(builder: Builder, value: Value) -> Value | None:
    """x⁰, x¹, x², x⁻¹ and √x: these are what NumPy computes for such exponents, too.

    As there, x^½ is the root only if the exponent is one number: it is −0 at −0 and NaN at −∞, where an array of
    exponents, and Python with its own numbers, give 0 and ∞.
    """
    if value.kind != "pow" or value.inputs[0].abstract != value.abstract:
        return None
    x, exponent = value.inputs
    n, one = number(exponent), builder.constant(1.0 if value.abstract.weak else np.ones((), value.dtype))
    is_root = exponent.kind == "constant" and exponent.shape == () and not value.abstract.weak
    ways: dict[float | None, Any] = {
        0.0: ("broadcast", (one,), {"shape": value.shape}),
        2.0: ("multiply", (x, x), {}),
        -1.0: ("divide", (one, x), {}) if value.dtype.kind == "f" else None,
        0.5: ("sqrt", (x,), {}) if is_root else None,
    }
    if n == 1.0:
        return x
    kind, operands, params = ways.get(n) or (None, (), {})
    return builder.make(kind, operands, params, value.abstract) if kind else None


def decided_choice(builder: Builder, value: Value) -> Value | None:
    """A choice whose condition is known, or whose two sides are one value."""
    if value.kind != "where":
        return None
    condition, x, y = value.inputs
    n = number(condition)
    chosen = x if x is y or n == 1.0 else y if n == 0.0 else None
    return chosen if chosen is not None and chosen.abstract == value.abstract else None


def nothing_moved(builder: Builder, value: Value) -> Value | None:
    """A reshape, transposition, broadcast or reduction that leaves everything as it is. (A sum of −0 alone is 0.)"""
    if value.kind in ("reshape", "broadcast") and value.shape == value.inputs[0].shape:
        return value.inputs[0]
    if value.kind == "transpose" and value.params["axes"] == tuple(range(len(value.shape))):
        return value.inputs[0]
    if value.kind in ("max", "min") and value.abstract == value.inputs[0].abstract:
        return value.inputs[0] if all(value.shape[a] == 1 for a in value.params["axis"]) else None
    return None


def moved_twice(builder: Builder, value: Value) -> Value | None:
    """A reshape of a reshape, a transposition of a transposition: one of them."""
    if not value.inputs or value.kind != value.inputs[0].kind:
        return None
    inner = value.inputs[0]
    if value.kind == "reshape":
        return builder.make("reshape", inner.inputs, value.params, value.abstract)
    if value.kind == "transpose":
        axes = tuple(inner.params["axes"][a] for a in value.params["axes"])
        return builder.make("transpose", inner.inputs, {"axes": axes}, value.abstract)
    return None


EXACT: Final[tuple[Rule, ...]] = (
    neutral_operand,
    turned_twice,
    minus_one,
    power_of_two,
    square_as_product,
    known_power,
    decided_choice,
    nothing_moved,
    moved_twice,
)


# --- rules that a user must ask for -----------------------------------------------------------------------------------


def zero_operand(builder: Builder, value: Value) -> Value | None:
    """x + 0: x, though −0 + 0 is 0; x · 0: 0, though ∞ · 0 is NaN."""
    if value.kind not in ("add", "multiply") or value.dtype.kind != "f":
        return None
    for x, y in (value.inputs, value.inputs[::-1]):
        if number(y) == 0.0:
            if value.kind == "add" and x.abstract == value.abstract:
                return x
            if value.kind == "multiply":
                return builder.constant(np.zeros(value.shape, value.dtype))
    return None


def reciprocal_product(builder: Builder, value: Value) -> Value | None:
    """x / c for a constant c: x · (1/c), rounded twice."""
    if value.kind != "divide" or value.dtype.kind != "f":
        return None
    n = number(value.inputs[1])
    return _times(builder, value, 1.0 / n) if n is not None and n != 0.0 and math.isfinite(n) else None


def cube(builder: Builder, value: Value) -> Value | None:
    """x³: x · x · x, rounded twice; a power takes ten times as long."""
    if value.kind != "pow" or value.inputs[0].abstract != value.abstract or number(value.inputs[1]) != 3.0:
        return None
    x = value.inputs[0]
    square = builder.make("multiply", (x, x), {}, value.abstract)
    return builder.make("multiply", (square, x), {}, value.abstract)


FAST: Final[tuple[Rule, ...]] = (*EXACT, zero_operand, reciprocal_product, cube)


# --- narrower products ------------------------------------------------------------------------------------------------


def rounded_operands(builder: Builder, value: Value) -> Value | None:
    """A product of float32 matrices as one of bfloat16 numbers, summed in float32."""
    if value.kind != "matmul" or value.dtype != np.float32 or value.params:
        return None
    if has_pairs() and all(len(x.shape) > 1 for x in value.inputs) and value.shape[-1] >= FEW_COLUMNS:
        return builder.make("matmul", value.inputs, {"bfloat16": True}, value.abstract)
    rounded = tuple(_rounded(builder, x) for x in value.inputs)
    return None if rounded == value.inputs else builder.make("matmul", rounded, value.params, value.abstract)


def _rounded(builder: Builder, x: Value) -> Value:
    """Rounded before it is moved, so that a matrix and its transpose are one."""
    if x.kind == "bfloat16":
        return x
    if x.kind in ("transpose", "reshape", "broadcast"):
        return builder.make(x.kind, (_rounded(builder, x.inputs[0]),), x.params, x.abstract)
    return builder.make("bfloat16", (x,), {}, x.abstract)


BFLOAT16: Final[tuple[Rule, ...]] = (rounded_operands,)
