"""Many steps in one call: minibatches are gathered by native code, and each is run through the program.

The driver is one native function for all programs, itself run by the pool. Its table holds what changes from call to
call; where there are `count` arrays to gather and `results` to keep, it reads

    program, its table, order, steps, batch, count, results,
    (source, bytes of a row, gathered rows) for each array,
    (what the program wrote, bytes, where to keep it) for each result

It stops after the step in which a check failed, and leaves the number of whole steps in the place of `steps`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from adjoint.compiler.integers import I64, POINTER, VOID, declared, i64
from adjoint.compiler.kernels import loops
from adjoint.compiler.kernels.loops import Loop, at
from adjoint.compiler.llvm import Library, ir
from adjoint.compiler.own_code import own_code
from adjoint.compiler.pool import emit_barrier

if TYPE_CHECKING:
    from adjoint.compiler.native import Native

#: Seconds of native code after which Python has its turn: Ctrl-C, progress, callbacks.
TURN: Final = 0.05
_PROGRAM, _TABLE, _ORDER, _STEPS, _BATCH, _COUNT, _RESULTS, _LISTS = range(8)


def _driver_module() -> ir.Module:
    module = ir.Module("adjoint.epochs")
    function = ir.Function(module, ir.FunctionType(VOID, [POINTER, I64, I64, POINTER]), "epochs")
    table, part, parts, barrier = function.args
    memory = ir.IRBuilder(function.append_basic_block("entry"))
    fields = [_word(memory, table, i) for i in range(_LISTS)]
    pointers = {i: memory.inttoptr(fields[i], POINTER) for i in (_TABLE, _ORDER)}
    loop = Loop(memory, i64(0), fields[_STEPS])
    builder, step = loop.builder, loop.index
    _emit_gather(builder, table, fields, pointers[_ORDER], (step, part, parts))
    emit_barrier(builder, barrier, parts)
    kind = ir.FunctionType(VOID, [POINTER, I64, I64, POINTER])
    builder.call(builder.inttoptr(fields[_PROGRAM], kind.as_pointer()), [pointers[_TABLE], part, parts, barrier])
    emit_barrier(builder, barrier, parts)
    status = builder.load(builder.load(pointers[_TABLE], typ=POINTER), typ=I64)
    with builder.if_then(builder.icmp_unsigned("!=", status, i64(0)), likely=False):
        with builder.if_then(builder.icmp_unsigned("==", part, i64(0))):
            builder.store(step, at(builder, table, i64(_STEPS), I64))
        builder.ret_void()
    with builder.if_then(builder.icmp_unsigned("==", part, i64(0))):
        _emit_keep(builder, table, fields, step)
    loop.close()
    memory.ret_void()
    return module


def _word(builder: Any, table: Any, index: Any) -> Any:
    place = i64(index) if isinstance(index, int) else index
    return builder.load(at(builder, table, place, I64), typ=I64)


def _emit_gather(builder: Any, table: Any, fields: list[Any], order: Any, place: tuple[Any, Any, Any]) -> None:
    """This part's share of the batch's rows, of every array."""
    step, part, parts = place
    first = builder.udiv(builder.mul(part, fields[_BATCH]), parts)
    last = builder.udiv(builder.mul(builder.add(part, i64(1)), fields[_BATCH]), parts)
    with loops.loop(builder, i64(0), fields[_COUNT]) as (outer, number):
        begin = outer.add(i64(_LISTS), outer.mul(number, i64(3)))
        source, size, target = (_word(outer, table, outer.add(begin, i64(i))) for i in range(3))
        with loops.loop(outer, first, last) as (inner, row):
            index = inner.load(at(inner, order, inner.add(inner.mul(step, fields[_BATCH]), row), I64), typ=I64)
            _copy(inner, inner.add(target, inner.mul(row, size)), inner.add(source, inner.mul(index, size)), size)


def _emit_keep(builder: Any, table: Any, fields: list[Any], step: Any) -> None:
    """The results of a step, to their places."""
    lists = builder.add(i64(_LISTS), builder.mul(fields[_COUNT], i64(3)))
    with loops.loop(builder, i64(0), fields[_RESULTS]) as (inner, number):
        begin = inner.add(lists, inner.mul(number, i64(3)))
        source, size, target = (_word(inner, table, inner.add(begin, i64(i))) for i in range(3))
        _copy(inner, inner.add(target, inner.mul(step, size)), source, size)


def _copy(builder: Any, target: Any, source: Any, size: Any) -> None:
    copy = declared(builder, "memcpy", POINTER, [POINTER, POINTER, I64])
    builder.call(copy, [builder.inttoptr(target, POINTER), builder.inttoptr(source, POINTER), size])


@cache
def _driver() -> tuple[int, Library]:
    library = Library(own_code("adjoint.epochs", _driver_module))
    return library.address("epochs"), library


class Steps(NamedTuple):
    """A run of steps that are done: the first one's number, how many, and whether a check failed in the one after."""

    first: int
    number: int
    failed: bool


def epochs(
    native: Native, order: Any, sources: Sequence[Any], arrays: Sequence[Any], results: Sequence[tuple[Any, Any]]
) -> Iterator[Steps]:
    """Run the program once for each row of `order`, and come back at least every tenth of a second.

    `arrays` are those of the program's inputs and outputs; the first ones, as many as there are `sources`, are filled
    with rows of the sources. `results` are pairs of an output's array and the array that keeps it for every step.
    """
    address, _ = _driver()
    memory = native.memory(arrays)
    lists = [w for s, a in zip(sources, arrays, strict=False) for w in (s.ctypes.data, s[:1].nbytes, a.ctypes.data)]
    total, batch = order.shape
    done, count = 0, native.steps_a_turn
    while done < total:
        count = min(count, total - done)
        kept = [w for x, k in results for w in (x.ctypes.data, x.nbytes, k[done:].ctypes.data)]
        words = [native.program, memory.address, order[done:].ctypes.data, count, batch, len(sources), len(results)]
        table = (ctypes.c_int64 * (len(words) + len(lists) + len(kept)))(*words, *lists, *kept)
        seconds = native.crew.run(address, ctypes.addressof(table), native.threads, count)
        failed = bool(memory.status.value)
        memory.status.value = 0
        yield Steps(done, table[_STEPS] if failed else count, failed)
        if failed:
            return
        done += count
        native.steps_a_turn = count = max(1, min(4 * count, int(count * TURN / max(seconds, 1e-7))))
