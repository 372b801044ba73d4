"""Programs run as machine code, and what to expect of them: NumPy's results, each with a bound on its error.

`Native` compiles a program and runs it on memory that is poisoned before and guarded around, so that a kernel that
reads what nobody wrote, or writes past an end, is seen. `expected` evaluates a program by NumPy and carries along how
far each element may be from it: nothing for integers, bools and IEEE operations of exact operands; a few ulp for
functions; what another order of summing can change for sums and products; 1 for a bool that an error may turn.
`assert_close` compares the two.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from adjoint.compiler.emit import emit
from adjoint.compiler.fuse import Groups
from adjoint.compiler.llvm import Library, object_code
from adjoint.compiler.pool import run
from adjoint.compiler.prepare import NORMAL, with_own_results
from adjoint.compiler.program import BINARY, COMPARISONS, MEANING, UNARY, Program, Value, verify
from adjoint.compiler.simplify import EXACT, simplify

Array = np.ndarray[Any, Any]
_GUARD = 128
_POISON = 0xA5


def prepared(program: Program) -> Program:
    """The program in the form that groups are made of."""
    normal = with_own_results(simplify(program, (*EXACT, *NORMAL)))
    verify(normal)
    return normal


class _Memory:
    """Bytes between two guards, aligned to 64."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._bytes = np.full(size + 2 * _GUARD + 64, _POISON, np.uint8)
        start = -self._bytes.ctypes.data % 64 + _GUARD
        self._around = (self._bytes[start - _GUARD : start], self._bytes[start + size : start + size + _GUARD])
        self.inside = self._bytes[start : start + size]

    @property
    def address(self) -> int:
        return int(self.inside.ctypes.data)

    def array(self, value: Value) -> Array:
        """The memory as a value."""
        return self.inside.view(value.dtype).reshape(value.shape)

    def check(self) -> None:
        """Raise if someone wrote past an end."""
        assert all((guard == _POISON).all() for guard in self._around), "a kernel wrote past the end of its memory"


class Native:
    """A program as machine code; `states` has for outputs which input they are the new value of."""

    def __init__(self, program: Program, states: Mapping[int, int] | None = None, threads: int = 4) -> None:
        self.program = prepared(program)
        self.states = dict(states or {})
        self.groups = Groups(self.program)
        self.emitted = emit(self.groups, self.states, threads)
        self._library = Library(object_code(self.emitted.module))

    def __call__(self, given: Sequence[Any], threads: int = 1) -> list[Array]:
        """The outputs, computed on so many threads; raises `IndexError` where the program reports a bad index."""
        plan = self.emitted.schedule
        arena = _Memory(plan.arena)
        arena.inside[:64] = 0
        inputs = [self._filled(x, content) for x, content in zip(self.program.inputs, given, strict=True)]
        outputs = [
            inputs[self.states[i]] if i in self.states else _Memory(_bytes(x))
            for i, x in enumerate(self.program.outputs)
        ]
        constants = [self._filled(x, x.content) for x in plan.constants]
        memories = [arena, *inputs, *outputs, *constants]
        table = (ctypes.c_void_p * plan.slots)(*(memory.address for memory in memories))
        run(self._library.address("program"), ctypes.addressof(table), threads if self.emitted.is_shared else 1)
        for memory in memories:
            memory.check()
        if arena.inside[:8].any():
            raise IndexError("an index is out of range")
        kept = set(self.states.values())
        for i, (x, content) in enumerate(zip(self.program.inputs, given, strict=True)):
            if i not in kept:
                np.testing.assert_array_equal(inputs[i].array(x), np.asarray(content), "an input was written to")
        return [memory.array(x).copy() for memory, x in zip(outputs, self.program.outputs, strict=True)]

    @staticmethod
    def _filled(x: Value, content: Any) -> _Memory:
        memory = _Memory(_bytes(x))
        memory.array(x)[...] = content
        return memory


def _bytes(x: Value) -> int:
    return x.abstract.size * x.dtype.itemsize


# --- what to expect ---------------------------------------------------------------------------------------------------


