"""Big graphs of single numbers: a tape of instructions, and a native interpreter that is compiled once.

A graph of 100,000 scalar nodes is too large to become machine code of its own, and too fine for kernels. It becomes a
*tape*: an array with one instruction per node, its opcode and the places of its inputs. The interpreter (`handlers`)
walks the tape, forward for the values, backward for the gradients, and jumps to the *handler* of each opcode.

Invariants. Instructions stand in recording order, so a place is written before it is read. Values lie in one array:
given leaves, then constants, then results in the order of the instructions. Backward adds to the gradients in the order
of the eager sweep, from an initial −0, to which any number can be added without a change: both round alike.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Final

import numpy as np

from adjoint.abstract import Abstract
from adjoint.autodiff import why_inactive
from adjoint.compiler.handlers import FLOATS, MOST_INPUTS, Interpreter, interpreter
from adjoint.compiler.lower import UnloweredError
from adjoint.errors import GradientError, ShapeError
from adjoint.leaves import State
from adjoint.recording import here
from adjoint.tensor import LEAF, Array, Rule, Tensor

__all__ = ["Tape"]

_BY_ID: Final = operator.attrgetter("_id")
_INPUTS: Final = operator.attrgetter("_inputs")
_RULE: Final = operator.attrgetter("_rule")


# --- from a graph to a tape -------------------------------------------------------------------------------------------


def _history(end: Tensor, given: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Nodes that the end was computed from, given ones and what is behind them left out: those that a gradient reaches,
    and the others.
    """
    seen: set[Any] = {end, *given}
    reached: list[Tensor] = [] if len(seen) == len({*given}) else [end]
    constant: list[Tensor] = []
    for node in reached:  # grows while it is read
        for x in node._inputs:
            if type(x) is Tensor:
                if x not in seen:
                    seen.add(x)
                    reached.append(x)
            elif isinstance(x, Tensor):
                constant.append(x)
    others = []
    while constant:
        node = constant.pop()
        if node not in seen and not isinstance(node, State):
            seen.add(node)
            others.append(node)
            constant += [x for x in node._inputs if isinstance(x, Tensor)]
    return reached, others


def _check(nodes: Sequence[Tensor], dtype: Any) -> None:
    """Raise unless every node is a single number of the dtype."""
    plain = {dtype.type, float} if dtype == np.float64 else {dtype.type}
    if {type(node._value) for node in nodes} <= plain:
        return
    for node in nodes:
        if node.shape != () or node.dtype != dtype:
            name = "leaf" if node._rule.op is None else node._rule.op.name
            raise UnloweredError(f"{name}: a tape of {dtype} has single numbers of it, not {node.dtype} {node.shape}")


def _is_weak(value: Any) -> bool:
    """Whether a leaf is a Python number, which takes the dtype of what it meets."""
    return type(value) is float or (type(value) is Abstract and value.weak)


class _Places:
    """Where each input of a node is found, by its identity, and the constants, which follow the given leaves."""

    def __init__(self, given: Sequence[Tensor]) -> None:
        self.places = {id(x): i for i, x in enumerate(given)}
        self.constants: list[Any] = []
        self._given = len(given)
        self._read: dict[int, Any] = {}

    @property
    def first(self) -> int:
        """Where the results begin."""
        return self._given + len(self.constants)

    def keep(self, x: Any, value: Any) -> None:
        """Give a constant a place."""
        self.places[id(x)] = self.first
        self.constants.append(value)

    def leaf(self, node: Tensor) -> None:
        """Find the place of a node without an op; UnloweredError for one of a trace that stands for no leaf."""
        source = node._inputs[-1] if node._inputs else None
        if isinstance(source, State) and id(source) in self.places:
            if self._read.setdefault(id(source), node._value) is not node._value:
                raise UnloweredError(f"leaf: {source.name or 'a state'} is read before and after an assignment")
            self.places[id(node)] = self.places[id(source)]
        elif type(node._value) is not Abstract:
            self.keep(node, node._value)
        elif node._rule is LEAF and id(source) in self.places:  # detached
            self.places[id(node)] = self.places[id(source)]
        else:
            raise UnloweredError(f"leaf: {node.name or 'one'} of the trace is not among the leaves of the tape")


