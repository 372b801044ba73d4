"""Loops in a program: the primitive `repeat`, whose body is a program, and what is rewritten about it.

A `repeat` takes carries, arrays whose rows its steps run over, and constants, in this order, and so does its body, with
a row in place of each array. The body's first outputs are the next carries, the others are stacked; `result` takes one
of the last carries or of the stacked outputs. The value of a `repeat` itself is the number of its steps. A step is left
out if an input of the body says so, its `guard`: carries then stay as they are, and rows of what is stacked are 0.

Invariants. What no one reads is not in a body: `pruned` takes away results without readers, the carries that only they
need, and inputs that are then unused, which may leave an earlier loop with fewer readers. A carry that never changes is
a constant. What is known is written in the body and not read from memory (`settled`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from adjoint.compiler.access import View, standing, view
from adjoint.compiler.program import Builder, Program, Value

#: Settings of a `repeat`, beside its body.
_COUNTS: Final = ("carried", "rows")


def has_loops(program: Program) -> bool:
    """Whether there is a loop in a program."""
    return any(v.kind == "repeat" for v in program.values)


def parts(value: Value) -> tuple[int, int]:
    """Where the rows and the constants of a loop begin among its inputs."""
    carried: int = value.params["carried"]
    return carried, carried + value.params["rows"]


# --- what is read -----------------------------------------------------------------------------------------------------


class _Kept(NamedTuple):
    """Numbers of the outputs and inputs of a loop that are needed, in order; carries that never change, `still`, come
    last, as constants.
    """

    outputs: list[int]
    inputs: list[int]
    still: list[int]


def pruned(program: Program) -> Program:
    """The program, and the bodies of its loops, without what nobody reads, and with carries that never change as
    constants.
    """
    if not has_loops(program):
        return program
    needed, read = {x.number for x in program.outputs}, dict[int, set[int]]()
    kept: dict[int, _Kept] = {}
    for value in reversed(program.values):  # readers come before what they read
        if value.number not in needed:
            continue
        if value.kind == "result":
            read.setdefault(value.inputs[0].number, set()).add(value.params["index"])
        inputs = value.inputs
        if value.kind == "repeat":
            kept[value.number] = _needed(value, read.get(value.number, set()))
            inputs = tuple(inputs[i] for i in kept[value.number].inputs)
        needed |= {x.number for x in inputs}
    builder, new = Builder(), dict[int, Value]()
    for value in program.values:
        if value.number in needed or value.kind == "input":
            new[value.number] = _rebuilt(builder, value, new, kept)
            new[value.number].origin = value.origin
    return builder.program([new[x.number] for x in program.inputs], [new[x.number] for x in program.outputs])


def _needed(value: Value, read: set[int]) -> _Kept:
    """A carry is needed if it is read, or if something needed is made of it."""
    body, (carried, _) = value.params["body"], parts(value)
    outputs, guard = sorted(read), value.params["guard"]
    while True:
        below = _below([body.outputs[i] for i in outputs])
        inputs = [i for i, x in enumerate(body.inputs) if x.number in below or i == guard]
        wanted = sorted({*outputs, *(i for i in inputs if i < carried)})
        if wanted == outputs:
            break
        outputs = wanted
    still = [i for i in outputs if i < carried and i != guard and body.outputs[i] is body.inputs[i]]
    moving = [i for i in outputs if i not in still]
    taken = {*inputs, *(i for i in moving if i < carried)} - {*still}
    return _Kept(moving, [*sorted(taken), *still], still)


def _below(ends: Iterable[Value]) -> set[int]:
    found, stack = set[int](), list(ends)
    while stack:
        value = stack.pop()
        if value.number not in found:
            found.add(value.number)
            stack += value.inputs
    return found


def _rebuilt(builder: Builder, value: Value, new: dict[int, Value], kept: dict[int, _Kept]) -> Value:
    if value.kind == "result":
        source, index = value.inputs[0], value.params["index"]
        if index in kept[source.number].still:
            return new[source.inputs[index].number]
        return builder.result(new[source.number], kept[source.number].outputs.index(index))
    if value.kind != "repeat":
        return builder.copied(value, [new[x.number] for x in value.inputs])
    outputs, inputs, still = kept[value.number]
    body, (first, last) = value.params["body"], parts(value)
    counts = (sum(i < first for i in inputs) - len(still), sum(first <= i < last for i in inputs))
    smaller = pruned(_between(body, [body.inputs[i] for i in inputs], [body.outputs[i] for i in outputs]))
    guard = value.params["guard"]
    place = None if guard is None else inputs.index(guard)
    params = {**value.params, "body": smaller, "guard": place, **dict(zip(_COUNTS, counts, strict=True))}
    return builder.repeat([new[value.inputs[i].number] for i in inputs], params)


def _between(program: Program, inputs: Sequence[Value], outputs: Sequence[Value]) -> Program:
    """The part of a program that makes these outputs, of these inputs alone."""
    needed = _below(outputs) | {x.number for x in inputs}
    return Program(tuple(v for v in program.values if v.number in needed), tuple(inputs), tuple(outputs))


# --- what is known ----------------------------------------------------------------------------------------------------


def settled(builder: Builder, value: Value, inputs: Sequence[Value]) -> Value:
    """The loop of these inputs, with numbers that are known written in its body, and rows that are all the same as
    constants.
    """
    body, (first, last), guard = value.params["body"], parts(value), value.params["guard"]
    inner, known = Builder(), dict[int, Value]()
    kept: list[list[tuple[Value, Value]]] = [[], [], []]  # carries, rows and constants: outer value, and body's input
    for i, (x, own) in enumerate(zip(inputs, body.inputs, strict=True)):
        group = 0 if i < first else 1 if i < last else 2
        source = None if i == guard else _same_in_all_rows(builder, x) if group == 1 else x
        if group == 0 or source is None:
            known[own.number] = inner.input(own.abstract)
            kept[group].append((x, known[own.number]))
        elif (constant := _one_number(source)) is not None:
            known[own.number] = _everywhere(inner, constant, own)
        else:
            taken = inner.input(source.abstract)
            known[own.number] = _everywhere(inner, taken, own)
            kept[2].append((source, taken))
    for v in body.values:
        if v.number not in known:
            known[v.number] = inner.copied(v, [known[x.number] for x in v.inputs])
            known[v.number].origin = v.origin
    pairs = [pair for group in kept for pair in group]
    own = [x for _, x in pairs]
    program = inner.program(own, [known[x.number] for x in body.outputs])
    place = None if guard is None else own.index(known[body.inputs[guard].number])
    params = {**value.params, "body": program, "rows": len(kept[1]), "guard": place}
    return builder.repeat([x for x, _ in pairs], params)


def _same_in_all_rows(builder: Builder, x: Value) -> Value | None:
    """What every row of an array is, if they are all repeated from one."""
    if x.kind == "constant" and _one_number(x) is not None:
        return _one_number(x)
    if x.kind != "broadcast":
        return None
    (source,) = x.inputs
    if len(source.shape) < len(x.shape):
        return source
    if source.shape[0] != 1:
        return None
    return source if len(x.shape) == 0 else builder.shaped("reshape", source, shape=source.shape[1:])


def _one_number(x: Value) -> Value | None:
    """The constant that a value is the same as everywhere, if it is one number."""
    while x.kind == "broadcast":
        (x,) = x.inputs
    return x if x.kind == "constant" and x.content.size and _is_uniform(x.content) else None


def _is_uniform(content: Any) -> bool:
    return bool(content.size == 1 or content.tobytes() == content.flat[0].tobytes() * content.size)


def _everywhere(inner: Builder, x: Value, like: Value) -> Value:
    """A value in the shape of the body's input that it stands for."""
    if x.kind == "constant":
        x = inner.constant(x.content.flat[0].item() if like.abstract.weak else np.asarray(x.content.flat[0]))
    return x if x.shape == like.shape else inner.shaped("broadcast", x, shape=like.shape)


# --- in memory --------------------------------------------------------------------------------------------------------


def in_memory(builder: Builder, value: Value, inputs: Sequence[Value]) -> list[Value]:
    """The inputs of a loop as its kernel reads them: in their order one element after the other, at least in a row."""
    first, last = parts(value)
    found = []
    for i, x in enumerate(inputs):
        is_there = _are_rows(view(x)) if first <= i < last else view(x).whole or (i < first and is_zero(x))
        found.append(x if is_there or not x.abstract.size else builder.separate("copied", x))
    return found


def is_zero(x: Value) -> bool:
    """Whether it is known to be 0 everywhere, in all bits."""
    constant = _one_number(x)
    return constant is not None and not constant.content.tobytes().strip(b"\0")


def _are_rows(place: View) -> bool:
    return place.strides[1:] == standing(place.shape[1:])
