"""Derivatives of loops, which are loops again.

The forward loop also stacks its carries and the products in it. The reverse rule runs over them from the last step to
the first: each step replays the recorded body, with the body's own gradient behind it, and carries the gradients of the
carries and the sums of those of the constants. Forward, tangents are carries beside those that they belong to. What
nobody reads of the results of a loop is never computed (`compiler/repeat.py`), so the stacks cost nothing where no
gradient is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adjoint.control.guarded import Way, guarded, joined, running
from adjoint.control.loop_op import Guard, Loop, Parts, loop_result, loop_stored, taken_apart, zeros
from adjoint.control.repeated import Step, looped
from adjoint.control.values import Flat
from adjoint.paths import gradients, tangents
from adjoint.recording import mode
from adjoint.tensor import Tensor, new, record, value_of
from adjoint.vocabulary import TENSORS


def pulled(made: Loop, active: Sequence[bool], g: Parts, node: Tensor) -> dict[int, Any]:
    """Gradients of the inputs of a loop, by position, from those of its results."""
    first, count = made.carried + made.rows, len(made.inputs)
    carries = [i for i in range(made.carried) if made.is_active(i)]
    wanted = [*carries, *(i for i in range(made.carried, count) if active[i])]
    sums = [i for i in wanted if i >= first]
    before = [loop_result.apply(node, index=made.before + i) for i in range(made.carried)]
    kept = [loop_result.apply(node, index=i).detach() for i in range(made.before + made.carried, len(made.outputs))]
    _, over, constants = taken_apart(made, node._inputs)
    arriving = [i for i in sorted(g.found) if i >= made.carried]

    def step(carry: list[Any], row: list[Any]) -> tuple[list[Any], list[Any]]:
        with mode(record=True):
            fresh = _fresh([*row[:first], *constants], wanted)
            outputs = _replayed(made, fresh, dict(zip(made.kept, row[first:], strict=False)))
            ends = dict(zip(arriving, row[first + len(kept) :], strict=True)) | dict(zip(carries, carry, strict=False))
            flowing = [i for i in ends if type(outputs[i]) is Tensor]
            inputs = [fresh[i] for i in wanted]
            found = gradients([outputs[i] for i in flowing], [ends[i] for i in flowing], inputs, True)
        terms = {i: zeros(fresh[i]._value) if x is None else x for i, x in zip(wanted, found, strict=True)}
        totals = [x + terms[i] for i, x in zip(sums, carry[len(carries) :], strict=True)]
        return [*(terms[i] for i in carries), *totals], [terms[i] for i in wanted if made.carried <= i < first]

    nothing = [zeros(value_of(made.inputs[i])) for i in (*carries, *sums)]
    start = [g.found.get(i, zero) for i, zero in zip(carries, nothing, strict=False)] + nothing[len(carries) :]
    rows = [*before, *over, *kept, *(g.found[i] for i in arriving)]
    guard = None if made.guard is None else Guard(made.guard, is_row=True)
    last, ys = _repeated(step, start, rows, (made.steps, not made.reverse, guard))
    over_rows = [i for i in wanted if made.carried <= i < first]
    return dict(zip([*carries, *sums], last, strict=True)) | dict(zip(over_rows, ys, strict=True))


def pushed(made: Loop, xs: Sequence[Any], given: Sequence[Any]) -> Parts:
    """Tangents of the results of a loop from those of its inputs."""
    first, outputs = made.carried + made.rows, len(made.outputs)
    carries = [i for i in range(made.carried) if made.is_active(i)]
    others = [i for i in range(made.carried, len(made.inputs)) if given[i] is not None]
    over_rows = [i for i in others if i < first]
    ys = [i for i in range(made.carried, outputs) if made.is_active(i)]
    carry, rows, constants = taken_apart(made, xs)

    def step(carry: list[Any], row: list[Any]) -> tuple[list[Any], list[Any]]:
        with mode(record=True):
            fresh = _fresh([*carry[: made.carried], *row[: made.rows], *constants], [*carries, *others])
            ends = _replayed(made, fresh, {})
            moved = dict(zip(carries, carry[made.carried :], strict=True))
            moved |= dict(zip(over_rows, row[made.rows :], strict=True)) | {i: given[i] for i in others if i >= first}
            flowing = [i for i in (*carries, *ys) if type(ends[i]) is Tensor]
            inputs = [fresh[i] for i in moved]
            found = tangents([ends[i] for i in flowing], inputs, list(moved.values()), True)
        known = {i: x for i, x in zip(flowing, found, strict=True) if x is not None}
        made_of = {i: known.get(i, zeros(value_of(made.outputs[i]))) for i in (*carries, *ys)}
        return [*ends[: made.carried], *(made_of[i] for i in carries)], [made_of[i] for i in ys]

    nothing = [zeros(made.inputs[i]._value) for i in carries]
    start = [zero if given[i] is None else given[i] for i, zero in zip(carries, nothing, strict=True)]
    last, stacked = _repeated(
        step, [*carry, *start], [*rows, *(given[i] for i in over_rows)], (made.steps, made.reverse, made.guarded_by())
    )
    return Parts(dict(zip(carries, last[made.carried :], strict=True)) | dict(zip(ys, stacked, strict=True)))


def _repeated(
    step: Step, carry: list[Any], rows: list[Any], how: tuple[int, bool, Guard | None]
) -> tuple[list[Any], list[Any]]:
    """A loop, or what it is unrolled."""
    count, reverse, guard = how
    made = looped(step, carry, rows, count, reverse=reverse, guard=guard)
    return _unrolled(step, carry, rows, count, reverse, guard) if made is None else made


def _fresh(xs: Sequence[Any], wanted: Sequence[int]) -> list[Any]:
    """Inputs of a body to be replayed: those to differentiate by as nodes of their own."""
    chosen, found = set(wanted), []
    for i, x in enumerate(xs):
        node = TENSORS.identity(x) if i in chosen else x
        if i in chosen and type(node) is not Tensor:
            node = record(new(Tensor), node._rule, node._value, node._inputs)
        found.append(node)
    return found


def _replayed(made: Loop, given: Sequence[Any], stored: Mapping[Tensor, Any]) -> list[Any]:
    """The outputs of a body for other inputs, recorded once more; values that are stored are read."""
    again: dict[Tensor, Any] = dict(zip(made.inputs, given, strict=True))

    def now(x: Any) -> Any:
        return again.get(x, x) if isinstance(x, Tensor) else x

    for node in made.nodes:
        op, inputs = node._rule.op, tuple(map(now, node._inputs))
        if all(x is old for x, old in zip(inputs, node._inputs, strict=True)):
            continue
        with mode(record=type(node) is Tensor):
            if op is None:
                copy: Tensor = record(new(type(node)), node._rule, node._value, inputs)
            else:
                copy = op.apply(*inputs, **node._params)
        copy._code, copy._offset, copy._scope, copy._name = node._code, node._offset, node._scope, node._name
        again[node] = loop_stored.apply(copy, stored[node]) if node in stored else copy
    return [now(x) for x in made.outputs]


def _unrolled(
    step: Step, carry: list[Any], rows: Sequence[Any], count: int, reverse: bool, guard: Guard | None
) -> tuple[list[Any], list[Any]]:
    """The last carry and the stacked ys of a loop, step by step."""
    ys = []
    for t in range(count - 1, -1, -1) if reverse else range(count):
        row = [x[t] for x in rows]
        if guard is None:
            carry, y = step(carry, row)
        else:
            carry, y = _guarded_step(step, carry, row, (row if guard.is_row else carry)[guard.number])
        ys.append(y)
    stacked = zip(*(reversed(ys) if reverse else ys), strict=True)
    return carry, [TENSORS.stack(*leaves, axis=0) for leaves in stacked]


def _guarded_step(step: Step, carry: list[Any], row: list[Any], holds: Any) -> tuple[list[Any], list[Any]]:
    outer = running()
    assert outer is not None, "derivatives of loops are made in a trace"
    way = guarded(outer, holds, step, (carry, row))
    ys = [zeros(value_of(x)) for x in way.results.leaves[len(carry) :]]
    made: tuple[list[Any], list[Any]] = joined(outer, holds, way, Way(Flat.of((carry, ys)), {}))
    return made