def _coded(nodes: Sequence[Tensor], places: Mapping[int, int], opcodes: Mapping[Rule, int]) -> Array:
    """Opcode and three places per node."""
    inputs = list(map(_INPUTS, nodes))
    count = np.fromiter(map(len, inputs), np.int64, len(nodes))
    flat = np.fromiter(map(places.__getitem__, map(id, chain.from_iterable(inputs))), np.int32, count.sum())
    flat, start = np.append(flat, np.zeros(MOST_INPUTS, np.int32)), np.cumsum(count) - count
    code = np.zeros((len(nodes), 1 + MOST_INPUTS), np.int32)
    code[:, 0] = np.fromiter(map(opcodes.__getitem__, map(_RULE, nodes)), np.int32, len(nodes))
    for i in range(MOST_INPUTS):
        code[:, 1 + i] = np.where(count > i, flat[start + i], 0)
    return code


def _laid_out(nodes: Sequence[Tensor], leaves: Sequence[Tensor], given: Sequence[Tensor]) -> _Places:
    """Places of all inputs: constants first, then the nodes, then leaves of a trace, which stand for one of those."""
    layout = _Places(given)
    for leaf in leaves:
        if type(leaf._value) is not Abstract:
            layout.leaf(leaf)
    numbers = {id(x): x for x in chain.from_iterable(map(_INPUTS, nodes)) if not isinstance(x, Tensor)}
    for x in numbers.values():
        layout.keep(x, x)
    layout.places.update(zip(map(id, nodes), range(layout.first, layout.first + len(nodes)), strict=True))
    for leaf in leaves:
        if type(leaf._value) is Abstract:
            layout.leaf(leaf)
    return layout


