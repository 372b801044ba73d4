"""A loop in a trace: its body is recorded once, and runs as many times as the loop has steps.

`looped` makes a loop of a function of leaves, or says that it cannot be one. What a step reads from outside becomes a
constant of the loop; a state that it assigns becomes a carry.

Invariant: the carries have at every step the dtypes that they have at the end, and get gradients at every step or at
none. A body is recorded again until that is so; a Python number that is carried gives way to what it becomes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from adjoint.abstract import Abstract
from adjoint.compiler.lower import in_order, lower_graph
from adjoint.compiler.program import Program
from adjoint.compiler.trace import Recorder
from adjoint.control.guarded import Aside, is_older, running
from adjoint.control.loop_op import Guard, Loop, loop, loop_result
from adjoint.control.values import kind_of
from adjoint.errors import TraceError
from adjoint.leaves import State
from adjoint.recording import mode
from adjoint.tensor import LEAF, Constant, Tensor, new, next_id, record, value_of
from adjoint.vocabulary import TENSORS

#: A function of the leaves of a carry and of the rows of one step; it gives the next carry, and what is stacked.
Step = Callable[[list[Any], list[Any]], tuple[list[Any], list[Any]]]
#: Loops of so few steps are unrolled: they compile as fast, and the compiler sees all of them at once.
SHORT: Final = 4
#: How often a body is recorded until its carries keep their dtypes and whether they get gradients.
_ROUNDS: Final = 4
#: Ops whose results gradients read where they were stored.
_COSTLY: Final = ("matmul", "einsum")


class _Kind(NamedTuple):
    """What a carry is at every step: shape and dtype, and whether it gets a gradient."""

    abstract: Abstract
    active: bool

    @classmethod
    def of(cls, x: Any) -> _Kind:
        return cls(kind_of("scan", x), type(x) is Tensor)

    def row(self) -> _Kind:
        """That of a row."""
        return _Kind(Abstract(self.abstract.shape[1:], self.abstract.dtype), self.active)

    def joined(self, after: Any) -> _Kind:
        """That of a carry which is this one before a step and another one after it; a weak number gives way."""
        got = kind_of("scan", after)
        kept = got if self.abstract.weak else self.abstract
        return _Kind(kept, self.active or (type(after) is Tensor and kept.dtype.kind == "f"))

    def stand_in(self) -> Tensor:
        """A Tensor without data."""
        return record(new(Tensor if self.active else Constant), LEAF, self.abstract, ())  # type: ignore[no-any-return]

    def fitted(self, x: Any) -> Any:
        """A carry after a step, no longer weak unless this is."""
        if self.abstract.weak or not kind_of("scan", x).weak:
            return x
        return TENSORS.cast(x, dtype=self.abstract.dtype) if isinstance(x, Tensor) else self.abstract.dtype.type(x)


class _Recorded(NamedTuple):
    """A step as it was recorded: stand-ins, what they became, and the states that it assigned (old and new nodes)."""

    carries: list[Tensor]
    rows: list[Tensor]
    after: list[Any]
    ys: list[Any]
    states: dict[State, tuple[Tensor, Any]]
    before: int
    reads: frozenset[Tensor]


def looped(
    step: Step,
    carry: Sequence[Any],
    rows: Sequence[Any],
    count: int,
    *,
    reverse: bool = False,
    guard: Guard | None = None,
) -> tuple[list[Any], list[Any]] | None:
    """The last carry and the stacked ys of a loop that is recorded once; None if it has to be unrolled.

    That is where a step asks for a value in Python, runs a backward pass or assigns a parameter, where NumPy must
    compute some of it, and where everything is known.
    """
    outer = running()
    if outer is None or count <= SHORT:
        return None
    kinds, row_kinds = [_Kind.of(x) for x in carry], [_Kind.of(x).row() for x in rows]
    first: list[Abstract] = []
    for _ in range(_ROUNDS):
        recorded = _recorded(outer, step, kinds, row_kinds)
        if recorded is None:
            return None
        first = first or [kind_of("scan", y) for y in recorded.ys]
        grown = [kind.joined(x) for kind, x in zip(kinds, recorded.after, strict=True)]
        if grown == kinds:
            made = _run(outer, recorded, [*carry], [*rows], (count, reverse, guard))
            return None if made is None else (made[0], [_wider(*pair) for pair in zip(made[1], first, strict=True)])
        kinds = grown
    return None


def _wider(y: Any, first: Abstract) -> Any:
    """What is stacked, in the dtype that it has if the first step was made of a Python number."""
    dtype = np.result_type(y.dtype, first.dtype)
    return y if y.dtype == dtype else TENSORS.cast(y, dtype=dtype)


def _recorded(outer: Recorder, step: Step, kinds: Sequence[_Kind], row_kinds: Sequence[_Kind]) -> _Recorded | None:
    before, aside = next_id(), Aside(outer)
    carries, rows = [kind.stand_in() for kind in kinds], [kind.stand_in() for kind in row_kinds]
    try:
        with mode(trace=aside):
            after, ys = step(list(carries), list(rows))
            after = [kind.fitted(x) for kind, x in zip(kinds, after, strict=True)]
        states = {s: (aside.states[s], now) for s, now in aside.assigned().items()}
    except TraceError:
        aside.restore()
        return None
    if any(s.trainable for s in states):
        return None
    return _Recorded(carries, rows, after, ys, states, before, frozenset(aside.states.values()))


def _run(
    outer: Recorder, recorded: _Recorded, carry: list[Any], rows: list[Any], how: tuple[int, bool, Guard | None]
) -> tuple[list[Any], list[Any]] | None:
    """The loop as nodes of the trace around it."""
    olds, news = [old for old, _ in recorded.states.values()], [now for _, now in recorded.states.values()]
    formal = [*recorded.carries, *olds]
    outputs = [*recorded.after, *news, *recorded.ys, *formal]
    nodes, constants = _explored(outputs, [*formal, *recorded.rows], recorded)
    kept = _kept(nodes)
    given = [*carry, *olds, *rows, *constants]
    if all(type(value_of(x)) is not Abstract for x in given):
        return None
    inputs, outputs = [*formal, *recorded.rows, *constants], [*outputs, *kept]
    body = lower_graph(inputs, outputs)
    if not _is_native(body):
        return None
    count, reverse, guard = how
    place = None if guard is None else guard.number + (len(formal) if guard.is_row else 0)
    graph = (tuple(inputs), tuple(outputs), tuple(nodes), tuple(kept))
    made = Loop(*graph, len(formal), len(rows), count, reverse, place, body)
    node = loop.apply(*given, loop=made)
    results = [loop_result.apply(node, index=i) for i in range(made.before)]
    for state, result in zip(recorded.states, results[len(carry) :], strict=False):
        outer.assign(state, result)
    ys = results[len(formal) : len(formal) + len(recorded.ys)]
    return results[: len(carry)], [_stacked(old, y, made) for old, y in zip(recorded.ys, ys, strict=True)]


def _stacked(y: Any, result: Tensor, made: Loop) -> Any:
    """What a step gives, stacked; known if it is known."""
    is_known = type(value_of(y)) is not Abstract and type(y) is not Tensor and made.guard is None
    return TENSORS.stack(*[y] * made.steps, axis=0) if is_known else result


def _explored(
    ends: Sequence[Any], formal: Sequence[Tensor], recorded: _Recorded
) -> tuple[list[Tensor], dict[Tensor, None]]:
    """The nodes of a body, each after its inputs, and what it takes from outside."""
    given, constants = set(formal), dict[Tensor, None]()

    def is_inside(x: Any) -> bool:
        if not isinstance(x, Tensor) or isinstance(x, State) or x in given:
            return False
        if type(x._value) is not Abstract and type(x) is not Tensor:  # known, and gets no gradient
            return False
        if x in recorded.reads or is_older(x, recorded.before):
            constants[x] = None
            return False
        return True

    found = in_order([x for x in ends if is_inside(x)], given, lambda node: list(filter(is_inside, node._inputs)))
    return found, constants


def _kept(nodes: Sequence[Tensor]) -> list[Tensor]:
    """Nodes that cost more to compute than to store: products, or the sums that they alone are in."""
    readers: dict[Tensor, list[Tensor]] = {}
    for node in nodes:
        for x in node._inputs:
            if isinstance(x, Tensor):
                readers.setdefault(x, []).append(node)
    found = dict[Tensor, None]()
    for node in nodes:
        if _name(node) in _COSTLY and type(node) is Tensor and type(node._value) is Abstract:
            end, behind = node, readers.get(node, [])
            while len(behind) == 1 and _name(behind[0]) == "add" and behind[0].shape == end.shape:
                end = behind[0]
                behind = readers.get(end, [])
            found[end] = None
    return list(found)


def _name(node: Tensor) -> str:
    return "" if node._rule.op is None else node._rule.op.name


def _is_native(body: Program) -> bool:
    from adjoint.compiler.segments import is_eager  # it loads LLVM

    return not any(map(is_eager, body.every()))
