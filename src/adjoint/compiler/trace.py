"""A function run once without data, to see which operations it does: the first stage of the compiler.

While a `Recorder` is the trace of the mode, arguments are Tensors that hold an `Abstract` (shape and dtype) instead of
a value, and so is everything that is computed from them. A State that the function reads becomes an input; one that it
assigns gets a result. What depends on no argument and no state is computed at once, as always.

Invariants. When tracing ends, also by an error, every slot of a user's object is as it was: states keep their values,
parameters their gradients. A traced Tensor that outlives its trace has no value, and says so when asked for one.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, NamedTuple

from adjoint.abstract import Abstract
from adjoint.errors import ImmutableError, ShapeError, TraceError
from adjoint.leaves import READ, State
from adjoint.recording import here, mode, tracing
from adjoint.tensor import LEAF, Constant, Tensor, leaf, new, plain_value, record
from adjoint.transforms import as_node, flatten, unflatten
from adjoint.vocabulary import TENSORS


class Traced(NamedTuple):
    """What a trace found: the graph is what hangs on `outputs` and `assigned`.

    `inputs` stand for the arguments (None for one that is no number, such as a text or a module), `states` for the
    values that states have before the call, `assigned` for those that they have after it. `graded` are states whose
    gradients were asked for.
    """

    inputs: tuple[Tensor | None, ...]
    states: Mapping[State, Tensor]
    assigned: Mapping[State, Any]
    outputs: tuple[Any, ...]
    recipe: Any
    holders: tuple[Any, ...]
    graded: tuple[State, ...]


class Recorder:
    """The trace that is running: which states it has met, what they are now, and how to put everything back."""

    def __init__(self) -> None:
        self.states: dict[State, Tensor] = {}
        self.current: dict[State, Any] = {}
        self.holders: dict[int, Any] = {}
        self._gradients: dict[State, Any] = {}
        self._held: list[tuple[dict[Any, Any], dict[Any, Any]]] = []

    def read(self, state: State) -> Any:
        """The node that stands for the value of a State at this place of the function."""
        if state not in self.current:
            node = _read_of(state)
            self.states[state] = self.current[state] = node
            self._gradients[state], state._grad = state._grad, None
        return self.current[state]

    def assign(self, state: State, value: Any) -> None:
        """From here on the State has this value, cast to its dtype."""
        before = self.read(state)
        value = self.read(value) if isinstance(value, State) else value
        after = value if isinstance(value, Tensor) else leaf(plain_value(value, "assign"), None, Constant)
        if after.shape != before.shape:
            raise ShapeError(
                f"assign: expected shape {before.shape}, got {after.shape} ({state.name or 'unnamed'}){here()}; "
                "a state has the same shape at every call"
            )
        if after.dtype != before.dtype:
            after = (
                TENSORS.cast(after, dtype=before.dtype)
                if before.dtype.kind == "f"
                else TENSORS.to_whole(after, dtype=before.dtype)
            )
        self.current[state] = _read_again(state, before._value, after)

    def shortened(self, end: Tensor, g: Any, stop: Container[int]) -> Any:
        """A big graph of single numbers as one op, which the tape runs."""
        from adjoint.compiler.scalars import shortened

        return shortened(end, g, stop)

    def restore_later(self, held: dict[Any, Any]) -> None:
        """Put the entries of a dict back when the trace ends."""
        if all(held is not known for known, _ in self._held):
            self._held.append((held, dict(held)))

    def touch(self, holder: Any) -> None:
        """The function used a module or an optimiser."""
        self.holders[id(holder)] = holder

    def refuse_setting(self, holder: Any, name: str) -> None:
        """Raise, because an attribute of something that lives longer than the trace is set."""
        if id(holder) in self.holders:
            raise ImmutableError(
                f"{type(holder).__name__}.{name} = …: it would be set once, while the function is being compiled, and "
                f"never again{here()}; make it an ad.State and write .assign(…), or set it outside"
            )

    def restore(self) -> None:
        """Every slot that the trace touched as it was."""
        for state, g in self._gradients.items():
            state._grad = g
        for held, before in self._held:
            held.clear()
            held.update(before)


def trace(f: Callable[..., Any], args: Sequence[Any]) -> Traced:
    """Run `f` without data on arguments of the shapes and dtypes of `args`; numbers and arrays may stand anywhere in
    containers.
    """
    if tracing() is not None:
        raise TraceError(f"compile: a trace is running already{here()}; call the function itself")
    leaves, recipe = flatten(tuple(args))
    inputs = tuple(_input(x) for x in leaves)
    given = [x if node is None else node for x, node in zip(leaves, inputs, strict=True)]
    recorder = Recorder()
    try:
        with mode(trace=recorder, record=True):
            results, result_recipe = flatten(f(*unflatten(recipe, given)))
            outputs = tuple(map(as_node, results))
        graded = tuple(s for s in recorder.states if s._grad is not None)
    finally:
        recorder.restore()
    assigned = {s: now for s, now in recorder.current.items() if now is not recorder.states[s]}
    return Traced(inputs, recorder.states, assigned, outputs, result_recipe, tuple(recorder.holders.values()), graded)


def _input(x: Any) -> Tensor | None:
    """The Tensor without data that stands for an argument."""
    if isinstance(x, State) or not (isinstance(x, Tensor | float | int) or hasattr(x, "__array__")):
        return None
    abstract = Abstract.of(x._value if isinstance(x, Tensor) else x)
    kind = Tensor if type(x) is Tensor else Constant
    return record(new(kind), LEAF, abstract, ())  # type: ignore[no-any-return]


def _read_of(state: State) -> Tensor:
    """The node without data that stands for the value of a State before the call."""
    node = state.fresh_read()
    node._value = Abstract.of(state._value)
    return node


def _read_again(state: State, like: Abstract, value: Tensor) -> Tensor:
    """A read of a State after an assignment inside the trace; it promotes as the State does, and if the State is
    trainable, gradients of a later backward pass reach it.
    """
    kind, rule = (Tensor, READ) if state._trainable else (Constant, LEAF)
    return record(new(kind), rule, like, (state, value))  # type: ignore[no-any-return]
