"""How Python enters a program: with array objects, whose addresses native code reads itself.

`fill(table, objects …)` puts the address behind each array into the table of addresses. `update(table, objects …)` does
so for the arrays that change from call to call, which those of states do not; `call(table, objects …)` then also runs
the program, on the calling thread, and gives back the status word. Asking NumPy for addresses, or reading them in
Python, would cost more than a small program.

An array object has its address right behind what every object begins with. `IS_READABLE` says whether that is so here.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from adjoint.compiler.integers import I64, POINTER, VOID, i64
from adjoint.compiler.kernels.loops import at
from adjoint.compiler.llvm import Library, constant, ir

BEHIND_HEAD: Final = object.__basicsize__


def _is_readable() -> bool:
    base = np.arange(6.0)
    views = (base, base[2:], base.reshape(2, 3)[1], np.ones((), np.int8))
    word = ctypes.c_void_p.from_address
    return all(word(id(x) + BEHIND_HEAD).value == x.ctypes.data for x in views)


IS_READABLE: Final = _is_readable()


def emit_entry(module: ir.Module, count: int, changing: Sequence[int]) -> None:
    """The three functions for so many arrays, in the module of the program; `changing` are places among them."""
    for name, places in (("fill", range(count)), ("update", changing)):
        function = ir.Function(module, ir.FunctionType(VOID, [POINTER] * (1 + len(places))), name)
        builder = ir.IRBuilder(function.append_basic_block())
        _emit_fill(builder, function.args, places)
        builder.ret_void()
    call = ir.Function(module, ir.FunctionType(I64, [POINTER] * (1 + len(changing))), "call")
    builder = ir.IRBuilder(call.append_basic_block())
    _emit_fill(builder, call.args, changing)
    table = call.args[0]
    builder.call(module.globals["program"], [table, i64(0), i64(1), constant(POINTER, None)])
    arena = builder.load(table, typ=POINTER)
    status = builder.load(arena, typ=I64)
    builder.store(i64(0), arena)
    builder.ret(status)


def _emit_fill(builder: Any, arguments: Any, places: Sequence[int]) -> None:
    table, *objects = arguments
    for place, array in zip(places, objects, strict=True):
        address = builder.load(at(builder, array, i64(BEHIND_HEAD), ir.IntType(8)), typ=POINTER)
        builder.store(address, at(builder, table, i64(1 + place), POINTER))


def entered(library: Library, name: str, count: int) -> Any:
    """A function of the library that takes the table and this many arrays."""
    returns = ctypes.c_int64 if name == "call" else None
    kind = ctypes.CFUNCTYPE(returns, ctypes.c_void_p, *[ctypes.py_object] * count)
    return kind(library.address(name))
