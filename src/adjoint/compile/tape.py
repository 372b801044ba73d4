"""Big graphs of single numbers: a tape of instructions, and a native interpreter that is compiled once.

A graph of 100,000 scalar nodes is too large to become machine code of its own, and too fine for kernels. It becomes a
*tape*: an array with one instruction per node, its opcode and the places of its inputs. The interpreter walks the tape,
forward for the values, backward for the gradients, and jumps to the *handler* of each opcode. The library of handlers
depends on no graph: one per op and, backward, per pattern of inputs that gradients go to.

Handlers are made of the ops' own rules, read by the words of the lowering; nothing is said here about any particular
op, so a new elementwise op has handlers as soon as its rules use these words.

Invariants. Instructions stand in recording order, so a place is written before it is read. Values lie in one array:
given leaves, then constants, then results in the order of the instructions. Backward adds to the gradients in the order
of the eager sweep, from an initial −0, to which any number can be added without a change: both round alike.
"""

from __future__ import annotations

import ctypes
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from itertools import chain
from typing import Any, Final, NamedTuple

import numpy as np

from adjoint.abstract import Abstract
from adjoint.autodiff import why_inactive
from adjoint.compile.llvm import Library, constant, ir, object_code
from adjoint.compile.lower import WORDS, Symbol, UnloweredError, lowered
from adjoint.compile.mathematics import FUNCTIONS
from adjoint.compile.mathematics.lanes import Float, Mask
from adjoint.compile.program import BOOL, Builder, Program, Value
from adjoint.errors import GradientError, ShapeError
from adjoint.families import Elementwise
from adjoint.leaves import State
from adjoint.op import Op
from adjoint.recording import here
from adjoint.tensor import LEAF, Array, Rule, Tensor
from adjoint.vocabulary import REGISTRY

__all__ = ["Tape"]

_I32, _I64, _POINTER = ir.IntType(32), ir.IntType(64), ir.PointerType()
_FLOATS: Final[Mapping[Any, Any]] = {np.dtype(np.float64): ir.DoubleType(), np.dtype(np.float32): ir.FloatType()}
#: An opcode is the number of the op times 8, plus a bit for each input that a gradient goes to.
_MOST_INPUTS: Final = 3
_BY_ID: Final = operator.attrgetter("_id")
_INPUTS: Final = operator.attrgetter("_inputs")
_RULE: Final = operator.attrgetter("_rule")


# --- primitives on numbers --------------------------------------------------------------------------------------------


def _sign(x: Float) -> Float:
    beside = x.like(0.0).where(x.equal(0.0), x)
    return x.like(1.0).where(x > 0.0, x.like(-1.0).where(x < 0.0, beside))


_ON_NUMBERS: Final[Mapping[str, Callable[..., Any]]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "negative": operator.neg,
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1.0 / x,
    "sign": _sign,
    "maximum": lambda x, y: x.where((x >= y) | x.differs(x), y),
    "minimum": lambda x, y: x.where((x <= y) | x.differs(x), y),
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "equal": Float.equal,
    "not_equal": Float.differs,
    "isnan": lambda x: x.differs(x),
    "isinf": lambda x: abs(x).equal(float("inf")),
    "isfinite": lambda x: abs(x) < float("inf"),
    "where": lambda condition, x, y: x.where(condition, y),
}
_ON_TRUTHS: Final[Mapping[str, Callable[..., Any]]] = {
    "and_": operator.and_,
    "or_": operator.or_,
    "not_": Mask.negated,
    "equal": lambda x, y: (x ^ y).negated(),
    "not_equal": operator.xor,
    "where": lambda condition, x, y: (condition & x) | (condition.negated() & y),
}
#: Functions of a few instructions; the others are functions of the library, each there once.
_SHORT: Final = frozenset({"abs", "ceil", "floor", "round", "sqrt", "trunc"})


def _kind_of(value: Value) -> Any:
    return ir.IntType(1) if value.dtype == BOOL else _FLOATS[value.dtype]


def _lanes(builder: Any, value: Value, raw: Any) -> Float | Mask:
    return Mask(builder, raw) if value.dtype == BOOL else Float(builder, raw)


def _emit(builder: Any, program: Program, given: Sequence[Any]) -> list[Any]:
    """The instructions of a program; its outputs."""
    held = dict(zip([x.number for x in program.inputs], given, strict=True))
    for value in program.values:
        if value.number not in held:
            held[value.number] = _emit_primitive(builder, value, [held[x.number] for x in value.inputs])
    return [held[x.number] for x in program.outputs]


