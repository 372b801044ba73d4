"""The kernel of a loop: it calls the body, a program of its own, once for each step.

The body reads a table of addresses like any program (`schedule`). The kernel has it on the stack, one for each part:
constants stay, rows of what the loop runs over and of what it stacks move on. Carries are the body's states, written in
place; they lie where the last of them are results, or in the scratch of the loop, where the arena of the body is, too.

If the body shares its work, all parts run the loop and meet after each step; else the first runs it alone. A step in
which a check failed is the last one, and says so in the status word of the program around it.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from adjoint.compiler.access import View, view
from adjoint.compiler.fuse import Group, Groups
from adjoint.compiler.integers import I32, I64, POINTER, declared, i64, times
from adjoint.compiler.kernels.loops import Loop, Part, at
from adjoint.compiler.kernels.nest import Nest
from adjoint.compiler.llvm import ir
from adjoint.compiler.pool import emit_barrier
from adjoint.compiler.program import Value
from adjoint.compiler.repeat import is_zero, parts

_BYTE: Final = ir.IntType(8)
_LINE: Final = 64


class Body(NamedTuple):
    """A program as a function of the module; whether it shares out its work, and may find something wrong."""

    function: Any
    schedule: Any
    is_shared: bool
    checks: bool


def scratch_bytes(groups: Groups, group: Group, body: Body) -> int:
    """What a loop needs beside its results: the arena of its body, and carries that are no results."""
    return _aligned(body.schedule.arena) + sum(map(_aligned, _homeless(groups, group).values()))


def _homeless(groups: Groups, group: Group) -> dict[int, int]:
    """Bytes of the carries whose last value nobody reads."""
    stored = {x.params["index"] for x in groups.stored(group) if x.kind == "result"}
    repeat = group.values[0]
    carries = enumerate(repeat.inputs[: repeat.params["carried"]])
    return {i: _bytes(x) for i, x in carries if i not in stored}


def _bytes(x: Value) -> int:
    return x.abstract.size * x.dtype.itemsize


def _aligned(size: int) -> int:
    return -(-size // _LINE) * _LINE


class Repeat:
    """The kernel of a loop; `shared`: all parts run it, else the first does."""

    def __init__(self, nest: Nest, part: Part, body: Body, scratch: int, *, shared: bool) -> None:
        self.nest: Final = nest
        self.part: Final = part
        self.body: Final = body
        self.shared: Final = shared
        self.value: Final = nest.group.values[0]
        self.builder: Final = nest.levels[0].builder
        self._scratch: Final = scratch
        self._results: Final = {x.params["index"]: x for x in nest.groups.stored(nest.group) if x.kind == "result"}

    def emit(self) -> None:
        """Write the kernel."""
        if self.shared:
            self._run(self.part)
            return
        with self.builder.if_then(self._is_first()):
            self._run(Part(self.part.table, i64(0), i64(1), self.part.barrier))

    def _is_first(self) -> Any:
        return self.builder.icmp_unsigned("==", self.part.index, i64(0))

    def _run(self, part: Part) -> None:
        table, (first, last) = self._table(), parts(self.value)
        carries = self._carries()
        status = self._at_scratch(0)
        self._fill(table, [(0, status), *enumerate(carries, 1)])
        self._fill(table, [(1 + i, self._address(self.value.inputs[i])) for i in range(last, len(self.value.inputs))])
        self._fill(table, [(self.body.schedule.places[x].slot, self.nest.pointer(x)) for x in self._constants()])
        moving = [(1 + i, *self._rows(self.value.inputs[i])) for i in range(first, last)]
        outputs = 1 + len(self.value.inputs)
        moving += [(outputs + i, *self._rows(x)) for i, x in self._results.items() if i >= first]
        self._start(carries, status)
        loop = Loop(self.builder, i64(0), i64(self.value.params["steps"]))
        inner, steps = loop.builder, self.value.params["steps"]
        row = inner.sub(i64(steps - 1), loop.index) if self.value.params["reverse"] else loop.index
        places = {slot: at(inner, start, times(inner, row, stride), _BYTE) for slot, start, stride in moving}
        for slot, place in places.items():
            inner.store(place, at(inner, table, i64(slot), POINTER))
        call = [table, part.index, part.count, part.barrier]
        guard = self.value.params["guard"]
        if guard is None:
            inner.call(self.body.function, call)
        else:
            place = carries[guard] if guard < first else places[1 + guard]
            self._guarded_call(inner, call, place, {i: places[outputs + i] for i in self._results if i >= first})
        self._after_step(inner, status)
        loop.close()

    def _guarded_call(self, inner: Any, call: list[Any], guard: Any, rows: dict[int, Any]) -> None:
        """Call the body if the guard says so, else fill rows of results with zeros."""
        holds = inner.icmp_unsigned("!=", inner.load(guard, typ=_BYTE), ir.Constant(_BYTE, 0))
        if self.shared:  # all parts look before the body writes it
            emit_barrier(inner, self.part.barrier, self.part.count)
        with inner.if_else(holds) as (then, otherwise):
            with then:
                inner.call(self.body.function, call)
            with otherwise, inner.if_then(inner.icmp_unsigned("==", call[1], i64(0))):
                for i, place in rows.items():
                    size = _bytes(self._results[i]) // self.value.params["steps"]
                    inner.call(_memset(inner), [place, ir.Constant(I32, 0), i64(size)])

    def _after_step(self, inner: Any, status: Any) -> None:
        """Meet, and end here if something was wrong; all parts look before any goes on."""
        if self.shared:
            emit_barrier(inner, self.part.barrier, self.part.count)
        if not self.body.checks:
            return
        with inner.if_then(inner.icmp_unsigned("!=", inner.load(status, typ=I64), i64(0)), likely=False):
            inner.store(i64(1), self.nest.status(inner), align=8)
            inner.ret_void()
        if self.shared:
            emit_barrier(inner, self.part.barrier, self.part.count)

    # --- addresses ----------------------------------------------------------------------------------------------------

    def _table(self) -> Any:
        """The table of the body, on the stack."""
        memory = ir.IRBuilder(self.builder.function.entry_basic_block)
        memory.position_at_start(self.builder.function.entry_basic_block)
        table = memory.alloca(ir.ArrayType(POINTER, self.body.schedule.slots))
        table.type = POINTER  # llvmlite's own is a typed pointer, which no other type may be stored to
        return table

    def _fill(self, table: Any, addresses: Any) -> None:
        for slot, address in addresses:
            self.builder.store(address, at(self.builder, table, i64(slot), POINTER))

    def _constants(self) -> list[Value]:
        """Constants of the body, which have places in the program around it, too."""
        return list(self.body.schedule.constants)

    def _at_scratch(self, offset: int) -> Any:
        arena = self.builder.load(self.part.table, typ=POINTER)
        return at(self.builder, arena, i64(self._scratch + offset), _BYTE)

    def _address(self, x: Value) -> Any:
        """Where a value begins."""
        if not x.abstract.size:
            return self._at_scratch(0)
        return self._beginning(view(x))

    def _beginning(self, place: View) -> Any:
        return at(self.builder, self.nest.pointer(place.base), i64(place.offset * place.base.dtype.itemsize), _BYTE)

    def _rows(self, x: Value) -> tuple[Any, int]:
        """Where the rows of a value begin, and the bytes from one to the next."""
        return self._address(x), view(x).strides[0] * x.dtype.itemsize

    def _carries(self) -> list[Any]:
        """Where the carries lie."""
        homeless, offset, found = _homeless(self.nest.groups, self.nest.group), _aligned(self.body.schedule.arena), []
        for i in range(self.value.params["carried"]):
            if i in homeless:
                found.append(self._at_scratch(offset))
                offset += _aligned(homeless[i])
            else:
                found.append(self.nest.pointer(self._results[i]))
        return found

    # --- the start ----------------------------------------------------------------------------------------------------

    def _start(self, carries: list[Any], status: Any) -> None:
        """The first carries to their places; nothing is wrong yet."""
        if not self.shared:
            self._copy_first(carries, status)
            return
        with self.builder.if_then(self._is_first()):
            self._copy_first(carries, status)
        emit_barrier(self.builder, self.part.barrier, self.part.count)

    def _copy_first(self, carries: list[Any], status: Any) -> None:
        builder = self.builder
        builder.store(i64(0), status, align=8)
        if self.value in self.nest.places:
            builder.store(i64(self.value.params["steps"]), self.nest.pointer(self.value), align=8)
        for x, target in zip(self.value.inputs, carries, strict=False):
            if is_zero(x):
                builder.call(_memset(builder), [target, ir.Constant(I32, 0), i64(_bytes(x))])
            elif x.abstract.size:
                copy = declared(builder, "memcpy", POINTER, [POINTER, POINTER, I64])
                builder.call(copy, [target, self._address(x), i64(_bytes(x))])


def _memset(builder: Any) -> Any:
    return declared(builder, "memset", POINTER, [POINTER, I32, I64])
