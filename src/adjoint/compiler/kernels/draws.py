"""Draws: uniform random numbers, the same bits as an eager draw has."""

from __future__ import annotations

from typing import Final

from adjoint.compiler.integers import i64, lane_mask
from adjoint.compiler.kernels import loops
from adjoint.compiler.kernels.loops import Loop, Part
from adjoint.compiler.kernels.nest import Nest
from adjoint.compiler.kernels.rows import bounds
from adjoint.compiler.philox import emit_uniform

#: Numbers that are drawn at a time: the latency of products hides behind other vectors.
_LANES: Final = 64
_WORD: Final = 2**64


def emit(nest: Nest, part: Part, *, shared: bool) -> None:
    """Write the kernel; `shared`: all parts do their share, else the first does it all."""
    (value,) = nest.group.values
    (counter,) = value.inputs
    entry, count = nest.levels[0].builder, value.abstract.size
    seed = value.params["seed"]
    key = (i64(seed % _WORD), i64(seed // _WORD))
    draw, target = nest.value(counter, ()), nest.pointer(value)
    loop = Loop(entry, *bounds(entry, -(-count // _LANES), part, shared))
    builder = loop.builder
    first = builder.mul(loop.index, i64(_LANES))
    numbers = emit_uniform(builder, key, draw, first, _LANES, value.dtype)
    rest = lane_mask(builder, _LANES, builder.sub(i64(count), first)) if count % _LANES else None
    loops.store(builder, value.dtype, numbers, loops.at(builder, target, first, numbers.type.element), rest)
    loop.close()
