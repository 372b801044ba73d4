"""Rules that bring a program into the form that kernels are made from; each keeps every bit of a result.

Afterwards a reduction goes over one axis, long ones in slices of fixed size (their order of summing is a matter of
shape alone), products have matrices for operands, and nothing is computed on more elements than it differs on.
"""

from __future__ import annotations

from math import prod
from typing import Final

import numpy as np

from adjoint.abstract import Abstract
from adjoint.compiler.access import view
from adjoint.compiler.program import BINARY, COMPARISONS, REDUCTIONS, UNARY, Builder, Program, Value
from adjoint.compiler.repeat import in_memory
from adjoint.compiler.simplify import Rule

#: Elements of a slice of a long reduction.
SLICE: Final = 8192
#: A reduction over fewer rows than this is too few pieces of work, so its lanes are sliced.
FEW_ROWS: Final = 8
ELEMENTWISE: Final = frozenset((*UNARY, *BINARY, *COMPARISONS, "where", "cast", "copied", "bfloat16"))


def nothing_computed(builder: Builder, value: Value) -> Value | None:
    """What has no elements is known now."""
    if value.abstract.size or not value.inputs:
        return None
    return builder.constant(np.empty(value.shape, value.dtype))


def implicit_broadcast(builder: Builder, value: Value) -> Value | None:
    """An operand that is repeated only to fit the others need not be; if all are, the result is repeated instead."""
    if value.kind not in ELEMENTWISE:
        return None
    inputs = tuple(x.inputs[0] if x.kind == "broadcast" else x for x in value.inputs)
    if inputs == value.inputs:
        return None
    shape = np.broadcast_shapes(*(x.shape for x in inputs))
    abstract = value.abstract
    small = builder.make(value.kind, inputs, value.params, Abstract(shape, abstract.dtype, abstract.weak))
    return small if shape == value.shape else builder.make("broadcast", (small,), {"shape": value.shape}, abstract)


def relu_mask(builder: Builder, value: Value) -> Value | None:
    """max(x, c) > c in place of x > c, where the maximum is computed anyhow: x itself is then needed no more."""
    if value.kind != "greater":
        return None
    x, c = value.inputs
    larger = builder.known("maximum", (x, c))
    if larger is None or larger.shape != x.shape:
        return None
    return builder.make("greater", (larger, c), {}, value.abstract)


def one_axis_at_a_time(builder: Builder, value: Value) -> Value | None:
    """A reduction over several axes as one after the other, the last axis first; over axes of size 1, none at all."""
    if value.kind not in REDUCTIONS or "length" in value.params or value.abstract.size == 0:
        return None
    (x,) = value.inputs
    axes = value.params["axis"]
    if x.abstract.size == 0:
        return None
    moving = tuple(a for a in axes if x.shape[a] != 1)
    if not moving:
        return _unchanged(builder, value, x)
    if len(moving) == 1:
        return None if moving == axes else _reduced(builder, value, x, moving)
    return _reduced(builder, value, _normal(builder, _reduced(builder, value, x, moving[-1:])), moving[:-1])


def _unchanged(builder: Builder, value: Value, x: Value) -> Value:
    if value.kind == "sum" and value.dtype.kind == "f":  # −0 alone has the sum 0
        return builder.make("add", (x, builder.constant(np.zeros((), x.dtype))), {}, value.abstract)
    return x if x.dtype == value.dtype else builder.make("cast", (x,), {"dtype": value.dtype}, value.abstract)


def _reduced(builder: Builder, value: Value, x: Value, axes: tuple[int, ...]) -> Value:
    x = builder.cast(x, value.dtype)
    shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    return builder.make(value.kind, (x,), {"axis": axes, "keepdims": True}, Abstract(shape, value.dtype))


def same_dtype(builder: Builder, value: Value) -> Value | None:
    """A reduction whose result has another dtype casts first: integers and bools are summed in their result's."""
    if value.kind not in REDUCTIONS or value.inputs[0].dtype == value.dtype:
        return None
    x = builder.cast(value.inputs[0], value.dtype)
    return builder.make(value.kind, (x,), value.params, value.abstract)