def _emit_primitive(builder: Any, value: Value, inputs: list[Any]) -> Any:
    if value.kind == "constant":
        return constant(_kind_of(value), value.content.item())
    if value.kind == "cast":
        return _emit_cast(builder, _lanes(builder, value.inputs[0], inputs[0]), _kind_of(value))
    rule = _rule_of(value)
    if rule is not None:
        return rule(*map(_lanes, [builder] * len(inputs), value.inputs, inputs)).raw
    if value.kind in _SHORT:
        return FUNCTIONS[value.kind](builder, *inputs)
    return builder.call(_function(builder.module, value.kind, _kind_of(value), len(inputs)), inputs)


def _rule_of(value: Value) -> Callable[..., Any] | None:
    return (_ON_TRUTHS if all(x.dtype == BOOL for x in value.inputs) else _ON_NUMBERS).get(value.kind)


def _emit_cast(builder: Any, x: Float | Mask, kind: Any) -> Any:
    if isinstance(x, Mask):
        return builder.uitofp(x.raw, kind)
    if kind == ir.IntType(1):
        return x.differs(0.0).raw
    return builder.fpext(x.raw, kind) if isinstance(kind, ir.DoubleType) else builder.fptrunc(x.raw, kind)


def _function(module: Any, name: str, kind: Any, count: int) -> Any:
    """An elementary function as a function of the module."""
    full = f"number_{name}"
    found = module.globals.get(full)
    if found is not None:
        return found
    function = ir.Function(module, ir.FunctionType(kind, [kind] * count), full)
    function.linkage = "internal"
    function.attributes.add("noinline")
    function.attributes.add("nounwind")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    builder.ret(FUNCTIONS[name](builder, *function.args))
    return function


def _can_be_emitted(value: Value) -> bool:
    if value.dtype != BOOL and value.dtype not in _FLOATS:
        return False
    return value.kind in ("input", "constant", "cast") or value.kind in FUNCTIONS or _rule_of(value) is not None


# --- rules as programs ------------------------------------------------------------------------------------------------


class _Handler(NamedTuple):
    """What an opcode does: the value from the inputs; by pattern, from (g, out, *inputs) what is added to each."""

    forward: Program
    backward: Mapping[int, Program]


def _handler(op: Op, dtype: Any) -> _Handler:
    """The rules of an op on numbers of a dtype; UnloweredError, if they are none of numbers."""
    if not isinstance(op, Elementwise):
        raise UnloweredError(f"{op.name}: a tape has elementwise ops only")
    count = len(op.signature.inputs)
    if count > _MOST_INPUTS:
        raise UnloweredError(f"{op.name}: an instruction has {_MOST_INPUTS} inputs at most, not {count}")
    patterns = range(1, 1 << count) if op.nondiff is None else ()
    try:
        return _Handler(_forward(op, count, dtype), {p: _backward(op, count, p, dtype) for p in patterns})
    except UnloweredError as error:
        raise UnloweredError(f"{op.name}: {error}") from None


def _forward(op: Elementwise, count: int, dtype: Any) -> Program:
    builder, scalar = Builder(), Abstract((), dtype)
    xs = [builder.input(scalar) for _ in range(count)]
    return _checked(builder.program(xs, [lowered(builder, op, xs, {}, scalar)]))


def _backward(op: Elementwise, count: int, pattern: int, dtype: Any) -> Program:
    builder = Builder()
    inputs = [builder.input(Abstract((), dtype)) for _ in range(2 + count)]
    g, out, *xs = [Symbol(builder, x) for x in inputs]
    active = tuple(bool(pattern >> i & 1) for i in range(count))
    terms = [op.pull(WORDS, i, active, g, out, xs, {}) for i in range(count) if active[i]]
    values = [term.value if isinstance(term, Symbol) else builder.constant(term) for term in terms]
    return _checked(builder.program(inputs, [builder.cast(value, dtype) for value in values]))


def _checked(program: Program) -> Program:
    for value in program.values:
        if not _can_be_emitted(value):
            raise UnloweredError(f"its rule has a primitive that is not one of numbers, {value.kind} ({value.dtype})")
    return program


# --- the interpreter --------------------------------------------------------------------------------------------------