class Expected(NamedTuple):
    """What NumPy computes, and how far from it an element may be."""

    content: Array
    error: Array  # in float64, of the same shape


_MOVES = ("reshape", "transpose", "broadcast", "slice", "unslice", "concatenate", "gather", "copied")
_ROUNDED_ONCE = (
    *("add", "subtract", "multiply", "divide", "negative", "abs", "sign", "floor", "ceil", "trunc", "round", "sqrt"),
    *("square", "reciprocal", "maximum", "minimum", "remainder", "cast"),
)


def expected(program: Program, given: Sequence[Any]) -> list[Expected]:
    """The outputs by NumPy, with bounds on their errors."""
    held: dict[int, Expected] = {}
    for x, content in zip(program.inputs, given, strict=True):
        held[x.number] = _exact(np.asarray(content))
    with np.errstate(all="ignore"):
        for value in program.values:
            if value.kind == "constant":
                held[value.number] = _exact(value.content)
            elif value.number not in held:
                held[value.number] = _evaluated(value, [held[x.number] for x in value.inputs])
    return [held[x.number] for x in program.outputs]


def _exact(content: Array) -> Expected:
    return Expected(content, np.zeros(np.shape(content)))


def _evaluated(value: Value, operands: list[Expected]) -> Expected:
    contents = [x.content for x in operands]
    content = np.asarray(MEANING[value.kind](*contents, **value.params), value.dtype)
    if value.kind in COMPARISONS and value.kind not in ("and_", "or_"):
        return Expected(content, _error_of_comparison(operands))
    if value.dtype.kind == "b":
        return Expected(content, _error_of_bools(value, operands))
    return Expected(content, _error(value, operands, content)) if value.dtype.kind == "f" else _exact(content)


def _error_of_comparison(operands: list[Expected]) -> Array:
    """1 where the operands are no further apart than their errors, so that it may come out either way."""
    x, y = operands
    error = x.error + y.error
    distance = np.abs(np.subtract(x.content, y.content, dtype=np.float64))
    return ((error > 0.0) & ~(distance > error)).astype(np.float64)


def _error_of_bools(value: Value, operands: list[Expected]) -> Array:
    """What may be wrong stays so when it is moved or chosen from; other steps are made of bools without errors."""
    if value.kind in _MOVES:
        return _moved(value, operands)
    if value.kind in ("any", "all", "max", "min"):
        return np.asarray(np.max(operands[0].error, **value.params, initial=0.0))
    wrong = np.zeros(value.shape, bool)
    if value.kind in ("not_", *BINARY, "and_", "or_", "where", "cast"):  # isfinite and its kin are not turned
        for x in operands:
            wrong |= x.error > 0.0
    return wrong.astype(np.float64)


def _error(value: Value, operands: list[Expected], content: Array) -> Array:
    if value.kind in ("sum", "scatter"):
        return _error_of_sum(value, operands)
    if value.kind == "matmul":
        return _error_of_product(value, operands)
    if value.kind == "where":
        condition, x, y = operands
        turned = np.where(condition.error > 0.0, np.abs(np.subtract(x.content, y.content, dtype=np.float64)), 0.0)
        return np.where(condition.content, x.error, y.error) + np.where(np.isnan(turned), np.inf, turned)
    if value.kind in ("max", "min"):
        return np.asarray(np.max(operands[0].error, **value.params))
    if value.kind in _MOVES:
        return _moved(value, operands)
    return _error_of_function(value, operands, content)


def _moved(value: Value, operands: list[Expected]) -> Array:
    """Errors go where their elements go."""
    moved = (operands[0].error, *(x.content if value.kind == "gather" else x.error for x in operands[1:]))
    return np.asarray(MEANING[value.kind](*moved, **value.params))


def _ulp(x: Array, dtype: Any) -> Array:
    magnitude = np.maximum(np.abs(x), np.finfo(dtype).tiny).astype(dtype)
    return np.where(np.isfinite(x), np.spacing(magnitude), 0.0).astype(np.float64)