class Tape:
    """A graph of single numbers as instructions for the native interpreter: its value, and all gradients.

    result = f(leaves), gradients = d result / d leaves

    Values and gradients are those of the eager graph, with elementary functions right to 2 ulp, and with the choices
    that the ops make at their kinks. A tape can run in several threads at once.

    Parameters
    ----------
    code : int32 array of shape (n, 4)
        Opcode and places of the inputs, per node.
    constants : array of shape (c,), float64 or float32
        Numbers that do not change.
    leaves : int
        How many numbers are given to each run.
    result : int
        The place of the result.
    interpreter : of the dtype of the constants

    Example
    -------
    >>> import adjoint as ad
    >>> from adjoint.compiler.tape import Tape
    >>> x, y, z = ad.tensor(-2.0), ad.tensor(5.0), ad.tensor(-4.0)
    >>> tape = Tape.of((x + y) * z, [x, y, z])
    >>> tape.run([-2.0, 5.0, -4.0])
    (np.float64(-12.0), array([-4., -4.,  3.]))
    >>> tape.run([1.0, 2.0, 3.0])
    (np.float64(9.0), array([3., 3., 3.]))

    Source: A. Griewank and A. Walther, "Evaluating Derivatives", 2008, section 4.
    """

    def __init__(self, code: Array, constants: Array, leaves: int, result: int, interpreter: Interpreter) -> None:
        self.dtype = constants.dtype
        self._code, self._constants, self._leaves, self._result = code, constants, leaves, result
        self._interpreter = interpreter
        reached = np.zeros(leaves + len(constants) + len(code), bool)
        reached[result] = True
        for i in range(MOST_INPUTS):
            reached[code[(code[:, 0] >> i & 1) == 1, 1 + i]] = True
        self._zeros = np.where(reached[:leaves], -0.0, 0.0).astype(self.dtype)

    def __len__(self) -> int:
        return len(self._code)

    @classmethod
    def of(cls, end: Tensor, leaves: Sequence[Tensor]) -> Tape:
        """The tape of a recorded graph, or of the graph of a trace.

        Parameters
        ----------
        end : Tensor of shape (), float64 or float32
            What is computed.
        leaves : sequence of Tensor of shape ()
            What is given to each run, in this order: leaves, Parameters, other States, or nodes in whose place numbers
            are given. All other leaves are constants.

        Returns
        -------
        Tape
            With an instruction for each node between them.

        Raises
        ------
        UnloweredError
            For a node that is no single number of the dtype of the end, an op whose rules are none of numbers (the
            text names it), or a leaf of a trace that is missing.
        GradientError
            If the end gets no gradient, or a leaf is named twice.

        Example
        -------
        >>> import adjoint as ad
        >>> from adjoint.compiler.tape import Tape
        >>> w = ad.Parameter(3.0)
        >>> Tape.of(w * w, [w]).run([4.0])
        (np.float64(16.0), array([8.]))
        """
        end = end.read() if isinstance(end, State) else end
        if type(end) is not Tensor:
            raise GradientError(why_inactive(end, "Tape.of"))
        if len({*leaves}) < len(leaves):
            raise GradientError(f"Tape.of: expected leaves that differ, got one of them twice{here()}")
        dtype = end.dtype
        if dtype not in FLOATS:
            raise UnloweredError(f"leaf: a tape has numbers of float64 or float32, not {dtype}")
        reached, others = _history(end, leaves)
        found = (*others, *reversed(reached))  # the walk began at the end: nearly sorted, which takes half the time
        nodes = sorted((x for x in found if x._rule.op is not None), key=_BY_ID)
        rules = set(map(_RULE, nodes))
        native = interpreter(dtype, {rule.op for rule in rules if rule.op is not None})
        _check([*nodes, *(x for x in leaves if not _is_weak(x._value))], dtype)
        plain = sorted((x for x in found if x._rule.op is None), key=_BY_ID)
        layout = _laid_out(nodes, plain, leaves)
        code = _coded(nodes, layout.places, {rule: native.opcode(rule) for rule in rules})
        apart = [layout.places[id(x)] - layout.first for x in others if x._rule.op is not None]
        code[apart, 0] &= -1 << MOST_INPUTS
        constants = np.array(layout.constants, dtype)
        return cls(code, constants, len(leaves), layout.places[id(end)], native)

    def run(self, values: Any) -> tuple[Any, Array]:
        """The result and its gradients at values of the leaves.

        result = f(values), gradients[i] = d result / d values[i]

        Parameters
        ----------
        values : sequence or array of shape (leaves,)
            Cast to the dtype of the tape.

        Returns
        -------
        tuple of NumPy number and array of shape (leaves,)
            Both of the dtype of the tape; 0 where no gradient arrives.

        Raises
        ------
        ShapeError
            If there are not as many values as leaves.

        Example
        -------
        >>> import adjoint as ad
        >>> from adjoint.compiler.tape import Tape
        >>> x = ad.tensor(1.0)
        >>> Tape.of(ad.relu(x) + ad.abs(x), [x]).run([0.0])
        (np.float64(0.0), array([0.]))
        """
        given = np.asarray(values, self.dtype)
        if given.shape != self._zeros.shape:
            raise ShapeError(f"run: expected values of shape {self._zeros.shape}, got {given.shape}{here()}")
        first, count = self._leaves + len(self._constants), len(self._code)
        held = np.empty(first + count, self.dtype)
        held[: self._leaves] = given
        held[self._leaves : first] = self._constants
        gradients = np.full(first + count, -0.0, self.dtype)
        gradients[: self._leaves] = self._zeros
        gradients[self._result] = 1.0
        code = self._code.ctypes.data
        self._interpreter.forward(code, first, held.ctypes.data, count)
        self._interpreter.backward(code, first, held.ctypes.data, gradients.ctypes.data, count)
        return held[self._result], gradients[: self._leaves].copy()