def in_slices(builder: Builder, value: Value) -> Value | None:
    """A long reduction with few rows: over slices first, then over their results."""
    if value.kind not in REDUCTIONS or "length" in value.params or len(value.params["axis"]) != 1:
        return None
    (x,), (axis,) = value.inputs, value.params["axis"]
    size = x.shape[axis]
    inner = prod(x.shape[axis + 1 :])
    if inner == 1:
        if size < 2 * SLICE or x.abstract.size // size >= FEW_ROWS:
            return None
        length = SLICE
    else:  # down the rows of a matrix: each slice is a few columns' worth of work
        if size * inner < 16 * SLICE or inner >= SLICE or size < 64:
            return None
        length = max(32, SLICE // inner)
    shape = (*x.shape[:axis], -(-size // length), *x.shape[axis + 1 :])
    params = {"axis": (axis,), "keepdims": True, "length": length}
    parts = builder.make(value.kind, (x,), params, Abstract(shape, value.dtype))
    return builder.make(value.kind, (parts,), {"axis": (axis,), "keepdims": True}, value.abstract)


def matrix_operands(builder: Builder, value: Value) -> Value | None:
    """A vector operand of a product as a matrix of one row or column."""
    if value.kind != "matmul":
        return None
    x, y = value.inputs
    if len(x.shape) > 1 and len(y.shape) > 1:
        return None
    wide = x if len(x.shape) > 1 else builder.shaped("reshape", x, shape=(1, *x.shape))
    tall = y if len(y.shape) > 1 else builder.shaped("reshape", y, shape=(*y.shape, 1))
    product = _normal(builder, builder.shaped("matmul", wide, tall))
    return product if product.shape == value.shape else builder.shaped("reshape", product, shape=value.shape)


def other_products(builder: Builder, value: Value) -> Value | None:
    """A product of integers or bools: products of elements, then a sum; of floats over nothing: zeros."""
    if value.kind != "matmul" or min(len(x.shape) for x in value.inputs) < 2:
        return None
    x, y = value.inputs
    if value.dtype.kind == "f":
        return None
    columns = builder.shaped("transpose", y, axes=(*range(len(y.shape) - 2), len(y.shape) - 1, len(y.shape) - 2))
    left = builder.shaped("reshape", x, shape=(*x.shape[:-1], 1, x.shape[-1]))
    right = builder.shaped("reshape", columns, shape=(*columns.shape[:-2], 1, *columns.shape[-2:]))
    kind = "multiply" if value.dtype.kind in "iu" else "and_"
    terms = builder.elementwise(kind, left, right)
    total = Abstract((*terms.shape[:-1], 1), value.dtype)
    axis = (len(terms.shape) - 1,)
    reduced = builder.make("sum" if kind == "multiply" else "any", (terms,), {"axis": axis, "keepdims": True}, total)
    return builder.shaped("reshape", _normal(builder, reduced), shape=value.shape)


def places_last(builder: Builder, value: Value) -> Value | None:
    """The place of the largest along the last axis; over all axes: in a row of all elements; of one element: 0."""
    if value.kind not in ("argmax", "argmin"):
        return None
    (x,), axis = value.inputs, value.params["axis"]
    if axis is None:
        return builder.shaped(value.kind, builder.shaped("reshape", x, shape=(x.abstract.size,)), axis=0)
    if x.shape[axis] == 1:
        return _repeated(builder, 0, value.abstract)
    last = len(x.shape) - 1
    if axis == last:
        return None
    order = (*(i for i in range(last + 1) if i != axis), axis)
    return builder.shaped(value.kind, builder.shaped("transpose", x, axes=order), axis=last)


def nothing_reduced(builder: Builder, value: Value) -> Value | None:
    """A reduction, product or sum of rows over no elements: the number that it starts from, everywhere."""
    if value.kind not in (*REDUCTIONS, "matmul", "scatter", "unslice") or value.abstract.size == 0:
        return None
    if all(x.abstract.size for x in value.inputs):
        return None
    return _repeated(builder, 1 if value.kind == "all" else 0, value.abstract)


def _repeated(builder: Builder, content: int, abstract: Abstract) -> Value:
    """A number everywhere."""
    number = builder.constant(np.asarray(content, abstract.dtype))
    return number if abstract.shape == () else builder.make("broadcast", (number,), {"shape": abstract.shape}, abstract)


NORMAL: Final[tuple[Rule, ...]] = (
    nothing_computed,
    nothing_reduced,
    implicit_broadcast,
    relu_mask,
    same_dtype,
    places_last,
    one_axis_at_a_time,
    in_slices,
    matrix_operands,
    other_products,
)


def _normal(builder: Builder, value: Value) -> Value:
    """What the rules make of a primitive that one of them has made on the way to its own result."""
    for rule in NORMAL:
        other = rule(builder, value)
        if other is not None and other is not value:
            return _normal(builder, other)
    return value


def with_own_results(program: Program) -> Program:
    """Every output has memory of its own: what is given, a part of something or returned before is copied. So it is in
    the bodies of loops, whose inputs lie in memory in their order.
    """
    builder, new, taken = Builder(), dict[int, Value](), set[Value]()
    for value in program.values:
        inputs = [new[x.number] for x in value.inputs]
        if value.kind == "repeat":
            body = with_own_results(value.params["body"])
            new[value.number] = builder.repeat(in_memory(builder, value, inputs), {**value.params, "body": body})
        else:
            new[value.number] = builder.copied(value, inputs)
        new[value.number].origin = value.origin
    outputs = []
    for output in program.outputs:
        x = new[output.number]
        place = view(x)
        if place.base.kind in ("input", "constant") or not place.whole or place.base in taken:
            x = builder.separate("copied", x)
        taken.add(view(x).base)
        outputs.append(x)
    return builder.program([new[x.number] for x in program.inputs], outputs)