def _error_of_sum(value: Value, operands: list[Expected]) -> Array:
    """Each of n additions rounds once, on a partial sum that is no larger than the sum of the magnitudes."""
    x, others = operands[0], [o.content for o in operands[1:]]

    def summed(terms: Array) -> Array:
        return np.asarray(MEANING[value.kind](terms, *others, **value.params))

    total, spread = summed(np.abs(np.asarray(x.content, np.float64))), summed(x.error)
    additions = summed(np.ones(x.error.shape)) - 1
    return _rounded(total, spread, additions, value.dtype)


def _error_of_product(value: Value, operands: list[Expected]) -> Array:
    a, b = (np.abs(np.asarray(x.content, np.float64)) for x in operands)
    ea, eb = (x.error for x in operands)
    return _rounded(a @ b, ea @ b + a @ eb + ea @ eb, 2 * operands[0].content.shape[-1], value.dtype)


def _rounded(total: Array, spread: Array, roundings: Any, dtype: Any) -> Array:
    """The error of a sum of terms, from the sum of their magnitudes and that of their errors.

    Infinities and NaN among terms without error come out in any order; where the terms are so large that the order
    decides whether a partial sum is infinite, anything may.
    """
    error = spread + roundings * (total + spread) * np.finfo(dtype).eps
    overflows = np.isfinite(total) & (total > np.finfo(dtype).max / 4)
    certain = ~np.isfinite(total) & np.isfinite(spread)
    return np.where(certain, 0.0, np.where(overflows | np.isnan(error), np.inf, error))


def _error_of_function(value: Value, operands: list[Expected], content: Array) -> Array:
    """How far the function moves when its operands move by their errors, and the ulp of the function itself."""
    own = 0.0 if value.kind in _ROUNDED_ONCE else 4.0
    error = own * _ulp(content, value.dtype)
    if not any(x.error.any() for x in operands):
        return np.broadcast_to(error, value.shape)
    error = error + _ulp(content, value.dtype)
    if value.kind in ("sin", "cos"):  # no steeper than 1, but up and down within a wide interval
        return error + np.minimum(operands[0].error, 2)
    kind = {"cast": "negative"}.get(value.kind, value.kind)
    assert kind in UNARY or kind in BINARY, f"no bound is known for {value}"
    wide = [np.asarray(x.content, np.float64) for x in operands]
    middle = MEANING[kind](*wide)
    for corner in range(2 ** len(wide)):
        signs = [1 if corner >> i & 1 else -1 for i in range(len(wide))]
        moved = MEANING[kind](*(x + s * o.error for x, s, o in zip(wide, signs, operands, strict=True)))
        same = (moved == middle) | (np.isnan(moved) & np.isnan(middle))
        distance = np.where(same, 0.0, np.abs(moved - middle))
        error = np.maximum(error, 2 * np.where(np.isnan(distance), np.inf, distance) + own * _ulp(moved, value.dtype))
    if value.kind in ("reciprocal", "divide"):  # of either sign if the divisor may be
        error = np.where((np.abs(wide[-1]) <= operands[-1].error) & (operands[-1].error > 0), np.inf, error)
    return np.broadcast_to(error, value.shape)


def assert_close(outputs: Sequence[Array], wanted: Sequence[Expected]) -> None:
    """Raise unless every output is within its bound: equal where that is 0; NaN and infinities in their places."""
    for number, (output, (content, error)) in enumerate(zip(outputs, wanted, strict=True)):
        assert (output.shape, output.dtype) == (content.shape, content.dtype)
        if output.dtype.kind != "f":
            np.testing.assert_array_equal(output, content, f"output {number}")
            continue
        with np.errstate(all="ignore"):
            near = np.abs(output.astype(np.float64) - content) <= error
        right = (
            near | (output == content) | (np.isnan(output) & np.isnan(content)) | np.isnan(error) | (error == np.inf)
        )
        if not right.all():
            place = np.unravel_index(int(np.argmin(right)), right.shape)
            raise AssertionError(
                f"output {number} at {place}: got {output[place]!r}, expected {content[place]!r} ± {error[place]!r}; "
                f"{int((~right).sum())} of {right.size} elements differ"
            )
