"""How Python enters a program: with tuples of array objects, which native code reads itself.

`enter(desk, given, results)` looks whether the given arrays are as the program was made for, puts their addresses and
those of the results into the table of addresses, and runs the program on the calling thread, unless it shares its work.
It gives back the status word, or `MISFIT`; then nothing was run. `place(slot, arrays)` puts addresses into the table
from a slot on. Asking NumPy for shapes and addresses, or reading them in Python, would cost more than a small program.

The desk is a list of words: the table, the program (0 if it shares its work), where the results' addresses go, the type
of arrays, the number of those given, and of each its dtype object, its number of axes and its sizes.

An array object has its fields right behind what every object begins with, a tuple its items behind its length.
`IS_READABLE` says whether that is so here; if not, the same is done in Python.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from adjoint.compiler.integers import I32, I64, POINTER, VOID, i64
from adjoint.compiler.kernels import loops
from adjoint.compiler.llvm import constant, ir

#: What the program computes with: a dtype and a shape.
Kind = tuple[np.dtype[Any], tuple[int, ...]]
#: Status of a call with other arrays than the program was made for; a program's own is 0 or 1.
MISFIT: Final = -1
_BEHIND_HEAD: Final = object.__basicsize__
_ITEMS: Final = tuple.__basicsize__
#: What the native code depends on: the places of an object's own fields and of a tuple's items.
LAYOUT: Final = (_BEHIND_HEAD, _ITEMS)
_WORD: Final = ctypes.sizeof(ctypes.c_void_p)
#: Fields of an array object, in bytes.
_DATA, _AXES, _SIZES, _DTYPE, _FLAGS = (_BEHIND_HEAD + i * _WORD for i in (0, 1, 2, 5, 6))
_TYPE: Final = _BEHIND_HEAD - _WORD
#: Contiguous in C order, and aligned.
_PLAIN: Final = 0x101
#: Words of a desk.
_TABLE, _PROGRAM, _RESULTS, _CLASS, _COUNT, _KINDS = range(6)


def _is_readable() -> bool:
    base = np.arange(6.0)
    views = (base, base[2:], base.reshape(2, 3)[1], base[::2], np.ones((), np.int8), np.zeros((2, 0, 3), np.float32).T)
    word, number = ctypes.c_int64.from_address, ctypes.c_int32.from_address
    same = [word(id(views) + _BEHIND_HEAD).value == len(views)]
    same += [word(id(views) + _ITEMS + i * _WORD).value == id(x) for i, x in enumerate(views)]
    for x in views:
        start = id(x)
        same += [word(start + _TYPE).value == id(np.ndarray), word(start + _DATA).value == x.ctypes.data]
        same += [number(start + _AXES).value == x.ndim, word(start + _DTYPE).value == id(x.dtype)]
        same += [number(start + _FLAGS).value == x.flags.num]
        sizes = word(start + _SIZES).value
        same += [word(sizes + i * _WORD).value == n for i, n in enumerate(x.shape)]
    return all(same)


IS_READABLE: Final = _WORD == 8 and _is_readable()


def desk(table: int, program: int, results: int, kinds: Sequence[Kind]) -> Any:
    """The words for `enter`; a dtype's object lives as long as the process, or else no array fits."""
    words = [table, program, results, id(np.ndarray), len(kinds)]
    for dtype, shape in kinds:
        words += [id(np.dtype(dtype.char)), len(shape), *shape]
    return (ctypes.c_int64 * len(words))(*words)


def fits(given: Sequence[Any], kinds: Sequence[Kind]) -> bool:
    """What `enter` looks at, in Python."""
    if len(given) != len(kinds):
        return False
    for x, (dtype, shape) in zip(given, kinds, strict=True):
        if type(x) is not np.ndarray or x.dtype != dtype or x.shape != shape:
            return False
        if not (x.flags.c_contiguous and x.flags.aligned):
            return False
    return True


def place_slowly(slot: int, arrays: Sequence[Any]) -> None:
    """`place` where addresses cannot be read from array objects."""
    for i, x in enumerate(arrays):
        ctypes.c_void_p.from_address(slot + i * _WORD).value = x.ctypes.data


# --- the native code --------------------------------------------------------------------------------------------------