class _Instruction:
    """The instruction that the interpreter is at, and the memory that it works on, as run-time values."""

    def __init__(self, builder: Any, kind: Any, arguments: Sequence[Any], index: Any) -> None:
        self.builder = builder
        self.kind = kind
        self._code, self._first, self._values, *self._gradients = arguments
        self._index = index
        self.opcode = self._word(0)

    def _word(self, i: int) -> Any:
        place = self.builder.add(self.builder.shl(self._index, _I64(2)), _I64(i))
        return self.builder.load(self.builder.gep(self._code, [place], source_etype=_I32), typ=_I32)

    def _slot(self, array: Any, i: int | None) -> Any:
        """Where the value or the gradient of an input is; of the result for None."""
        b = self.builder
        place = b.add(self._first, self._index) if i is None else b.zext(self._word(1 + i), _I64)
        return b.gep(array, [place], source_etype=self.kind)

    def value(self, i: int | None) -> Any:
        """The value of an input, of the result for None."""
        return self.builder.load(self._slot(self._values, i), typ=self.kind)

    def gradient(self) -> Any:
        """The gradient that arrived at the result."""
        return self.builder.load(self._slot(self._gradients[0], None), typ=self.kind)

    def set(self, result: Any) -> None:
        """Write the result."""
        self.builder.store(result, self._slot(self._values, None))

    def add(self, i: int, term: Any) -> None:
        """Add to the gradient of an input; one at a time, since two inputs may be the same."""
        slot = self._slot(self._gradients[0], i)
        self.builder.store(self.builder.fadd(self.builder.load(slot, typ=self.kind), term), slot)


Case = tuple[Iterable[int], Callable[[_Instruction], None]]


def _emit_forward(module: Any, kind: Any, handlers: Sequence[_Handler]) -> None:
    """`forward(code, first, values, count)`."""

    def case(handler: _Handler) -> Callable[[_Instruction], None]:
        def emit(at: _Instruction) -> None:
            xs = [at.value(i) for i in range(len(handler.forward.inputs))]
            at.set(_emit(at.builder, handler.forward, xs)[0])

        return emit

    with _walk(module, "forward", kind, 1, backward=False) as at:
        number = at.builder.lshr(at.opcode, _I32(_MOST_INPUTS))
        _emit_switch(at, number, [((i,), case(handler)) for i, handler in enumerate(handlers)])


def _emit_backward(module: Any, kind: Any, handlers: Sequence[_Handler]) -> None:
    """`backward(code, first, values, gradients, count)`; an instruction without a pattern is passed over."""

    def case(pattern: int, program: Program) -> Callable[[_Instruction], None]:
        def emit(at: _Instruction) -> None:
            xs = [at.value(i) for i in range(len(program.inputs) - 2)]
            terms = _emit(at.builder, program, [at.gradient(), at.value(None), *xs])
            for i, term in zip(_positions(pattern), terms, strict=True):
                at.add(i, term)

        return emit

    cases: list[Case] = []
    for number, handler in enumerate(handlers):
        cases += [((number << _MOST_INPUTS | p,), case(p, program)) for p, program in handler.backward.items()]
    with _walk(module, "backward", kind, 2, backward=True) as at:
        _emit_switch(at, at.opcode, cases)


def _positions(pattern: int) -> list[int]:
    return [i for i in range(_MOST_INPUTS) if pattern >> i & 1]


@contextmanager
def _walk(module: Any, name: str, kind: Any, arrays: int, *, backward: bool) -> Iterator[_Instruction]:
    """A function that visits every instruction, from the first on or from the last."""
    parameters = [_POINTER, _I64, *[_POINTER] * arrays, _I64]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), parameters), name)
    for i, argument in enumerate(function.args):
        if parameters[i] is _POINTER:
            argument.add_attribute("noalias")
    *arguments, count = function.args
    entry, head, body, end = (function.append_basic_block(label) for label in ("entry", "head", "body", "end"))
    ir.IRBuilder(entry).branch(head)
    builder = ir.IRBuilder(head)
    done = builder.phi(_I64)
    done.add_incoming(_I64(0), entry)
    builder.cbranch(builder.icmp_signed("<", done, count), body, end)
    builder.position_at_end(body)
    following = builder.add(done, _I64(1))
    yield _Instruction(builder, kind, arguments, builder.sub(count, following) if backward else done)
    done.add_incoming(following, builder.block)
    builder.branch(head)
    ir.IRBuilder(end).ret_void()


def _emit_switch(at: _Instruction, number: Any, cases: Iterable[Case]) -> None:
    """A jump table: one block per case, all of which go on in the same place."""
    builder = at.builder
    after = builder.append_basic_block("after")
    switch = builder.switch(number, after)
    for numbers, emit in cases:
        block = builder.append_basic_block("handler")
        for n in numbers:
            switch.add_case(_I32(n), block)
        builder.position_at_end(block)
        emit(at)
        builder.branch(after)
    builder.position_at_end(after)


