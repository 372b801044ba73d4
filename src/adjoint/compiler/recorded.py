"""Results of compiled functions that get gradients.

A result that depends on trainable parameters, or on Tensors from outside the function, is a node whose inputs these are
(its sources). Its rule runs the compiled gradient of the trace that the result came from, made when a backward pass
first comes here. The node holds the arrays that arguments and states had in the call, so a later assignment does not
change what it stands for, nor do settings that were changed since.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from adjoint.abstract import Abstract
from adjoint.compiler.program import Program
from adjoint.compiler.segments import runnable
from adjoint.compiler.trace import Recorder, Traced
from adjoint.errors import GradientError
from adjoint.leaves import State
from adjoint.paths import gradients
from adjoint.recording import mode
from adjoint.tensor import LEAF, Constant, Rule, Tensor, add_to_slot, new, record


class Pullback:
    """The gradient of one result of a trace with respect to its sources, compiled."""

    def __init__(
        self,
        traced: Traced,
        output: Tensor,
        sources: Sequence[Tensor],
        name: str,
        lowering: Callable[[Traced], Program],
    ) -> None:
        with mode(trace=Recorder(), record=True):
            upstream: Tensor = record(new(Constant), LEAF, Abstract.of(output._value), ())
            inputs = [traced.states[x] if isinstance(x, State) else x for x in sources]
            found = [0.0 if g is None else g for g in gradients([output], [upstream], inputs, True)]
        own = traced._replace(inputs=(*traced.inputs, upstream), outputs=tuple(found), assigned={})
        program = lowering(own)
        self._sources: Final = tuple(sources)
        self._known: Final = [None if isinstance(g, Tensor) else g for g in found]
        self._upstream: Final = Abstract.of(output._value)
        self._returned: Final = [(x.shape, x.dtype) for x in program.outputs]
        self._run: Final = runnable(program, {}, f"{name} (gradient)").run

    def __call__(self, numbers: Sequence[Any], held: Sequence[Any], g: Any) -> list[Any]:
        """Gradients for the values that arguments and states had in the call."""
        made = [np.empty(shape, dtype) for shape, dtype in self._returned]
        arriving = np.array(np.broadcast_to(g, self._upstream.shape), self._upstream.dtype, order="C")
        if self._run([*numbers, arriving, *held], made):
            raise GradientError("backward: a check of indices or labels failed, which had passed in the forward pass")
        supply = iter(made)
        found = [next(supply) if known is None else known for known in self._known]
        return [_like(x, g) for x, g in zip(self._sources, found, strict=True)]


def _like(source: Tensor, g: Any) -> Any:
    """A gradient as its Tensor holds its value."""
    if type(source._value) is float:
        return float(g)
    return g if np.shape(g) == source.shape else np.array(np.broadcast_to(g, source.shape), source.dtype)


class CallRule(Rule):
    """How a result of one call sends its gradient on."""

    __slots__ = ("held", "numbers", "pullback")

    def __init__(
        self, pullback: Callable[[], Pullback], sources: Sequence[Tensor], numbers: Sequence[Any], held: Sequence[Any]
    ) -> None:
        self.op = None
        self.active = (True,) * len(sources)
        self.pull = _to_sources
        self.pullback = pullback
        self.numbers = numbers
        self.held = held


def _to_sources(node: Tensor, g: Any) -> None:
    rule: Any = node._rule
    found = rule.pullback()(rule.numbers, rule.held, g)
    for source, gradient in zip(node._inputs, found, strict=True):
        add_to_slot(source, gradient)
