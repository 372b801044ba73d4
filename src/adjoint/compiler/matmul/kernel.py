"""The micro-kernel: one register tile of C, `rows` × `vectors` accumulators, over a run of k.

It is an internal function, looked up in the module by a name that says everything it depends on, so all products of a
program share it; a product of one tile has it inline. Strides come at run time; only whether the rows of A are adjacent
is part of the name, because then each broadcast has a constant offset. With pairs of bfloat16 numbers it is the same
kernel, another multiply-add.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from adjoint.compiler.integers import I64, declared, i64, lane_mask
from adjoint.compiler.llvm import ir
from adjoint.compiler.matmul.loops import accumulating, advanced, element, float_type, internal_function, masked_load
from adjoint.compiler.matmul.pairs import PAIRS, fused_pairs, zipped
from adjoint.compiler.matmul.tiling import shortest

__all__ = ["Kernel", "Strip", "emit_kernel", "kernel_function"]

_POINTER = ir.PointerType()


class Kernel(NamedTuple):
    """What a micro-kernel is specialised on.

    `valid`: lanes of the last vector of B that are in bounds. `resumes`: sums go on from those in the tile. `pairs`: A
    and B have pairs of bfloat16 numbers; `zips`: those of B are made here, of rows of float32, two for each step.
    """

    dtype: str
    lanes: int
    rows: int
    vectors: int
    adjacent: bool
    valid: int
    resumes: bool
    pairs: bool = False
    zips: bool = False

    @property
    def name(self) -> str:
        """The function's name in the module."""
        kinds = ("_adjacent" if self.adjacent else "") + ("_resumes" if self.resumes else "")
        kinds += f"_{self.valid}" if self.valid < self.lanes else ""
        kinds += ("_pairs" if self.pairs else "") + ("_zips" if self.zips else "")
        return f"product_{self.dtype}_{self.rows}x{self.vectors}x{self.lanes}{kinds}"

    @property
    def vector(self) -> Any:
        """The IR type of a vector of sums."""
        return ir.VectorType(float_type(self.dtype), self.lanes)

    @property
    def kinds(self) -> list[Any]:
        """The IR types of the vectors of a row of sums: the last is as short as what is valid of it allows."""
        tail = self.lanes if self.pairs else shortest(self.valid)
        return [*[self.vector] * (self.vectors - 1), ir.VectorType(float_type(self.dtype), tail)]

    @property
    def operands(self) -> list[Any]:
        """The IR types of the vectors of a row of B."""
        return [PAIRS] * self.vectors if self.pairs else self.kinds

    @property
    def step(self) -> int:
        """Bytes of a vector."""
        return self.lanes * element(float_type(self.dtype))


class Strip(NamedTuple):
    """Run-time arguments: the tile's rows of A, its columns of B, how far k goes, and the tile; strides in bytes."""

    a: Any
    a_row: Any
    a_column: Any
    b: Any
    b_row: Any
    k: Any
    tile: Any


def kernel_function(module: Any, kernel: Kernel) -> Any:
    """The function with the arguments of a `Strip`."""

    def emit(builder: Any, *arguments: Any) -> None:
        emit_kernel(builder, kernel, Strip(*arguments))

    return internal_function(module, kernel.name, [_POINTER, I64, I64, _POINTER, I64, I64, _POINTER], emit)


def emit_kernel(builder: Any, kernel: Kernel, strip: Strip) -> None:
    """The tile's sums, to memory: row after row, without gaps."""

    def multiply(carried: list[Any]) -> list[Any]:
        left, right, sums = carried[0], carried[1], carried[2:]
        columns = _columns(builder, kernel, right, strip.b_row)
        fused = fused_pairs if kernel.pairs else _fused
        following = []
        for index, pointer in enumerate(_rows(builder, kernel, left, strip.a_row)):
            mine = sums[index * kernel.vectors : (index + 1) * kernel.vectors]
            value = _element(builder, kernel.operands[0].element, pointer)
            spread = {kind.count: _spread(builder, kind, value) for kind in kernel.operands}
            following += [
                fused(builder, spread[x.type.count], x, total) for x, total in zip(columns, mine, strict=True)
            ]
        return [advanced(builder, left, strip.a_column), advanced(builder, right, strip.b_row), *following]

    kinds = kernel.kinds * kernel.rows
    places = [advanced(builder, strip.tile, i64(kernel.step * index)) for index in range(kernel.rows * kernel.vectors)]
    if kernel.resumes:
        held = [builder.load(place, typ=kind, align=kernel.step) for place, kind in zip(places, kinds, strict=True)]
    else:
        held = [ir.Constant(kind, None) for kind in kinds]
    sums = accumulating(builder, strip.k, [strip.a, strip.b, *held], multiply)[2:]
    for total, place in zip(sums, places, strict=True):
        builder.store(_whole(builder, total, kernel.lanes), place, align=kernel.step)


def _columns(builder: Any, kernel: Kernel, right: Any, b_row: Any) -> list[Any]:
    """A row of B; of pairs."""
    if not kernel.zips:
        return _row(builder, kernel, kernel.operands, right)
    later = advanced(builder, right, builder.ashr(b_row, i64(1)))
    both = (_row(builder, kernel, [kernel.vector] * kernel.vectors, pointer) for pointer in (right, later))
    return [zipped(builder, *vectors) for vectors in zip(*both, strict=True)]


def _row(builder: Any, kernel: Kernel, kinds: list[Any], right: Any) -> list[Any]:
    itemsize = element(kinds[0].element)
    pointers = [advanced(builder, right, i64(index * kernel.step)) for index in range(kernel.vectors)]
    pairs = zip(pointers, kinds, strict=True)
    if kernel.valid == kinds[-1].count:
        return [builder.load(pointer, typ=kind, align=itemsize) for pointer, kind in pairs]
    *loaded, (pointer, kind) = pairs
    mask = lane_mask(builder, kind.count, i64(kernel.valid))
    loaded = [builder.load(pointer, typ=kind, align=itemsize) for pointer, kind in loaded]
    return [*loaded, masked_load(builder, kind, pointer, mask)]


def _rows(builder: Any, kernel: Kernel, left: Any, a_row: Any) -> list[Any]:
    """Where each row's element of A is."""
    if kernel.adjacent:
        itemsize = element(kernel.vector.element)
        return [advanced(builder, left, i64(row * itemsize)) for row in range(kernel.rows)]
    pointers = [left]
    for _ in range(kernel.rows - 1):
        pointers.append(advanced(builder, pointers[-1], a_row))
    return pointers


def _element(builder: Any, kind: Any, pointer: Any) -> Any:
    return builder.load(pointer, typ=kind, align=element(kind))


def _spread(builder: Any, vector: Any, value: Any) -> Any:
    """The value in every lane."""
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), vector.count), None))


def _whole(builder: Any, vector: Any, lanes: int) -> Any:
    """The vector with zeros after it, as many lanes as asked for."""
    if vector.type.count == lanes:
        return vector
    zeros = ir.Constant(vector.type, None)
    order = [min(lane, vector.type.count) for lane in range(lanes)]
    return builder.shuffle_vector(vector, zeros, ir.Constant(ir.VectorType(ir.IntType(32), lanes), order))


def _fused(builder: Any, x: Any, y: Any, total: Any) -> Any:
    """x·y + total, rounded once."""
    name = f"llvm.fma.v{total.type.count}f{8 * element(total.type.element)}"
    return builder.call(declared(builder, name, total.type, [total.type] * 3), [x, y, total])
