"""Results of compiled functions that get gradients.

A result that depends on trainable parameters is a node whose inputs are these parameters, and whose rule runs the
compiled gradient: traced when a backward pass first comes here. The node holds the arrays that the parameters had in
the call, so a later assignment does not change what it stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from adjoint.compile.lower import lower
from adjoint.compile.segments import runnable
from adjoint.compile.trace import trace
from adjoint.leaves import State
from adjoint.paths import gradients
from adjoint.tensor import Rule, Tensor, add_to_slot
from adjoint.transforms import flatten

Function = Callable[..., Any]


class Pullback:
    """The gradient of one result of a function with respect to the parameters that it reads, compiled."""

    def __init__(self, f: Function, place: int, parameters: Sequence[State], numbers: Sequence[Any], g: Any) -> None:
        def pullback(*args: Any) -> list[Any]:
            reads = [p.read() for p in parameters]
            outputs, _ = flatten(f(*args[:-1]))
            found = gradients([outputs[place]], [args[-1]], reads, True)
            return [np.zeros(p.shape, p.dtype) if g is None else g for p, g in zip(parameters, found, strict=True)]

        traced = trace(pullback, [*numbers, g])
        program = lower(traced)
        self._states: Final = tuple(traced.states)
        self._known: Final = [None if isinstance(x, Tensor) else x for x in traced.outputs]
        self._returned: Final = [(x.shape, x.dtype) for x in program.outputs]
        self._run: Final = runnable(program, {}, getattr(f, "__name__", "function") + " (gradient)").run

    def __call__(self, numbers: Sequence[Any], held: dict[State, Any], g: Any) -> list[Any]:
        """Gradients for the values that the states had in the call."""
        made = [np.empty(shape, dtype) for shape, dtype in self._returned]
        states = [held[s] if s in held else np.asarray(s._value) for s in self._states]
        self._run([*numbers, np.ascontiguousarray(g), *states, *made])
        supply = iter(made)
        return [next(supply) if known is None else known for known in self._known]


class CallRule(Rule):
    """How a result of one call sends its gradient on."""

    __slots__ = ("held", "numbers", "parameters", "pullback")

    def __init__(
        self, pullback: Callable[[Any], Pullback], parameters: tuple[State, ...], numbers: Any, held: dict[State, Any]
    ) -> None:
        super().__init__(None, (True,) * len(parameters), _to_parameters)
        self.pullback = pullback
        self.parameters = parameters
        self.numbers = numbers
        self.held = held


def _to_parameters(node: Tensor, g: Any) -> None:
    rule: Any = node._rule
    found = rule.pullback(g)(rule.numbers, rule.held, g)
    for parameter, gradient in zip(rule.parameters, found, strict=True):
        add_to_slot(parameter, gradient)
