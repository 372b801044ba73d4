"""From ops to primitives: the forward rule of each op, read once more, by words that build a program.

A rule is written in the words `m`; here they take `Symbol`s, which stand for values of a program, and add primitives to
it. Nothing is said about any particular op, so a new op compiles as soon as its rule uses these words. A rule that says
another word, or does something else in Python than saying words, is not lowered: `UnloweredError`, and the op becomes
a primitive of its own that NumPy computes between native segments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, Final

import numpy as np

from adjoint.abstract import Abstract
from adjoint.compiler.program import BINARY, COMPARISONS, REDUCTIONS, UNARY, Builder, Program, Value
from adjoint.compiler.trace import Traced
from adjoint.errors import TraceError
from adjoint.families import Elementwise, Reduction
from adjoint.leaves import State
from adjoint.op import Op
from adjoint.recording import decode_origin, here
from adjoint.tensor import Tensor
from adjoint.vocabulary import ARRAYS, REGISTRY, Words, forward_as_word, is_basic_index, over_axis


class UnloweredError(Exception):
    """A rule that cannot be read as primitives; the text says why."""


def _binary(kind: str) -> Callable[[Any, Any], Symbol]:
    return lambda a, b: _elementwise(kind, a, b)


def _reflected(kind: str) -> Callable[[Any, Any], Symbol]:
    return lambda a, b: _elementwise(kind, b, a)


class Symbol:
    """An operand of a rule that is being lowered: a value of the program that `builder` makes."""

    __slots__ = ("builder", "value")
    __array_ufunc__ = None

    def __init__(self, builder: Builder, value: Value) -> None:
        self.builder = builder
        self.value = value

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self.value.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy dtype."""
        return self.value.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.value.shape)

    def __len__(self) -> int:
        return self.value.shape[0]

    def __bool__(self) -> bool:
        raise UnloweredError("it asks in Python for the truth of a value")

    __add__, __radd__ = _binary("add"), _reflected("add")
    __sub__, __rsub__ = _binary("subtract"), _reflected("subtract")
    __mul__, __rmul__ = _binary("multiply"), _reflected("multiply")
    __truediv__, __rtruediv__ = _binary("divide"), _reflected("divide")
    __lt__, __le__, __gt__, __ge__ = map(_binary, ("less", "less_equal", "greater", "greater_equal"))
    __eq__, __ne__ = _binary("equal"), _binary("not_equal")  # type: ignore[assignment]

    def __neg__(self) -> Symbol:
        return _elementwise("negative", self)

    __hash__ = None  # type: ignore[assignment]


def _builder_of(xs: Sequence[Any]) -> Builder:
    for x in xs:
        if isinstance(x, Symbol):
            return x.builder
    raise UnloweredError("a word has only plain numbers as operands")


def _operands(xs: Sequence[Any]) -> tuple[Builder, list[Value]]:
    builder = _builder_of(xs)
    return builder, [x.value if isinstance(x, Symbol) else builder.constant(x) for x in xs]


def _elementwise(kind: str, *xs: Any) -> Symbol:
    builder, values = _operands(xs)
    try:
        return Symbol(builder, builder.elementwise(kind, *values))
    except TypeError as error:  # NumPy has no such operation for these dtypes
        raise UnloweredError(str(error)) from None


def _unary_or_more(kind: str) -> Callable[..., Symbol]:
    return lambda *xs: _elementwise(kind, *xs)


def _where(condition: Any, x: Any, y: Any) -> Symbol:
    builder, values = _operands((condition, x, y))
    return Symbol(builder, builder.where(*values))


def _reduction(kind: str) -> Callable[..., Symbol]:
    def word(x: Any, axis: Any = None, keepdims: bool = False) -> Symbol:
        builder, (value,) = _operands((x,))
        axes = _axes(len(value.shape), axis)
        kept = builder.reduce(kind, value, axes)
        shape = kept.shape if keepdims else tuple(n for i, n in enumerate(value.shape) if i not in axes)
        return Symbol(builder, _reshaped(builder, kept, shape))

    return word


def _axes(rank: int, axis: Any) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(rank))
    return tuple(sorted(int(a) % rank for a in (axis if isinstance(axis, tuple | list) else (axis,))))