class _Interpreter:
    """The native functions for a set of ops on one dtype, and the opcodes of the ops."""

    def __init__(self, dtype: Any, ops: Mapping[Op, _Handler]) -> None:
        module = ir.Module()
        _emit_forward(module, _FLOATS[dtype], list(ops.values()))
        _emit_backward(module, _FLOATS[dtype], list(ops.values()))
        self._numbers = {op: number for number, op in enumerate(ops)}
        self._library = Library(object_code(module))
        word, address = ctypes.c_int64, ctypes.c_void_p
        self.forward = ctypes.CFUNCTYPE(None, address, word, address, word)(self._library.address("forward"))
        self.backward = ctypes.CFUNCTYPE(None, address, word, address, address, word)(self._library.address("backward"))

    def opcode(self, rule: Rule) -> int:
        """The number that stands for the op and the active inputs of a rule."""
        assert rule.op is not None, "a leaf has no opcode"
        return self._numbers[rule.op] << _MOST_INPUTS | sum(1 << i for i, yes in enumerate(rule.active) if yes)


@cache
def _standard(dtype: Any) -> _Interpreter:
    """For all ops of this library that are rules of numbers."""
    handlers = {}
    for op in REGISTRY.values():
        if op.__module__.startswith("adjoint."):
            try:
                handlers[op] = _handler(op, dtype)
            except UnloweredError:  # said when somebody wants it on a tape
                continue
    return _Interpreter(dtype, handlers)


@lru_cache(maxsize=16)
def _special(dtype: Any, ops: tuple[Op, ...]) -> _Interpreter:
    """For a graph with ops of a user."""
    return _Interpreter(dtype, {op: _handler(op, dtype) for op in ops})


def _interpreter(dtype: Any, ops: set[Op]) -> _Interpreter:
    standard = _standard(dtype)
    missing = [op for op in ops if op not in standard._numbers]
    for op in missing:
        _handler(op, dtype)
    return _special(dtype, tuple(sorted(ops, key=lambda op: op.name))) if missing else standard


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
    flat, start = np.append(flat, np.zeros(_MOST_INPUTS, np.int32)), np.cumsum(count) - count
    code = np.zeros((len(nodes), 1 + _MOST_INPUTS), np.int32)
    code[:, 0] = np.fromiter(map(opcodes.__getitem__, map(_RULE, nodes)), np.int32, len(nodes))
    for i in range(_MOST_INPUTS):
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
    >>> from adjoint.compile.tape import Tape
    >>> x, y, z = ad.tensor(-2.0), ad.tensor(5.0), ad.tensor(-4.0)
    >>> tape = Tape.of((x + y) * z, [x, y, z])
    >>> tape.run([-2.0, 5.0, -4.0])
    (np.float64(-12.0), array([-4., -4.,  3.]))
    >>> tape.run([1.0, 2.0, 3.0])
    (np.float64(9.0), array([3., 3., 3.]))

    Source: A. Griewank and A. Walther, "Evaluating Derivatives", 2008, section 4.
    """

    def __init__(self, code: Array, constants: Array, leaves: int, result: int, interpreter: _Interpreter) -> None:
        self.dtype = constants.dtype
        self._code, self._constants, self._leaves, self._result = code, constants, leaves, result
        self._interpreter = interpreter
        reached = np.zeros(leaves + len(constants) + len(code), bool)
        reached[result] = True
        for i in range(_MOST_INPUTS):
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
        >>> from adjoint.compile.tape import Tape
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
        if dtype not in _FLOATS:
            raise UnloweredError(f"leaf: a tape has numbers of float64 or float32, not {dtype}")
        reached, others = _history(end, leaves)
        found = (*others, *reversed(reached))  # the walk began at the end: nearly sorted, which takes half the time
        nodes = sorted((x for x in found if x._rule.op is not None), key=_BY_ID)
        rules = set(map(_RULE, nodes))
        interpreter = _interpreter(dtype, {rule.op for rule in rules if rule.op is not None})
        _check([*nodes, *(x for x in leaves if not _is_weak(x._value))], dtype)
        plain = sorted((x for x in found if x._rule.op is None), key=_BY_ID)
        layout = _laid_out(nodes, plain, leaves)
        code = _coded(nodes, layout.places, {rule: interpreter.opcode(rule) for rule in rules})
        apart = [layout.places[id(x)] - layout.first for x in others if x._rule.op is not None]
        code[apart, 0] &= -1 << _MOST_INPUTS
        constants = np.array(layout.constants, dtype)
        return cls(code, constants, len(leaves), layout.places[id(end)], interpreter)

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
        >>> from adjoint.compile.tape import Tape
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
