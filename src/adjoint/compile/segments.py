"""A program in segments: native ones, and between them what only NumPy computes.

A primitive that waits for an eager one belongs to a later segment than it. All results are held until the end, and only
then put where they belong: an error in an eager segment leaves every state as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from adjoint.compile.kernels.elements import is_native
from adjoint.compile.native import Native, native
from adjoint.compile.prepare import ELEMENTWISE
from adjoint.compile.program import MEANING, Builder, Program, Value
from adjoint.compile.simplify import copied


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
        stage[value] = before + 1 if _is_eager(value) else before
    steps: list[Step] = []
    for number in range(max(stage.values(), default=0) + 1):
        members = [v for v in program.values if stage[v] == number]
        steps += [v for v in members if _is_eager(v)]
        native_ones = [v for v in members if v.kind not in ("input", "constant") and not _is_eager(v)]
        segment = _segment(program, stage, native_ones)
        steps += [] if segment is None else [segment]
    return steps


def _is_eager(value: Value) -> bool:
    """Whether NumPy must compute it: an op without primitives, or a primitive without native code for its dtype."""
    return value.kind == "eager" or (value.kind in ELEMENTWISE and not is_native(value))


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
            new[value.number] = copied(builder, value, [new[x.number] for x in value.inputs])
    return Segment(takes, gives, builder.program([new[x.number] for x in takes], [new[x.number] for x in gives]))


class Segmented:
    """A program of several segments, run like a `Native`."""

    def __init__(self, program: Program, name: str, *, fast: bool) -> None:
        self.program: Final = program
        self.steps: Final = split(program)
        self._native: Final = {s.gives: native(s.program, {}, name, fast=fast) for s in self.steps if isinstance(s, Segment)}

    def run(self, arrays: Sequence[Any]) -> int:
        """Run on the arrays of all inputs and outputs; not 0 if a check failed, and nothing was assigned then."""
        program = self.program
        held: dict[Value, Any] = dict(zip(program.inputs, arrays, strict=False))
        held |= {v: v.content for v in program.values if v.kind == "constant"}
        for step in self.steps:
            if isinstance(step, Value):
                with np.errstate(all="ignore"):
                    result = MEANING[step.kind](*(held[x] for x in step.inputs), **step.params)
                held[step] = np.ascontiguousarray(result, step.dtype).reshape(step.shape)
                continue
            given = [np.empty(x.shape, x.dtype) for x in step.gives]
            if status := self._native[step.gives].run([*(held[x] for x in step.takes), *given]):
                return status
            held |= dict(zip(step.gives, given, strict=True))
        results = [np.array(held[x]) for x in program.outputs]
        for array, result in zip(arrays[len(program.inputs) :], results, strict=True):
            array[...] = result
        return 0


def runnable(program: Program, states: dict[int, int], name: str, *, fast: bool = False) -> Native | Segmented:
    """The program as native code; in segments if it has primitives that only NumPy computes."""
    if any(_is_eager(v) for v in program.values):
        return Segmented(program, name, fast=fast)
    return native(program, states, name, fast=fast)
