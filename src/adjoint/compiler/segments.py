"""A program in segments: native ones, and between them what only NumPy computes.

A primitive that waits for an eager one belongs to a later segment than it. All results are held until the end, and only
then put where they belong: an error in an eager segment leaves every state as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from adjoint.compiler.buffers import NOTHING, Held, store
from adjoint.compiler.entry import MISFIT, fits
from adjoint.compiler.kernels.elements import UnsupportedError, in_memory, is_native
from adjoint.compiler.native import Native, native
from adjoint.compiler.prepare import ELEMENTWISE
from adjoint.compiler.program import MEANING, Builder, Program, Value
from adjoint.errors import AdjointError


class Segment(NamedTuple):
    """A native part: what it takes from the whole, what it gives, and its program."""

    takes: tuple[Value, ...]
    gives: tuple[Value, ...]
    program: Program


Step = Segment | Value


def split(program: Program) -> list[Step]:
    """The program as native segments and eager primitives, in the order in which they run."""
    stage: dict[Value, int] = {}
    for value in program.values:
        before = max((stage[x] for x in value.inputs), default=0)
        stage[value] = before + 1 if is_eager(value) else before
    steps: list[Step] = []
    for number in range(max(stage.values(), default=0) + 1):
        members = [v for v in program.values if stage[v] == number]
        steps += [v for v in members if is_eager(v)]
        native_ones = [v for v in members if v.kind not in ("input", "constant") and not is_eager(v)]
        segment = _segment(program, stage, native_ones)
        steps += [] if segment is None else [segment]
    return steps


def is_eager(value: Value) -> bool:
    """Whether NumPy must compute it: an op without primitives, or a primitive without native code for its dtypes."""
    if value.kind in ("input", "constant"):
        return False
    if value.kind == "eager" or (value.kind in ELEMENTWISE and not is_native(value)):
        return True
    return not all(_has_code(x.dtype) for x in (value, *value.inputs))


def _has_code(dtype: np.dtype[Any]) -> bool:
    """Whether native code can hold numbers of a dtype: not float16, nor NumPy's long double."""
    try:
        in_memory(dtype)
    except UnsupportedError:
        return False
    return True


def _segment(program: Program, stage: dict[Value, int], members: list[Value]) -> Segment | None:
    if not members:
        return None
    own = set(members)
    ends = set(program.outputs)
    readers = [v for v in program.values if v not in own]
    read = {x for v in readers for x in v.inputs}
    gives = tuple(v for v in members if v in read or v in ends)
    takes = tuple(dict.fromkeys(x for v in members for x in v.inputs if x not in own and x.kind != "constant"))
    builder = Builder()
    new = {x.number: builder.input(x.abstract) for x in takes}
    for value in program.values:
        if value in own or (value.kind == "constant" and stage[value] == 0):
            new[value.number] = builder.copied(value, [new[x.number] for x in value.inputs])
    return Segment(takes, gives, builder.program([new[x.number] for x in takes], [new[x.number] for x in gives]))


class Segmented:
    """A program of several segments, run like a `Native`."""

    def __init__(self, program: Program, name: str, *, fast: bool) -> None:
        self.program: Final = program
        self.steps: Final = split(program)
        self._native: Final = {
            s.gives: native(s.program, {}, name, fast=fast) for s in self.steps if isinstance(s, Segment)
        }

    def run(
        self, given: Sequence[Any], results: Sequence[Any] = (), held: Held = NOTHING, *, if_fit: bool = False
    ) -> int:
        """Run as `Native.run` does. An error of an eager primitive is a failed check, too: the function that was
        compiled will raise it, in its own words.
        """
        kinds = [(x.dtype, x.shape) for x in self.program.inputs[: len(self.program.inputs) - len(held.read)]]
        if if_fit and not fits(given, kinds):
            return MISFIT
        arrays = [*given, *held.read, *results, *held.written]
        count = len(self.program.inputs)
        try:
            found = self._computed(arrays[:count])
        except (AdjointError, ValueError, IndexError, ArithmeticError):
            return 1
        if found is None:
            return 1
        store(arrays[count:], found)
        return 0

    def _computed(self, given: Sequence[Any]) -> list[Any] | None:
        """All outputs, in arrays of their own; None if a check failed."""
        known: dict[Value, Any] = dict(zip(self.program.inputs, given, strict=True))
        known |= {v: v.content for v in self.program.values if v.kind == "constant"}
        for step in self.steps:
            if isinstance(step, Value):
                with np.errstate(all="ignore"):
                    result = MEANING[step.kind](*(known[x] for x in step.inputs), **step.params)
                known[step] = np.ascontiguousarray(result, step.dtype).reshape(step.shape)
                continue
            made = [np.empty(x.shape, x.dtype) for x in step.gives]
            if self._native[step.gives].run([known[x] for x in step.takes], made):
                return None
            known |= dict(zip(step.gives, made, strict=True))
        return [np.array(known[x]) for x in self.program.outputs]


def runnable(
    program: Program, states: Mapping[int, int], name: str, *, fast: bool = False, lasting: int = 0
) -> Native | Segmented:
    """The program as native code; in segments if it has primitives that only NumPy computes."""
    if any(is_eager(v) for v in program.values) or not all(_has_code(x.dtype) for x in program.inputs):
        return Segmented(program, name, fast=fast)
    return native(program, states, name, fast=fast, lasting=lasting)
