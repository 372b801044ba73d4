"""A function compiled for one signature: a native program, and what it reads, assigns and returns.

Invariants. A program that assigns states runs while no other does. If a check inside it fails, nothing has been
assigned. Ctrl-C comes before a step or after all of it.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from adjoint.abstract import Abstract
from adjoint.compiler.buffers import Buffers, Held, Results
from adjoint.compiler.epochs import epochs
from adjoint.compiler.lower import lower
from adjoint.compiler.native import Native
from adjoint.compiler.program import Program
from adjoint.compiler.recorded import CallRule, Pullback
from adjoint.compiler.segments import runnable
from adjoint.compiler.simplify import BFLOAT16, simplify
from adjoint.compiler.trace import Traced
from adjoint.compiler.turns import TURNS
from adjoint.leaves import State
from adjoint.recording import Settings
from adjoint.tensor import DROPPED, LEAF, NO_PARAMS, Constant, Rule, Tensor, new, next_id, owned

_empty: Final = np.empty
MISSED: Final = object()
#: What one run of the program gave: its results, flat, and the arrays that the states had held before.
Run = tuple[list[Any], tuple[Any, ...]]


class Result(NamedTuple):
    """One leaf of what the function returns: an output of the program, or an object that was known when tracing."""

    output: int | None
    given: Any
    is_weak: bool
    is_tensor: bool
    #: Parameters, and Tensors from outside the function, that get a gradient from it.
    sources: tuple[Tensor, ...]
    #: Makes its gradient, when one is asked for.
    pullback: Any = None


class Piece(NamedTuple):
    """Results of some steps, each stacked, and how many; whether a check failed in the step that comes next."""

    results: list[Any]
    number: int
    failed: bool


class Variant:
    """The function for one signature."""

    def __init__(
        self, traced: Traced, name: str, tensors: Sequence[int] = (), *, fast: bool, bfloat16: bool = False
    ) -> None:
        """Of a trace; `tensors` are the places of arguments that are Tensors."""
        self.traced: Final = traced
        self.name: Final = name
        self._lowering: Final = _with_bfloat16 if bfloat16 else lower
        self.program: Final = self._lowering(traced)
        self._version = Settings.version
        self._settings: Final = _settings(traced)
        states = tuple(traced.states)
        self._ends: Final = [x for x in traced.outputs if isinstance(x, Tensor)]
        self.returned: Final = tuple((x.shape, x.dtype) for x in self.program.outputs[: len(self._ends)])
        written = [s for s, x in traced.assigned.items() if isinstance(x, Tensor)]
        places = {state: i for i, state in enumerate(states)}
        assigned = [places[s] for s in written]
        self._buffers: Final = Buffers.of(states, assigned)
        self._fresh: Final = Results(self.returned)
        self._assigns: Final = bool(assigned or traced.graded)
        first = len(self.program.inputs) - len(states)
        self.pairs: Final = {len(self._ends) + i: first + p for i, p in enumerate(assigned)}
        self.native: Final = runnable(self.program, self.pairs, name, fast=fast, lasting=len(states))
        known = _results(traced, tensors)
        self.results: Final = tuple(r._replace(pullback=functools.partial(self._pullback, r)) for r in known)
        self._is_recorded: Final = any(r.sources for r in self.results)
        self._pullbacks: Final[dict[int, Pullback]] = {}
        self._is_single: Final = traced.recipe.is_leaf() and len(self.results) == 1
        self._is_direct: Final = all(_is_direct(r, self.returned) for r in self.results)
        is_small = self._is_single and self.results[0].output is not None and not self._fresh.has_large
        self._is_plain: Final = is_small and not self._assigns and not self.results[0].is_weak

    def is_current(self) -> bool:
        """Whether the modules and optimisers that were used have the settings that they had when this was traced."""
        version = Settings.version
        if self._version != version:
            now = _settings(self.traced)
            if len(now) != len(self._settings) or not all(map(_is_same, now, self._settings)):
                return False
            self._version = version
        return True

    # --- one call -----------------------------------------------------------------------------------------------------

    def run(self, numbers: Sequence[Any], *, if_fit: bool = False) -> Run | None:
        """Results for arrays of the signature; None if a check failed, or if they must fit and do not."""
        outputs = self._fresh.take()
        run = self._run(numbers, outputs, if_fit)
        self._fresh.keep(outputs)
        return run

    def _run(self, numbers: Sequence[Any], outputs: list[Any], if_fit: bool) -> Run | None:
        if self._assigns:
            with TURNS.assigning:
                return self._updated(numbers, outputs, if_fit)
        held = self._buffers.held()
        if TURNS.writers and held.read:  # what is being written now must not be read
            with TURNS.assigning:
                held = self._buffers.held()
        return None if self.native.run(numbers, outputs, held, if_fit=if_fit) else (outputs, held.read)

    def _updated(self, numbers: Sequence[Any], outputs: list[Any], if_fit: bool) -> Run | None:
        failed = 0
        try:
            TURNS.writers.append(self)
            held = self._buffers.held()
            before = self._before(held)
            failed = self.native.run(numbers, outputs, held, if_fit=if_fit)
        finally:
            TURNS.writers.clear()
            if not failed:  # also on Ctrl-C, which comes after native code has ended
                self._finish()
        return None if failed else (outputs, before)

    def _before(self, held: Held) -> tuple[Any, ...]:
        """What the states hold before a run, if a gradient may ask for it later."""
        if not self._is_recorded:
            return held.read
        assigned = self._buffers.assigned
        return tuple(x.copy() if place in assigned else x for place, x in enumerate(held.read))

    def _finish(self) -> None:
        """The states know their new values."""
        self._buffers.finish()
        for state in self.traced.graded:
            state._grad = DROPPED

    def quick(self, args: tuple[Any, ...]) -> Any:
        """What the function returns for arrays just as the signature says; `MISSED` for any other arguments."""
        if self._version != Settings.version and not self.is_current():
            return MISSED
        if self._is_plain:
            return self._quick_result(args)
        run = self.run(args, if_fit=True)
        return MISSED if run is None else self.finished(args, run, record=True)

    def _quick_result(self, args: tuple[Any, ...]) -> Any:
        """`run` and `finished` in one, for a function with one small result that assigns nothing: a network alone."""
        (result,), ((shape, dtype),) = self.results, self.returned
        held = self._buffers.held()
        if TURNS.writers and held.read:
            with TURNS.assigning:
                held = self._buffers.held()
        value = _empty(shape, dtype)
        if self.native.run(args, (value,), held, if_fit=True):
            return MISSED
        if result.sources:
            rule = CallRule(result.pullback, result.sources, [owned(x) for x in args], held.read)
            return _node(Tensor, value, rule, result.sources)
        return _node(Constant, value, LEAF, ()) if result.is_tensor else value[()]

    # --- results ------------------------------------------------------------------------------------------------------

    def finished(self, numbers: Sequence[Any], run: Run, *, record: bool) -> Any:
        """Results as the function returns them, in its structure."""
        outputs, held = run
        if self._is_direct:
            return outputs[0] if self._is_single else self._in_structure(outputs)
        kept: list[Any] | None = None  # arguments that their owner may change before a backward pass
        leaves = []
        for result in self.results:
            if result.output is None:
                leaves.append(_given(result.given))
                continue
            value = outputs[result.output]
            if result.is_weak:
                value = value.item()
            if record and result.sources:
                kept = kept or [owned(x) for x in numbers]
                rule = CallRule(result.pullback, result.sources, kept, held)
                leaves.append(_node(Tensor, value, rule, result.sources))
            elif result.is_tensor:
                leaves.append(_node(Constant, value, LEAF, ()))
            else:
                leaves.append(value if result.is_weak or value.ndim else value[()])
        return leaves[0] if self._is_single else self._in_structure(leaves)

    def structured(self, outputs: Sequence[Any]) -> Any:
        """Outputs, flat, in the structure that the function returns, with what was known when tracing in its place."""
        return self._in_structure([_given(r.given) if r.output is None else outputs[r.output] for r in self.results])

    def _in_structure(self, leaves: list[Any]) -> Any:
        import optree

        return optree.tree_unflatten(self.traced.recipe, leaves)

    def _pullback(self, result: Result) -> Pullback:
        output: Any = result.output
        if output not in self._pullbacks:
            with TURNS.tracing:
                made = Pullback(self.traced, self._ends[output], result.sources, self.name, self._lowering)
                self._pullbacks.setdefault(output, made)
        return self._pullbacks[output]

    # --- many steps ---------------------------------------------------------------------------------------------------

    def steps(self, order: Any, sources: Sequence[Any], examples: Sequence[Any]) -> Iterator[Piece]:
        """Results of the steps of `order` in pieces. It ends early before a step in which a check fails, and where
        states or settings have been changed, or somebody holds a state's array, since the last piece.
        """
        runnable = self.native
        if isinstance(runnable, Native):
            yield from self._native_steps(runnable, order, sources, examples)
            return
        for rows in order:
            run = self.run([x[rows] for x in sources])
            yield Piece([] if run is None else [x[None] for x in run[0]], int(run is not None), run is None)
            if run is None or not self.is_current():
                return

    def _native_steps(
        self, native: Native, order: Any, sources: Sequence[Any], examples: Sequence[Any]
    ) -> Iterator[Piece]:
        outputs = [_empty(shape, dtype) for shape, dtype in self.returned]
        kept = [_empty((len(order), *shape), dtype) for shape, dtype in self.returned]
        with TURNS.assigning:
            held = self._buffers.held()
        arrays = [*examples, *held.read, *outputs, *held.written]
        pieces = epochs(native, order, sources, arrays, list(zip(outputs, kept, strict=True)))
        while self.is_current():
            with TURNS.assigning:
                if not self._buffers.is_apart(held, more=2):  # the list of arrays holds each of them twice
                    return
                try:
                    TURNS.writers.append(self)
                    piece = next(pieces, None)
                finally:
                    TURNS.writers.clear()
                    self._finish()
            if piece is None:
                return
            yield Piece([k[piece.first : piece.first + piece.number] for k in kept], piece.number, piece.failed)


def _is_direct(result: Result, returned: Sequence[tuple[tuple[int, ...], Any]]) -> bool:
    """Whether a result is the array that the program fills, neither a number nor a Tensor."""
    if result.output is None or result.is_tensor or result.is_weak:
        return False
    shape, _ = returned[result.output]
    return bool(shape)


def _with_bfloat16(traced: Traced) -> Program:
    return simplify(lower(traced), BFLOAT16)


def _given(x: Any) -> Any:
    """An object that was known when tracing; arrays as copies, since the caller may change what is returned."""
    return x.copy() if isinstance(x, np.ndarray) else x


def _settings(traced: Traced) -> list[Any]:
    """What a trace may have read in Python: attributes of modules and optimisers, and what is trainable."""
    found: list[Any] = [state.trainable for state in traced.states]
    for holder in traced.holders:
        found += [x for item in vars(holder).items() for x in item]
    return found


def _is_same(x: Any, y: Any) -> bool:
    if x is y:
        return True
    if type(x) is not type(y):
        return False
    if isinstance(x, tuple):
        return len(x) == len(y) and all(map(_is_same, x, y))
    return isinstance(x, str | int | float) and x == y


def _results(traced: Traced, tensors: Sequence[int]) -> list[Result]:
    """The leaves of the results, which get gradients unless the function has used them up itself."""
    is_update = bool(traced.graded) or any(s.trainable for s in traced.assigned)
    reads = {node: s for s, node in traced.states.items() if s.trainable}
    arguments = {x: i in tensors for i, x in enumerate(traced.inputs)}
    order = itertools.count()
    return [_result(x, order, arguments, None if is_update else reads) for x in traced.outputs]


def _result(
    x: Any, order: Iterator[int], arguments: Mapping[Any, bool], reads: Mapping[Tensor, State] | None
) -> Result:
    """A leaf of the results; `arguments` says which are Tensors, `reads` what gets gradients (None: nothing)."""
    if not isinstance(x, Tensor):
        return Result(None, x, False, False, ())
    weak = type(x._value) is float or (type(x._value) is Abstract and x._value.weak)
    first = min((node._id for node in arguments if node is not None), default=0)
    ends = [n for n in _below(x, first) if not _is_made(n, first)]
    is_tensor = any(_is_known(n) or (not n._inputs and arguments.get(n, True)) or _reads(n) for n in ends)
    sources: tuple[Tensor, ...] = ()
    if reads is not None and type(x) is Tensor:
        sources = tuple(reads.get(n, n) for n in _below(x, active=True) if n in reads or _is_known(n))
    return Result(next(order), None, weak, is_tensor, sources)


def _is_known(node: Tensor) -> bool:
    """Whether a Tensor has a value while tracing; most of them were there before."""
    return type(node._value) is not Abstract


def _is_made(node: Tensor, first: int) -> bool:
    """Whether a Tensor that is known was made in the trace, of others: a gradient that does not depend on data."""
    return _is_known(node) and node._id > first and bool(node._inputs)


def _reads(node: Tensor) -> bool:
    return any(isinstance(x, State) for x in node._inputs)


def _below(end: Tensor, first: int | None = None, *, active: bool = False) -> list[Tensor]:
    """All nodes of a trace that a result depends on; or those alone that a gradient of it passes. With what is known it
    ends, unless that was made after the node with the number `first`.
    """
    found = {end: None}
    stack = [end]
    while stack:
        node = stack.pop()
        goes_on = not _is_known(node) or (first is not None and _is_made(node, first))
        inputs = node._inputs if goes_on else ()
        tensors = [x for x in inputs if isinstance(x, Tensor) and not isinstance(x, State)]
        more = [x for x in tensors if x not in found and (type(x) is Tensor or not active)]
        found |= dict.fromkeys(more)
        stack += more
    return list(found)


def _node(kind: type[Tensor], value: Any, rule: Rule, inputs: tuple[Tensor, ...]) -> Tensor:
    """A Tensor as `record` makes it, but for the search of the line that called."""
    node: Any = new(kind)
    node._value = value
    node._rule = rule
    node._inputs = inputs
    node._params = NO_PARAMS
    node._name = node._grad = node._code = node._scope = None
    node._offset = 0
    node._id = next_id()
    return node  # type: ignore[no-any-return]
