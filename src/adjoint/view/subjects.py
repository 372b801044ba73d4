"""What can be looked at: a Graph, a Tensor, a run of a graph, a module with a sample, a function with arguments.

A compiled function shows what it was compiled to, not what it was written as.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np

from adjoint.errors import GradientError
from adjoint.graph import Graph, Trace
from adjoint.leaves import constant, tensor
from adjoint.nn import Module
from adjoint.recording import here
from adjoint.tensor import Tensor


@runtime_checkable
class Drawable(Protocol):
    """A function that knows its own graph, as a compiled one does; naming its class would load the compiler."""

    def __call__(self, *args: Any) -> Any:
        """The result."""

    def graph(self) -> Graph:
        """What it does."""


def graph_of(subject: Any, *args: Any) -> Graph:
    """The graph of anything that has one; a module or function is run on the arguments, to record it.

    A compiled function is called on the arguments, if there are any, and has the graph of its program.
    """
    if isinstance(subject, Graph):
        return subject
    if isinstance(subject, Trace):
        return Graph(subject.output)
    if isinstance(subject, Tensor):
        return Graph(subject)
    if isinstance(subject, Module):
        return _recorded(subject, subject.forward, args, constant)
    if isinstance(subject, Drawable):
        if args:
            subject(*args)
        return subject.graph()
    if callable(subject):
        return _recorded(subject, subject, args, tensor)
    raise GradientError(
        f"graph: expected a Graph, a Tensor, a module or a function, got {type(subject).__name__}{here()}"
    )


def _recorded(f: Callable[..., Any], named_by: Callable[..., Any], args: tuple[Any, ...], leaf: Any) -> Graph:
    """The graph of one call; arguments are named as the parameters, and those of a module are data."""
    named = [_argument(x, name, leaf) for x, name in zip(args, _names(named_by, len(args)), strict=True)]
    output = f(*named)
    if not isinstance(output, Tensor):
        raise GradientError(
            f"graph: expected {getattr(f, '__name__', type(f).__name__)} to return a Tensor, "
            f"got {type(output).__name__}{here()}"
        )
    return Graph(output)


def _argument(x: Any, name: str, leaf: Callable[..., Tensor]) -> Any:
    """Numbers and arrays as named leaves; everything else as it is."""
    is_number = isinstance(x, int | float | list | np.ndarray | np.generic) and not isinstance(x, bool)
    if not is_number or isinstance(x, Tensor):
        return x
    return leaf(float(x) if type(x) is int else x, name=name)


def _names(f: Callable[..., Any], count: int) -> list[str]:
    """Names of the first parameters; numbered ones where the function does not tell them."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):  # written in C
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [names[i] if i < len(names) else f"x{i}" for i in range(count)]
