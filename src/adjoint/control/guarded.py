"""Ways that may not be taken: traced all the same, and joined so that only what the condition takes comes out.

A guarded way runs in a trace of its own within the running one, `Aside`, which keeps what it assigns. What it computed
is then recorded once more on uses of older nodes that pass `gradient_where`: gradients and tangents of any order are
selected where they enter and where they leave it, so that an infinite one in between meets no 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

import numpy as np

from adjoint.compiler.trace import Recorder
from adjoint.control.values import Flat
from adjoint.errors import TraceError
from adjoint.leaves import State
from adjoint.recording import here, mode, tracing
from adjoint.shaped import general
from adjoint.tensor import Tensor, next_id
from adjoint.transforms import unflatten
from adjoint.vocabulary import TENSORS

Function = Callable[..., Any]
_BY_ID: Final = attrgetter("_id")


@general(symbol="guard")
def gradient_where(m, condition, x, /):  # type: ignore[no-untyped-def]
    """The value itself, through which a gradient flows only where a condition holds.

    out = x

    Gradient: the upstream gradient where the condition holds, else 0, also in place of infinities and NaN.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> from adjoint.control.guarded import gradient_where
    >>> x = np.array([4.0, 0.0])
    >>> ad.grad(lambda x: ad.where(x > 0.0, ad.sqrt(gradient_where(x > 0.0, x)), 0.0).sum())(x)
    array([0.25, 0.  ])

    Source: the problem is that of "gradients contain NaN where using where" in JAX's frequently asked questions.
    """
    return x


gradient_where.shape(lambda condition, x: x)
gradient_where.vjp(lambda *unused: None, lambda m, g, out, condition, x: m.where(condition, g, 0.0))
gradient_where.jvp(lambda m, tangents, out, condition, x: m.where(condition, tangents[1], 0.0))


class Aside(Recorder):
    """A trace within a trace: what it assigns is known to itself only, until both ways are joined."""

    def __init__(self, outer: Recorder) -> None:
        super().__init__()
        self.outer = outer
        self._gradients = {s: s._grad for s in outer._gradients}

    def read(self, state: State) -> Any:
        if state not in self.current:
            self.states[state] = self.current[state] = self.outer.read(state)
            self._gradients.setdefault(state, state._grad)
        return self.current[state]

    def restore_later(self, held: dict[Any, Any]) -> None:
        self.outer.restore_later(held)

    def touch(self, holder: Any) -> None:
        self.outer.touch(holder)

    def refuse_setting(self, holder: Any, name: str) -> None:
        self.outer.refuse_setting(holder, name)

    def assigned(self) -> dict[State, Any]:
        """What the states that were assigned are now."""
        swept = next((s for s, g in self._gradients.items() if s._grad is not g), None)
        if swept is not None:
            raise TraceError(
                f"backward: inside a function that cond or while_loop may not take it would fill "
                f"{swept.name or 'a parameter'}.grad all the same{here()}; use ad.grad there, or call it outside"
            )
        return {s: now for s, now in self.current.items() if now is not self.states[s]}


def running() -> Recorder | None:
    """The trace that is running, if one is."""
    trace = tracing()
    assert trace is None or isinstance(trace, Recorder), "nothing else traces"
    return trace


class Way(NamedTuple):
    """One of two ways: its results, and what it assigned."""

    results: Flat
    states: Mapping[State, Any]


def guarded(outer: Recorder, condition: Tensor, f: Function, args: Sequence[Any]) -> Way:
    """Trace a way that is taken where the condition holds."""
    before, aside = next_id(), Aside(outer)
    with mode(trace=aside):
        results = Flat.of(f(*args))
        ends = [x.read() if isinstance(x, State) else x for x in results.leaves]
    return Way(Flat(_replayed(ends, before, condition), results.recipe), aside.assigned())


def _replayed(ends: Sequence[Any], before: int, condition: Tensor) -> list[Any]:
    """The ends, with the active nodes under them recorded once more on guarded uses of what is older.

    What a function closes over is known only once it has run; hence twice. An end that is older stays as it is: the
    choice that follows is its guard.
    """
    again: dict[Tensor, Tensor] = {}
    for node in _active(ends, before):
        op = node._rule.op
        if op is None or is_older(node, before):
            again[node] = TENSORS.gradient_where(condition, node)
            continue
        inputs = [again.get(x, x) if isinstance(x, Tensor) else x for x in node._inputs]
        made: Tensor = op.apply(*inputs, **node._params)
        made._code, made._offset, made._scope, made._name = node._code, node._offset, node._scope, node._name
        again[node] = made
    return [again.get(x, x) if isinstance(x, Tensor) else x for x in ends]


def is_older(node: Tensor, before: int) -> bool:
    """Whether a node was there before; a result of a loop is as old as the loop."""
    op = node._rule.op
    return node._id <= before or (op is not None and op.name == "loop_result" and node._inputs[0]._id <= before)


def _active(ends: Sequence[Any], before: int) -> list[Tensor]:
    """Active nodes under the ends, down to the first that are older or leaves, in rising order of id."""
    found = {x for x in ends if type(x) is Tensor and not is_older(x, before)}
    stack = list(found)
    while stack:
        node = stack.pop()
        if node._rule.op is not None and not is_older(node, before):
            more = {x for x in node._inputs if type(x) is Tensor} - found
            found |= more
            stack += more
    return sorted(found, key=_BY_ID)


def joined(outer: Recorder, condition: Tensor, yes: Way, no: Way) -> Any:
    """The results of the way that the condition takes; its states are assigned."""
    choose: Function = TENSORS.where
    for state in {**yes.states, **no.states}:
        before = outer.read(state)
        outer.assign(state, choose(condition, yes.states.get(state, before), no.states.get(state, before)))
    pairs = zip(yes.results.leaves, no.results.leaves, strict=True)
    leaves = [x if x is y else choose(condition, _strong(x), _strong(y)) for x, y in pairs]
    return unflatten(yes.results.recipe, leaves)


def _strong(x: Any) -> Any:
    """A Python integer or boolean in the dtype that the other way has, too."""
    return np.asarray(x) if type(x) in (int, bool) else x