def _reshaped(builder: Builder, x: Value, shape: Any) -> Value:
    sizes = [int(n) for n in (shape if isinstance(shape, tuple | list) else (shape,))]
    if -1 in sizes:
        rest = math.prod(n for n in sizes if n != -1)
        sizes[sizes.index(-1)] = x.abstract.size // rest if rest else 0
    return x if tuple(sizes) == x.shape else builder.shaped("reshape", x, shape=tuple(sizes))


def _shaped(kind: str) -> Callable[..., Symbol]:
    def word(x: Any, **params: Any) -> Symbol:
        builder, (value,) = _operands((x,))
        return Symbol(builder, builder.shaped(kind, value, **params))

    return word


def _reshape(x: Any, shape: Any) -> Symbol:
    builder, (value,) = _operands((x,))
    return Symbol(builder, _reshaped(builder, value, shape))


def _transpose(x: Any, axes: Any = None) -> Symbol:
    rank = len(x.shape)
    order = tuple(reversed(range(rank))) if axes is None else tuple(a % rank for a in axes)
    return _shaped("transpose")(x, axes=order)


def _matrix_transpose(x: Any) -> Symbol:
    rank = len(x.shape)
    return _transpose(x, (*range(rank - 2), rank - 1, rank - 2))


def _broadcast(x: Any, shape: Any) -> Symbol:
    return _shaped("broadcast")(x, shape=tuple(shape) if isinstance(shape, tuple | list) else (shape,))


def _cast(x: Any, dtype: Any) -> Symbol:
    builder, (value,) = _operands((x,))
    return Symbol(builder, builder.cast(value, dtype))


def _matmul(x: Any, y: Any) -> Symbol:
    builder, values = _operands((x, y))
    dtype = np.result_type(*(v.dtype for v in values))
    return Symbol(builder, builder.shaped("matmul", *(builder.cast(v, dtype) for v in values)))


def _concatenate(*xs: Any, axis: int) -> Symbol:
    builder, values = _operands(xs)
    dtype = np.result_type(*(v.dtype for v in values))
    parts = [builder.cast(v, dtype) for v in values]
    return Symbol(builder, builder.shaped("concatenate", *parts, axis=axis % len(parts[0].shape)))


def _stack(*xs: Any, axis: int) -> Symbol:
    place = axis % (len(xs[0].shape) + 1)
    rows = [_reshape(x, (*x.shape[:place], 1, *x.shape[place:])) for x in xs]
    return _concatenate(*rows, axis=place)


def _arg(kind: str) -> Callable[..., Symbol]:
    return lambda x, axis=None: _shaped(kind)(x, axis=axis if axis is None else axis % len(x.shape))


# --- indexing: everything but slices becomes rows of a flat array, chosen by their number ---------------------------


def _flat_places(shape: tuple[int, ...], key: Any) -> Any:
    return np.arange(math.prod(shape)).reshape(shape)[key]


def _getitem(x: Any, key: Any) -> Symbol:
    if is_basic_index(key):
        return _shaped("slice")(x, key=key)
    builder, (value,) = _operands((x,))
    flat = _reshaped(builder, value, (value.abstract.size,))
    return Symbol(builder, builder.shaped("gather", flat, builder.constant(_flat_places(value.shape, key))))


def _scatter_add(x: Any, key: Any, shape: tuple[int, ...]) -> Symbol:
    builder, (value,) = _operands((x,))
    if is_basic_index(key):
        return Symbol(builder, builder.shaped("unslice", value, key=key, shape=tuple(shape)))
    places = builder.constant(_flat_places(tuple(shape), key).ravel())
    wanted = np.empty(shape, np.int8)[key].shape
    rows = _reshaped(builder, builder.shaped("broadcast", value, shape=wanted), (math.prod(wanted),))
    flat = builder.shaped("scatter", rows, places, size=math.prod(shape))
    return Symbol(builder, _reshaped(builder, flat, shape))


def _first(x: Any, axis: int) -> Symbol:
    """x with an axis moved to the front."""
    return _transpose(x, (axis, *(i for i in range(len(x.shape)) if i != axis)))


def _counted(indices: Any, size: int) -> Any:
    """Indices from 0 on: negative ones count from the end."""
    return _where(indices < 0, indices + np.asarray(size, indices.dtype), indices)


