"""One op for a whole loop, and one for each of its results.

Concepts here: a `Loop`, the recorded body with what it takes; the op `loop`, whose node stands for all results of one
loop, and `loop_result`, which takes one of them. How a body is recorded is in `repeated.py`, what derivatives of a loop
are in `derivatives.py`.

Invariant: a loop has one node and one gradient, however many results it has; `Parts` carries the gradients of all of
them along that one edge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from adjoint.abstract import Abstract
from adjoint.compiler.program import INDEX, Program
from adjoint.op import Op
from adjoint.shaped import general
from adjoint.tensor import DROPPED, Constant, Tensor, new, record, value_of


class Guard(NamedTuple):
    """A carry or a row, a boolean each: a step of which it is false is left out. The carries then stay, and rows of
    what is stacked are 0.
    """

    number: int
    is_row: bool


class Loop(NamedTuple):
    """A recorded body.

    `inputs` stand for the carries, rows of what the loop runs over, and constants. `outputs` are the carries after a
    step, what the step gives, the carries before it, and the `kept` nodes, which a gradient would rather read than
    compute again: of the first the loop has the last as results, all others stacked. `nodes` are what lies between, in
    order, and `body` is the same as primitives. `guard` is the number of an input: a step for which it is false is left
    out.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Any, ...]
    nodes: tuple[Tensor, ...]
    kept: tuple[Tensor, ...]
    carried: int
    rows: int
    steps: int
    reverse: bool
    guard: int | None
    body: Program

    def __repr__(self) -> str:
        return f"<{self.steps} steps of {len(self.body.values)} primitives>"

    @property
    def before(self) -> int:
        """The number of the first of the stacked carries."""
        return len(self.outputs) - len(self.kept) - self.carried

    def kind(self, index: int) -> Abstract:
        """Shape and dtype of a result."""
        if index < self.carried:
            return Abstract.of(self.inputs[index]._value)
        x = Abstract.of(value_of(self.outputs[index]))
        return Abstract((self.steps, *x.shape), x.dtype)

    def is_active(self, index: int) -> bool:
        """Whether a result gets a gradient, if the loop does."""
        x = self.inputs[index] if index < self.carried else self.outputs[index]
        return type(x) is Tensor and x.dtype.kind == "f"

    def guarded_by(self) -> Guard | None:
        """The guard as a carry or a row."""
        if self.guard is None or self.guard < self.carried:
            return None if self.guard is None else Guard(self.guard, is_row=False)
        return Guard(self.guard - self.carried, is_row=True)

    def order(self) -> Iterator[int]:
        """The rows, in the order of the steps."""
        return iter(reversed(range(self.steps)) if self.reverse else range(self.steps))


class Parts:
    """Gradients or tangents of the results of a loop, by their numbers; all others are 0."""

    __slots__ = ("found", "pulled")
    #: Those of the node of a loop, since this is what travels to and from it.
    shape = ()
    dtype = INDEX

    def __init__(self, found: Mapping[int, Any]) -> None:
        self.found: Final = dict(found)
        self.pulled: Mapping[int, Any] | None = None

    def __add__(self, other: Parts) -> Parts:
        both = {i: self.found[i] + x for i, x in other.found.items() if i in self.found}
        return Parts({**self.found, **other.found, **both})


# --- the ops ----------------------------------------------------------------------------------------------------------


class LoopOp(Op):
    """The family of the one op whose node stands for several results."""

    @property
    def has_rule(self) -> bool:
        """Its derivatives are loops."""
        return True

    def title(self, params: Mapping[str, Any]) -> str:
        """Of a node of a trace, or of a program."""
        steps = params["loop"].steps if "loop" in params else params["steps"]
        return f"loop of {steps} steps"

    def abstract(self, inputs: Sequence[Abstract], params: Mapping[str, Any]) -> Abstract:
        """Of the number of steps, which is the node's own value."""
        return Abstract((), INDEX)

    def evaluate(self, values: Sequence[Any], params: Mapping[str, Any]) -> list[Any]:
        """All results, by the ops of the body."""
        made: Loop = params["loop"]
        carries, rows, constants = taken_apart(made, values)
        found, outputs = [], len(made.outputs)
        for t in made.order():
            given = [*carries, *(np.asarray(x)[t] for x in rows), *constants]
            if made.guard is not None and not given[made.guard]:
                found.append([np.zeros(k.shape[1:], k.dtype) for k in map(made.kind, range(made.carried, outputs))])
                continue
            after = _evaluated(made, given)
            carries = after[: made.carried]
            found.append(after[made.carried :])
        stacked = zip(*(reversed(found) if made.reverse else found), strict=True)
        return [*carries, *(np.stack(ys) for ys in stacked)]

    def pull(
        self, m: Any, position: int, active: tuple[bool, ...], g: Any, out: Any, xs: Sequence[Any], params: Any
    ) -> Any:
        """From the loop that runs back, which is made for the first input and then known."""
        if g.pulled is None:
            from adjoint.control.derivatives import pulled  # loops, made of this op

            g.pulled = pulled(params["loop"], active, g, out)
        if out._grad is g:  # a gradient of all results together is nothing to show
            out._grad = DROPPED
        return g.pulled.get(position)

    def push(
        self, m: Any, active: tuple[bool, ...], tangents: Sequence[Any], out: Any, xs: Sequence[Any], params: Any
    ) -> Any:
        """From the loop with tangents beside its carries."""
        from adjoint.control.derivatives import pushed

        return pushed(params["loop"], xs, tangents)