def emit_entry(module: ir.Module) -> None:
    """`place` and `enter`, in the module of what no program changes."""
    _emit_place(module)
    function = ir.Function(module, ir.FunctionType(I64, [POINTER] * 3), "enter")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    words, given, results = function.args
    table = _pointer(builder, words, _TABLE)
    _return_unless(builder, _is_equal(builder, _word(builder, given, _BEHIND_HEAD), _desk(builder, words, _COUNT)))
    _emit_look(builder, words, given)
    builder.call(module.globals["place"], [_at(builder, table, _WORD), given])
    builder.call(module.globals["place"], [_pointer(builder, words, _RESULTS), results])
    program = _desk(builder, words, _PROGRAM)
    with builder.if_then(builder.icmp_unsigned("==", program, i64(0))):
        builder.ret(i64(0))
    arena = builder.load(table, typ=POINTER)
    builder.store(i64(0), arena)
    kind = ir.FunctionType(VOID, [POINTER, I64, I64, POINTER])
    alone = [table, i64(0), i64(1), constant(POINTER, None)]
    builder.call(builder.inttoptr(program, kind.as_pointer()), alone)
    builder.ret(builder.load(arena, typ=I64))


def _emit_place(module: Any) -> None:
    function = ir.Function(module, ir.FunctionType(VOID, [POINTER] * 2), "place")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    slot, arrays = function.args
    with loops.loop(builder, i64(0), _word(builder, arrays, _BEHIND_HEAD)) as (inner, i):
        array = _item(inner, arrays, i)
        inner.store(_word(inner, array, _DATA), loops.at(inner, slot, i, I64))
    builder.ret_void()


def _emit_look(builder: Any, words: Any, given: Any) -> None:
    """Return `MISFIT` unless each given array is of its kind."""
    loop = loops.Loop(builder, i64(0), _desk(builder, words, _COUNT))
    inner, place = loop.builder, loop.carry(i64(_KINDS))
    array = _item(inner, given, loop.index)
    _return_unless(inner, _is_equal(inner, _word(inner, array, _TYPE), _desk(inner, words, _CLASS)))
    axes = inner.zext(inner.load(_at(inner, array, _AXES), typ=I32), I64)
    flags = inner.and_(inner.load(_at(inner, array, _FLAGS), typ=I32), ir.Constant(I32, _PLAIN))
    is_fit = inner.and_(
        _is_equal(inner, _word(inner, array, _DTYPE), _desk(inner, words, place)),
        _is_equal(inner, axes, _desk(inner, words, inner.add(place, i64(1)))),
    )
    _return_unless(inner, inner.and_(is_fit, inner.icmp_unsigned("==", flags, ir.Constant(I32, _PLAIN))))
    sizes = inner.inttoptr(_word(inner, array, _SIZES), POINTER)
    first = inner.add(place, i64(2))
    with loops.loop(inner, i64(0), axes) as (innermost, axis):
        size = innermost.load(loops.at(innermost, sizes, axis, I64), typ=I64)
        _return_unless(innermost, _is_equal(innermost, size, _desk(innermost, words, innermost.add(first, axis))))
    loop.close([inner.add(first, axes)])


def _return_unless(builder: Any, condition: Any) -> None:
    with builder.if_then(builder.not_(condition), likely=False):
        builder.ret(i64(MISFIT))


def _is_equal(builder: Any, x: Any, y: Any) -> Any:
    return builder.icmp_unsigned("==", x, y)


def _at(builder: Any, pointer: Any, offset: int) -> Any:
    return loops.at(builder, pointer, i64(offset), ir.IntType(8))


def _word(builder: Any, pointer: Any, offset: int) -> Any:
    return builder.load(_at(builder, pointer, offset), typ=I64)


def _desk(builder: Any, words: Any, place: Any) -> Any:
    index = i64(place) if isinstance(place, int) else place
    return builder.load(loops.at(builder, words, index, I64), typ=I64)


def _pointer(builder: Any, words: Any, place: int) -> Any:
    return builder.inttoptr(_desk(builder, words, place), POINTER)


def _item(builder: Any, arrays: Any, i: Any) -> Any:
    return builder.load(loops.at(builder, _at(builder, arrays, _ITEMS), i, POINTER), typ=POINTER)