def _take(x: Any, indices: Any, axis: int) -> Symbol:
    rank, extra = len(x.shape), len(indices.shape)
    place = axis % rank
    builder, (rows, numbers) = _operands((_first(x, place), _counted(indices, x.shape[place])))
    taken = Symbol(builder, builder.shaped("gather", rows, numbers))
    order = (*range(extra, extra + place), *range(extra), *range(extra + place, extra + rank - 1))
    return _transpose(taken, order)


def _index_add(x: Any, indices: Any, axis: int, size: int) -> Symbol:
    extra, rank = len(indices.shape), len(x.shape) - len(indices.shape) + 1
    place = axis % rank
    order = (*range(place, place + extra), *range(place), *range(place + extra, len(x.shape)))
    rows = _transpose(x, order)
    flat = _reshape(rows, (math.prod(indices.shape), *rows.shape[extra:]))
    builder, values = _operands((flat, _reshape(_counted(indices, size), (math.prod(indices.shape),))))
    added = Symbol(builder, builder.shaped("scatter", *values, size=size))
    return _transpose(added, (*range(1, place + 1), 0, *range(place + 1, rank)))


def _chosen(builder: Builder, shape: tuple[int, ...], indices: Any, place: int) -> Symbol:
    """For every lane and each of its indices (a last axis of its own): which elements of the lane are meant."""
    size, count = shape[place], indices.shape[place]
    wide = (*shape[:place], size, *shape[place + 1 :], count)
    numbers = Symbol(builder, builder.shaped("iota", shape=wide, axis=place))
    order = (*(i for i in range(len(shape)) if i != place), place)
    lanes = _transpose(_counted(indices, size), order)
    return numbers == _reshape(lanes, (*lanes.shape[:place], 1, *lanes.shape[place:]))


def _take_along_axis(x: Any, indices: Any, axis: int) -> Symbol:
    """A choice by comparison, which a row-wise kernel makes in registers: Σ over a lane where its place is meant."""
    place, builder = axis % len(x.shape), _builder_of((x, indices))
    chosen = _chosen(builder, x.shape, indices, place)
    found = WORDS.sum(_where(chosen, _reshape(x, (*x.shape, 1)), _zero(x)), axis=place, keepdims=False)
    back = (*range(place), found.ndim - 1, *range(place, found.ndim - 1))
    return _transpose(found, back)


def _zero(x: Any) -> Any:
    return np.zeros((), x.dtype)


def _add_along_axis(x: Any, indices: Any, axis: int, size: int) -> Symbol:
    place, builder = axis % len(x.shape), _builder_of((x, indices))
    shape = (*x.shape[:place], size, *x.shape[place + 1 :])
    chosen = _chosen(builder, shape, indices, place)
    order = (*(i for i in range(len(shape)) if i != place), place)
    lanes = _transpose(x, order)
    spread = _reshape(lanes, (*lanes.shape[:place], 1, *lanes.shape[place:]))
    return WORDS.sum(_where(chosen, spread, _zero(x)), axis=-1, keepdims=False)  # type: ignore[no-any-return]


# --- products over named axes ---------------------------------------------------------------------------------------


def _einsum(*xs: Any, subscripts: str) -> Symbol:
    """Two operands at a time, in the order that opt_einsum finds."""
    from opt_einsum import contract_path

    left, _, right = subscripts.partition("->")
    operands = list(zip(left.split(","), xs, strict=True))
    _, plan = contract_path(subscripts, *(x.shape for x in xs), shapes=True)
    for places, *_ in plan.contraction_list:
        chosen = [operands.pop(i) for i in sorted(places, reverse=True)]
        kept = set(right).union(*(term for term, _ in operands))
        operands.append(chosen[0] if len(chosen) == 1 else _contracted(chosen[0], chosen[1], kept))
    term, x = operands[0]
    result: Symbol = _aligned(_summed(x, term, set(right)), "".join(c for c in term if c in right), right)
    return result