class ResultOp(Op):
    """The family of the op that takes one result of a loop."""

    @property
    def has_rule(self) -> bool:
        """It hands on what arrives."""
        return True

    def apply(self, *inputs: Any, **params: Any) -> Any:
        """Record the result; it gets a gradient only if the body says so."""
        (made,), index = inputs, params["index"]
        found: Loop = made._params["loop"]
        active = type(made) is Tensor and found.is_active(index)
        rule = self.rule((type(made) is Tensor,))
        return record(new(Tensor if active else Constant), rule, found.kind(index), (made,), {"index": index})

    def evaluate(self, values: Sequence[Any], params: Mapping[str, Any]) -> Any:
        """One of the results."""
        return values[0][params["index"]]

    def pull(
        self, m: Any, position: int, active: tuple[bool, ...], g: Any, out: Any, xs: Sequence[Any], params: Any
    ) -> Any:
        """A part of what the loop gets."""
        return Parts({params["index"]: g})

    def push(
        self, m: Any, active: tuple[bool, ...], tangents: Sequence[Any], out: Any, xs: Sequence[Any], params: Any
    ) -> Any:
        """A part of what the loop gives."""
        found = tangents[0].found.get(params["index"])
        return zeros(out._value) if found is None else found


def _loop(m: Any, *xs: Any, loop: Any) -> Any:
    """All results of a loop: the last carries, what the steps gave, and the carries before each step.

    out = (cₙ, (y₀, …, yₙ₋₁), (c₀, …, cₙ₋₁)) where (cₜ₊₁, yₜ) = f(cₜ, xₜ, constants)

    Gradient: from a loop over the steps in reverse order.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> f = ad.compile(lambda xs: ad.scan(lambda c, x: (c + x, None), 0.0, xs)[0])
    >>> float(f(np.ones(100)))
    100.0

    Source: that of `scan`.
    """
    return m.repeat(*xs, loop=loop)


def _loop_result(m: Any, results: Any, /, index: int) -> Any:
    """One result of a loop.

    out = results[index]

    Gradient: upstream, as that of this result alone.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> f = ad.compile(lambda xs: ad.grad(lambda xs: ad.scan(lambda c, x: (c * x, None), 1.0, xs)[0])(xs))
    >>> f(np.full(6, 2.0))
    array([32., 32., 32., 32., 32., 32.])

    Source: that of `scan`.
    """
    return m.result(results, index=index)


@general
def loop_stored(m, computed, stored, /):  # type: ignore[no-untyped-def]
    """A value of a step, read where it was stored, that has the history of the one computed again.

    out = stored

    Gradient: the upstream gradient, for what is computed; none for what is stored.

    Example
    -------
    >>> import adjoint as ad
    >>> from adjoint.control.loop_op import loop_stored
    >>> ad.value_and_grad(lambda x: loop_stored(x * x, 9.0))(3.0)
    (9.0, 6.0)

    Source: "Checkpointing", A. Griewank and A. Walther, "Evaluating Derivatives", 2008, chapter 12.
    """
    return stored


loop_stored.shape(lambda computed, stored: stored)
loop_stored.vjp(lambda m, g, out, computed, stored: g, lambda *unused: None)
loop_stored.jvp(lambda m, tangents, out, computed, stored: zeros(out) if tangents[0] is None else tangents[0])

loop: Final = LoopOp(_loop, name="loop")
loop_result: Final = ResultOp(_loop_result, name="loop_result")


def taken_apart(made: Loop, xs: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """Carries, rows and constants."""
    first = made.carried + made.rows
    return list(xs[: made.carried]), list(xs[made.carried : first]), list(xs[first:])


def _evaluated(made: Loop, given: Sequence[Any]) -> list[Any]:
    """One step by NumPy."""
    held: dict[Tensor, Any] = dict(zip(made.inputs, given, strict=True))

    def value(x: Any) -> Any:
        return held[x] if isinstance(x, Tensor) and x in held else value_of(x)

    for node in made.nodes:
        if type(node._value) is Abstract:
            xs, op = [value(x) for x in node._inputs], node._rule.op
            held[node] = xs[-1] if op is None else op.evaluate(xs, node._params)
    return [value(x) for x in made.outputs]


def zeros(like: Any) -> Any:
    """Zeros in the shape and dtype of a value, in one number's memory."""
    kind = Abstract.of(like)
    return 0.0 if kind.weak else np.broadcast_to(np.zeros((), kind.dtype), kind.shape)
