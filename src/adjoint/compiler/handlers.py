"""The interpreter of tapes: native handlers for ops on single numbers, made of the ops' own rules.

Each op's forward rule, and its gradient rule for each pattern of inputs that gradients go to, is read by the words of
the lowering and becomes a few instructions on numbers. The interpreter is a loop with a jump table of them, compiled
once for each dtype; nothing is said here about any particular op.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

import numpy as np

from adjoint.abstract import Abstract
from adjoint.compiler.kernels import elements
from adjoint.compiler.llvm import Library, ir, object_code
from adjoint.compiler.lower import WORDS, Symbol, UnloweredError, lowered
from adjoint.compiler.mathematics import FUNCTIONS
from adjoint.compiler.prepare import ELEMENTWISE
from adjoint.compiler.program import BOOL, Builder, Program, Value
from adjoint.families import Elementwise
from adjoint.op import Op
from adjoint.tensor import Rule
from adjoint.vocabulary import REGISTRY

__all__ = ["FLOATS", "MOST_INPUTS", "Interpreter", "interpreter"]

_I32, _I64, _POINTER = ir.IntType(32), ir.IntType(64), ir.PointerType()
FLOATS: Final[Mapping[Any, Any]] = {np.dtype(np.float64): ir.DoubleType(), np.dtype(np.float32): ir.FloatType()}
#: An opcode is the number of the op times 8, plus a bit for each input that a gradient goes to.
MOST_INPUTS: Final = 3
#: Functions of a few instructions; the others are functions of the library, each there once.
_SHORT: Final = frozenset({"abs", "ceil", "floor", "round", "sqrt", "trunc"})


# --- primitives on numbers --------------------------------------------------------------------------------------------


def _emit(builder: Any, program: Program, given: Sequence[Any]) -> list[Any]:
    """The instructions of a program; its outputs."""
    held = dict(zip([x.number for x in program.inputs], given, strict=True))
    for value in program.values:
        if value.number not in held:
            held[value.number] = _emit_primitive(builder, value, [held[x.number] for x in value.inputs])
    return [held[x.number] for x in program.outputs]


def _emit_primitive(builder: Any, value: Value, inputs: list[Any]) -> Any:
    if value.kind == "constant":
        return elements.number(value.dtype, value.content.item())
    if value.kind in FUNCTIONS and value.kind not in _SHORT:
        return builder.call(
            _function(builder.module, value.kind, elements.in_register(value.dtype), len(inputs)), inputs
        )
    return elements.emit(builder, value, inputs)


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
    """Whether it is a primitive of numbers of one float dtype and of truth values."""
    if value.dtype != BOOL and value.dtype not in FLOATS:
        return False
    return value.kind in ("input", "constant") or (value.kind in ELEMENTWISE and elements.is_native(value))


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
    if count > MOST_INPUTS:
        raise UnloweredError(f"{op.name}: an instruction has {MOST_INPUTS} inputs at most, not {count}")
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
        number = at.builder.lshr(at.opcode, _I32(MOST_INPUTS))
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
        cases += [((number << MOST_INPUTS | p,), case(p, program)) for p, program in handler.backward.items()]
    with _walk(module, "backward", kind, 2, backward=True) as at:
        _emit_switch(at, at.opcode, cases)


def _positions(pattern: int) -> list[int]:
    return [i for i in range(MOST_INPUTS) if pattern >> i & 1]


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


class Interpreter:
    """The native functions for a set of ops on one dtype, and the opcodes of the ops."""

    def __init__(self, dtype: Any, ops: Mapping[Op, _Handler]) -> None:
        module = ir.Module()
        _emit_forward(module, FLOATS[dtype], list(ops.values()))
        _emit_backward(module, FLOATS[dtype], list(ops.values()))
        self._numbers = {op: number for number, op in enumerate(ops)}
        self._library = Library(object_code(module))
        word, address = ctypes.c_int64, ctypes.c_void_p
        self.forward = ctypes.CFUNCTYPE(None, address, word, address, word)(self._library.address("forward"))
        self.backward = ctypes.CFUNCTYPE(None, address, word, address, address, word)(self._library.address("backward"))

    def opcode(self, rule: Rule) -> int:
        """The number that stands for the op and the active inputs of a rule."""
        assert rule.op is not None, "a leaf has no opcode"
        return self._numbers[rule.op] << MOST_INPUTS | sum(1 << i for i, yes in enumerate(rule.active) if yes)


@cache
def _standard(dtype: Any) -> Interpreter:
    """For all ops of this library that are rules of numbers."""
    handlers = {}
    for op in REGISTRY.values():
        if op.__module__.startswith("adjoint."):
            try:
                handlers[op] = _handler(op, dtype)
            except UnloweredError:  # said when somebody wants it on a tape
                continue
    return Interpreter(dtype, handlers)


@lru_cache(maxsize=16)
def _special(dtype: Any, ops: tuple[Op, ...]) -> Interpreter:
    """For a graph with ops of a user."""
    return Interpreter(dtype, {op: _handler(op, dtype) for op in ops})


def interpreter(dtype: Any, ops: set[Op]) -> Interpreter:
    """The interpreter for ops on numbers of a dtype."""
    standard = _standard(dtype)
    missing = [op for op in ops if op not in standard._numbers]
    for op in missing:
        _handler(op, dtype)
    return _special(dtype, tuple(sorted(ops, key=lambda op: op.name))) if missing else standard