def _contracted(first: tuple[str, Any], second: tuple[str, Any], kept: set[str]) -> tuple[str, Any]:
    """The product of two operands, summed over the letters that nobody needs any more: a stack of matrix products."""
    (a, x), (b, y) = first, second
    x, a = _summed(x, a, kept | set(b)), "".join(c for c in a if c in kept or c in b)
    y, b = _summed(y, b, kept | set(a)), "".join(c for c in b if c in kept or c in a)
    batch = "".join(c for c in a if c in b and c in kept)
    inner = "".join(c for c in a if c in b and c not in kept)
    rows, columns = "".join(c for c in a if c not in b), "".join(c for c in b if c not in a)
    size = {**dict(zip(a, x.shape, strict=True)), **dict(zip(b, y.shape, strict=True))}
    count = [math.prod(size[c] for c in letters) for letters in (batch, rows, inner, columns)]
    product = _matmul(
        _reshape(_aligned(x, a, batch + rows + inner), (count[0], count[1], count[2])),
        _reshape(_aligned(y, b, batch + inner + columns), (count[0], count[2], count[3])),
    )
    letters = batch + rows + columns
    return letters, _reshape(product, tuple(size[c] for c in letters))


def _summed(x: Any, term: str, kept: set[str]) -> Any:
    axes = tuple(i for i, c in enumerate(term) if c not in kept)
    return WORDS.sum(x, axis=axes, keepdims=False) if axes else x


def _aligned(x: Any, term: str, wanted: str) -> Any:
    return x if term == wanted else _transpose(x, tuple(term.index(c) for c in wanted))


def _check_labels(labels: Any, classes: int, what: str) -> Symbol:
    builder, (value,) = _operands((labels,))
    kept = Abstract(value.shape, np.dtype(np.intp))
    return Symbol(builder, builder.make("check_labels", (value,), {"classes": classes, "what": what}, kept))


def _uniform(counter: Any, seed: int, shape: tuple[int, ...]) -> Symbol:
    builder, (value,) = _operands((counter,))
    drawn = Abstract(tuple(shape), np.dtype(np.float64))
    return Symbol(builder, builder.make("uniform", (value,), {"seed": seed, "shape": tuple(shape)}, drawn))


def _repeat(*xs: Any, loop: Any) -> Symbol:
    """A loop whose body has been lowered already."""
    builder = _builder_of(xs)
    values = [x.value if isinstance(x, Symbol) else _number_or_array(builder, x) for x in xs]
    operands = [builder.cast(x, own.dtype) for x, own in zip(values, loop.body.inputs, strict=True)]
    names = ("carried", "rows", "steps", "reverse", "guard", "body")
    return Symbol(builder, builder.repeat(operands, {name: getattr(loop, name) for name in names}))


def _number_or_array(builder: Builder, x: Any) -> Value:
    """A constant; an array that repeats one number in memory is that number, repeated."""
    if not isinstance(x, np.ndarray) or not x.size or any(x.strides):
        return builder.constant(x)
    return builder.shaped("broadcast", builder.constant(np.asarray(x.flat[0])), shape=x.shape)


def _result(loop: Any, index: int) -> Symbol:
    return Symbol(loop.builder, loop.builder.result(loop.value, index))


class _PrimitiveWords(Words):
    """Words that build primitives; an op's name is a word too, and what is neither is not lowered."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):  # Python itself asks, not a rule
            raise AttributeError(name)
        if name in ARRAYS.__dict__ or name not in REGISTRY:  # the rule of an op named like a word says that word
            raise UnloweredError(f"its rule says m.{name}, which has no primitive")
        return forward_as_word(self, name)


WORDS: Final[Any] = _PrimitiveWords(
    {
        **{kind: _unary_or_more(kind) for kind in (*UNARY, *BINARY, *COMPARISONS)},
        **{kind: _reduction(kind) for kind in REDUCTIONS},
        "logical_and": _unary_or_more("and_"),
        "logical_or": _unary_or_more("or_"),
        "logical_not": _unary_or_more("not_"),
        "where": _where,
        "cast": _cast,
        "reshape": _reshape,
        "transpose": _transpose,
        "mT": _matrix_transpose,
        "broadcast_to": _broadcast,
        "matmul": _matmul,
        "concatenate": _concatenate,
        "stack": _stack,
        "getitem": _getitem,
        "scatter_add": _scatter_add,
        "take": _take,
        "index_add": _index_add,
        "take_along_axis": _take_along_axis,
        "add_along_axis": _add_along_axis,
        "einsum": _einsum,
        "check_labels": _check_labels,
        "uniform": _uniform,
        "argmax": _arg("argmax"),
        "argmin": _arg("argmin"),
        "repeat": _repeat,
        "result": _result,
    }
)


# --- ops and whole traces -------------------------------------------------------------------------------------------


def lowered(builder: Builder, op: Op, inputs: Sequence[Value], params: Mapping[str, Any], result: Abstract) -> Value:
    """The primitives of one op; `result` is what its shape rule says, which they must agree with."""
    symbols = [Symbol(builder, x) for x in inputs]
    value: Any
    if isinstance(op, Reduction):
        value = _lowered_reduction(op, symbols[0], params)
    elif isinstance(op, Elementwise):
        value = op.forward(WORDS, *symbols)
    else:
        value = op.forward(WORDS, *symbols, **params)
    made = value.value if isinstance(value, Symbol) else builder.constant(value)
    if made.shape != result.shape or made.dtype != result.dtype:
        raise UnloweredError(f"its primitives give {made.dtype} {made.shape}, its shape rule {result}")
    return made


def _lowered_reduction(op: Reduction, x: Symbol, params: Mapping[str, Any]) -> Symbol:
    axes = _axes(len(x.shape), params["axis"])
    kept = op.forward(over_axis(WORDS, axes), x)
    if params["keepdims"]:
        return kept  # type: ignore[no-any-return]
    return _reshape(kept, tuple(n for i, n in enumerate(x.shape) if i not in axes))


def lower(traced: Traced) -> Program:
    """The program of a trace. Its inputs are the numeric arguments, then the states; its outputs are the results that
    were computed, then the new values of the assigned states.
    """
    inputs = [x for x in (*traced.inputs, *traced.states.values()) if x is not None]
    return lower_graph(inputs, [x for x in (*traced.outputs, *traced.assigned.values()) if isinstance(x, Tensor)])


def lower_graph(inputs: Sequence[Tensor], ends: Sequence[Any]) -> Program:
    """The program of what lies between some nodes and some ends; an end may be known, and is then a constant."""
    builder = Builder()
    held = {node: builder.input(Abstract.of(node._value)) for node in inputs}
    for node in in_order([x for x in ends if isinstance(x, Tensor)], held):
        held[node] = _lowered_node(builder, node, held)
        held[node].origin = held[node].origin or decode_origin(node._code, node._offset)
    outputs = [held[x] if isinstance(x, Tensor) else builder.constant(x) for x in ends]
    return builder.program([held[x] for x in inputs], outputs)


def _lowered_node(builder: Builder, node: Tensor, held: Mapping[Tensor, Value]) -> Value:
    if not isinstance(node._value, Abstract):  # known while tracing
        return builder.constant(node._value)
    if node._rule.op is None and not node._inputs:
        raise TraceError(
            f"compile: a value that is known only within one step of a loop ({node!r}) is used outside it{here()}; "
            "return it from the function that is repeated"
        )
    if node._rule.op is None:  # stands for its last input: a detached value, or a state after an assignment
        x = held[node._inputs[-1]]
        return builder.weakened(x) if node._value.weak else x
    inputs = [held[x] if isinstance(x, Tensor) else builder.constant(x) for x in node._inputs]
    op = node._rule.op
    try:
        return lowered(builder, op, inputs, node._params, node._value)
    except UnloweredError:
        return builder.eager(op.name, inputs, node._params, node._value)


def _inputs(node: Tensor) -> list[Tensor]:
    if not isinstance(node._value, Abstract):
        return []
    return [x for x in node._inputs if isinstance(x, Tensor) and not isinstance(x, State)]


def in_order(
    ends: Sequence[Tensor], given: Container[Tensor], inputs_of: Callable[[Tensor], list[Tensor]] = _inputs
) -> list[Tensor]:
    """All nodes that the ends need beside those that are given, each after its inputs."""
    order: dict[Tensor, None] = {}
    for end in sorted((x for x in ends if x not in given), key=lambda t: t._id):
        stack = [end]
        while stack:
            node = stack[-1]
            waiting = [x for x in inputs_of(node) if x not in order and x not in given]
            if waiting:
                stack += waiting
            else:
                order[stack.pop()] = None
    return list(order)
