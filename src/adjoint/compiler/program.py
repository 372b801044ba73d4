"""A program of primitives: what the passes of the compiler read and write.

Every op of the registry becomes a few of some sixty primitives, each with one result whose shape and dtype are known;
an op whose rule cannot be read as primitives is one of its own, `eager`, which NumPy computes between native segments.
Operands of a primitive have the dtype that it computes in (casts are primitives of their own), and shapes that
broadcast as in NumPy. `Builder` makes them: the same primitive of the same operands is made once (common
subexpressions), and one whose operands are all constants is computed at once.

Each primitive states its meaning as a NumPy function, which is what `evaluate` runs: the reference that kernels are
compared with.

A loop is one primitive, `repeat`, whose body is a program of its own (`repeat.py`); its results are primitives, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np

from adjoint.abstract import Abstract
from adjoint.vocabulary import ARRAYS, REGISTRY

Dtype = np.dtype[Any]
BOOL: Final[Dtype] = np.dtype(bool)
INDEX: Final[Dtype] = np.dtype(np.intp)
#: Constants of more bytes are neither folded nor compared by content.
SMALL: Final = 4096


class Value:
    """The result of one primitive; `number` is its place in the program, above those of its inputs."""

    __slots__ = ("abstract", "content", "inputs", "kind", "number", "origin", "params")

    def __init__(
        self, kind: str, inputs: tuple[Value, ...], params: Mapping[str, Any], abstract: Abstract, number: int
    ) -> None:
        self.kind = kind
        self.inputs = inputs
        self.params = params
        self.abstract = abstract
        self.number = number
        self.content: Any = None
        self.origin: Any = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self.abstract.shape

    @property
    def dtype(self) -> Dtype:
        """NumPy dtype."""
        return self.abstract.dtype

    def __repr__(self) -> str:
        return f"%{self.number}"

    def __str__(self) -> str:
        settings = [f"{k}={v}" for k, v in self.params.items() if k != "body"]
        what = ", ".join([*map(repr, self.inputs), *settings]) if self.content is None else _shown(self.content)
        return f"%{self.number} : {self.dtype}{list(self.shape)} = {self.kind}({what})"


def _shown(content: Any) -> str:
    return f"{content!r}" if np.size(content) == 1 else f"{np.size(content)} numbers"


class Program(NamedTuple):
    """Primitives in the order in which they can be computed, and which of them are what."""

    values: tuple[Value, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]

    def __str__(self) -> str:
        lines = []
        for value in self.values:
            lines.append(str(value))
            if value.kind == "repeat":
                lines += [f"    {line}" for line in str(value.params["body"]).splitlines()]
        return "\n".join([*lines, f"return {', '.join(map(repr, self.outputs))}"])

    def every(self) -> Iterator[Value]:
        """All values, those of the bodies of loops among them."""
        for value in self.values:
            yield value
            if value.kind == "repeat":
                yield from value.params["body"].every()


# --- what the primitives mean -----------------------------------------------------------------------------------------

UNARY: Final = (
    *("negative", "abs", "sign", "floor", "ceil", "trunc", "round", "sqrt", "square", "reciprocal"),
    *("exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "cbrt", "sin", "cos", "tan", "sinh", "cosh", "tanh"),
    *("arcsin", "arccos", "arctan", "erf", "isnan", "isinf", "isfinite", "not_"),
)
BINARY: Final = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "pow", "arctan2", "remainder")
COMPARISONS: Final = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "and_", "or_")
REDUCTIONS: Final = ("sum", "max", "min", "any", "all")

_SYMBOLS: Final = {
    **{name: getattr(np, name) for name in ("add", "subtract", "multiply", "divide")},
    **{name: getattr(np, name) for name in ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")},
    "and_": np.logical_and,
    "or_": np.logical_or,
}


def _word(name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = _SYMBOLS[name] if name in _SYMBOLS else ARRAYS.__dict__[name]
    return function


def _reduction(name: str) -> Callable[..., Any]:
    """Over an axis, or over slices of it of a given length, each of which gives one result."""
    whole = _word(name)

    def reduced(x: Any, *, length: int = 0, **params: Any) -> Any:
        if not length:
            return whole(x, **params)
        (axis,) = params["axis"]
        places = range(length, x.shape[axis], length)
        return np.concatenate([whole(part, **params) for part in np.split(x, places, axis)], axis)

    return reduced


def _bfloat16(x: Any) -> Any:
    """The nearest bfloat16, half to even: float32 numbers whose low half of bits is 0; NaN stays."""
    bits = np.asarray(x, np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(x), x, rounded.view(np.float32))


def _product(x: Any, y: Any, *, bfloat16: bool = False) -> Any:
    """A matrix product; `bfloat16`: of operands that are rounded on the way."""
    return np.matmul(_bfloat16(x), _bfloat16(y)) if bfloat16 else np.matmul(x, y)


def _unslice(x: Any, *, key: Any, shape: tuple[int, ...]) -> Any:
    result = np.zeros(shape, x.dtype)
    result[key] = x
    return result


def _scatter(x: Any, indices: Any, *, size: int) -> Any:
    """Rows of x added into zeros at the indices along the first axis."""
    result = np.zeros((size, *x.shape[1:]), x.dtype)
    np.add.at(result, indices, x)
    return result


def _repeated(
    *given: Any, body: Program, steps: int, carried: int, rows: int, reverse: bool, guard: int | None
) -> list[Any]:
    """The last carries, and what each step gave, stacked; `evaluate` hands the list on as it is."""
    carries, xs, constants = list(given[:carried]), given[carried : carried + rows], given[carried + rows :]
    found: list[list[Any]] = []
    for t in reversed(range(steps)) if reverse else range(steps):
        taken = [*carries, *(np.asarray(x)[t] for x in xs), *constants]
        if guard is not None and not taken[guard]:
            found.append([np.zeros(x.shape, x.dtype) for x in body.outputs[carried:]])
            continue
        made = evaluate(body, taken)
        carries = made[:carried]
        found.append(made[carried:])
    return [*carries, *(np.stack(y) for y in zip(*(reversed(found) if reverse else found), strict=True))]


MEANING: Final[Mapping[str, Callable[..., Any]]] = {
    **{name: _word(name) for name in (*UNARY, *BINARY, *COMPARISONS)},
    **{name: _reduction(name) for name in REDUCTIONS},
    "where": np.where,
    "copied": lambda x: x,
    "bfloat16": _bfloat16,
    "cast": lambda x, *, dtype: np.asarray(x).astype(dtype),
    "reshape": lambda x, *, shape: np.reshape(x, shape),
    "transpose": lambda x, *, axes: np.transpose(x, axes),
    "broadcast": lambda x, *, shape: np.broadcast_to(x, shape),
    "slice": lambda x, *, key: np.asarray(x)[key],
    "unslice": _unslice,
    "concatenate": lambda *xs, axis: np.concatenate(xs, axis=axis),
    "gather": lambda x, indices: np.asarray(x)[indices],
    "scatter": _scatter,
    "iota": lambda *, shape, axis: np.broadcast_to(
        np.arange(shape[axis]).reshape([-1 if i == axis else 1 for i in range(len(shape))]), shape
    ),
    "matmul": _product,
    "check_labels": lambda labels, *, classes, what: ARRAYS.check_labels(labels, classes=classes, what=what),
    "uniform": lambda counter, *, seed, shape: ARRAYS.uniform(counter, seed=seed, shape=shape),
    "eager": lambda *xs, op, params: np.asarray(REGISTRY[op].evaluate(list(xs), params)),
    "argmax": lambda x, *, axis: np.argmax(x, axis=axis),
    "argmin": lambda x, *, axis: np.argmin(x, axis=axis),
    "repeat": _repeated,
    "result": lambda results, *, index: results[index],
}


def _matmul_shape(x: tuple[int, ...], y: tuple[int, ...]) -> tuple[int, ...]:
    product: Abstract = REGISTRY["matmul"].abstract([Abstract(x, BOOL), Abstract(y, BOOL)], {})
    return product.shape


def _sliced(x: tuple[int, ...], *, key: Any) -> tuple[int, ...]:
    shape: tuple[int, ...] = np.broadcast_to(np.empty((), np.int8), x)[key].shape
    return shape


#: Shapes of results, from those of operands and params.
SHAPES: Final[Mapping[str, Callable[..., tuple[int, ...]]]] = {
    "reshape": lambda x, *, shape: shape,
    "transpose": lambda x, *, axes: tuple(x[a] for a in axes),
    "broadcast": lambda x, *, shape: shape,
    "slice": _sliced,
    "unslice": lambda x, *, key, shape: shape,
    "concatenate": lambda *xs, axis: (*xs[0][:axis], sum(x[axis] for x in xs), *xs[0][axis + 1 :]),
    "gather": lambda x, indices: (*indices, *x[1:]),
    "scatter": lambda x, indices, *, size: (size, *x[1:]),
    "iota": lambda *, shape, axis: shape,
    "matmul": _matmul_shape,
    "argmax": lambda x, *, axis: () if axis is None else (*x[:axis], *x[axis + 1 :]),
    "argmin": lambda x, *, axis: () if axis is None else (*x[:axis], *x[axis + 1 :]),
}


@lru_cache(maxsize=4096)
def loop_dtypes(kind: str, operands: tuple[Any, ...]) -> tuple[Dtype, Dtype]:
    """The dtype that an elementwise primitive computes in, and that of its result; `float` is a weak operand."""
    specimens = [d(1) if isinstance(d, type) else np.ones((), d) for d in operands]
    with np.errstate(all="ignore"):
        result = np.asarray(MEANING[kind](*specimens)).dtype
    if kind in ("and_", "or_", "not_"):
        return BOOL, BOOL
    if kind in COMPARISONS or kind in ("isnan", "isinf", "isfinite"):
        return np.result_type(*specimens), result
    return result, result


# --- building ---------------------------------------------------------------------------------------------------------


class Builder:
    """Makes primitives, each of the same kind and operands once."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self._known: dict[Any, Value] = {}
        self._large: list[Any] = []  # known by identity, so they must live as long as this

    def input(self, abstract: Abstract) -> Value:
        """A value that is given when the program runs."""
        return self._new("input", (), {}, abstract)

    def constant(self, content: Any) -> Value:
        """A number or an array that is known now; a Python number promotes weakly."""
        abstract = Abstract.of(content)
        array = np.ascontiguousarray(content).reshape(abstract.shape)
        key = ("constant", abstract, array.tobytes() if array.nbytes <= SMALL else id(content))
        if key not in self._known:
            value = self._known[key] = self._new("constant", (), {}, abstract)
            value.content = array
            if array.nbytes > SMALL:
                self._large.append(content)
        return self._known[key]

    def elementwise(self, kind: str, *inputs: Value) -> Value:
        """A primitive of the elements, its operands cast to the dtype that NumPy would compute in."""
        weak = all(x.abstract.weak for x in inputs)
        operands = tuple(type(x.abstract.specimen()) if x.abstract.weak and not weak else x.dtype for x in inputs)
        loop, result = loop_dtypes(kind, operands)
        shape = np.broadcast_shapes(*(x.shape for x in inputs))
        cast = tuple(self.cast(x, loop) for x in inputs)
        return self.make(kind, cast, {}, Abstract(shape, result, weak and result.kind == "f"))

    def where(self, condition: Value, x: Value, y: Value) -> Value:
        """x where the condition holds, else y."""
        weak = x.abstract.weak and y.abstract.weak
        dtype = np.result_type(*(z.abstract.specimen() if z.abstract.weak and not weak else z.dtype for z in (x, y)))
        shape = np.broadcast_shapes(condition.shape, x.shape, y.shape)
        inputs = (self.cast(condition, BOOL), self.cast(x, dtype), self.cast(y, dtype))
        return self.make("where", inputs, {}, Abstract(shape, dtype, weak and dtype.kind == "f" and not shape))

    def cast(self, x: Value, dtype: Any) -> Value:
        """x in another dtype; no longer weak."""
        wanted = np.dtype(dtype)
        if x.dtype == wanted:
            return x
        return self.make("cast", (x,), {"dtype": wanted}, Abstract(x.shape, wanted))

    def reduce(self, kind: str, x: Value, axes: tuple[int, ...]) -> Value:
        """Over some axes, which stay with size 1."""
        shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        dtype = np.asarray(MEANING[kind](np.ones(1, x.dtype))).dtype
        return self.make(kind, (x,), {"axis": axes, "keepdims": True}, Abstract(shape, dtype))

    def weakened(self, x: Value) -> Value:
        """The same number as a Python float has it, which promotes weakly."""
        weak = Abstract(x.shape, x.dtype, True)
        return x if x.abstract == weak else self.make("cast", (x,), {"dtype": x.dtype}, weak)

    def shaped(self, kind: str, *inputs: Value, **params: Any) -> Value:
        """A primitive that is not elementwise and no reduction; its operands have one dtype, indices aside."""
        shape = SHAPES[kind](*(x.shape for x in inputs), **params)
        dtype = INDEX if kind in ("iota", "argmax", "argmin") else inputs[0].dtype
        return self.make(kind, inputs, params, Abstract(tuple(shape), dtype))

    def make(self, kind: str, inputs: tuple[Value, ...], params: Mapping[str, Any], abstract: Abstract) -> Value:
        """The primitive, an earlier one that is the same, or a constant."""
        if kind == "repeat":
            return self.repeat(inputs, params)
        key = (kind, tuple(x.number for x in inputs), _hashable(params), abstract)
        if key in self._known:
            return self._known[key]
        known = inputs and kind not in ("broadcast", "eager") and all(x.kind == "constant" for x in inputs)
        if known and abstract.size * abstract.dtype.itemsize <= SMALL:
            made = self._folded(kind, inputs, params, abstract)
        else:
            made = self._new(kind, inputs, params, abstract)
        self._known[key] = made
        return made

    def repeat(self, inputs: Sequence[Value], params: Mapping[str, Any]) -> Value:
        """A loop: each time a new one. Its own value is the number of its steps; what it computes are its `result`s."""
        return self._new("repeat", tuple(inputs), params, Abstract((), INDEX))

    def result(self, repeat: Value, index: int) -> Value:
        """One result of a loop: the last of a carry, or what its steps gave, stacked."""
        x, carried, steps = repeat.params["body"].outputs[index], repeat.params["carried"], repeat.params["steps"]
        abstract = x.abstract if index < carried else Abstract((steps, *x.shape), x.dtype)
        return self.make("result", (repeat,), {"index": index}, abstract)

    def copied(self, value: Value, inputs: Sequence[Value]) -> Value:
        """The same primitive of other operands."""
        if value.kind == "input":
            return self.input(value.abstract)
        if value.kind == "constant":
            return self.constant(value.content.item() if value.abstract.weak else value.content)
        return self.make(value.kind, tuple(inputs), value.params, value.abstract)

    def separate(self, kind: str, x: Value) -> Value:
        """A primitive with a result like its operand, each time a new one."""
        return self._new(kind, (x,), {}, x.abstract)

    def eager(self, op: str, inputs: Sequence[Value], params: Mapping[str, Any], abstract: Abstract) -> Value:
        """An op that NumPy computes."""
        return self.make("eager", tuple(inputs), {"op": op, "params": params}, abstract)

    def known(self, kind: str, inputs: tuple[Value, ...]) -> Value | None:
        """An elementwise primitive of these operands, if it was made before."""
        shape = np.broadcast_shapes(*(x.shape for x in inputs))
        abstracts = (Abstract(shape, inputs[0].dtype, weak) for weak in (False, True))
        keys = ((kind, tuple(x.number for x in inputs), (), abstract) for abstract in abstracts)
        return next((self._known[key] for key in keys if key in self._known), None)

    def _folded(self, kind: str, inputs: tuple[Value, ...], params: Mapping[str, Any], abstract: Abstract) -> Value:
        with np.errstate(all="ignore"):
            content = np.asarray(MEANING[kind](*(x.content for x in inputs), **params), abstract.dtype)
        return self.constant(content.item() if abstract.weak else content)

    def _new(self, kind: str, inputs: tuple[Value, ...], params: Mapping[str, Any], abstract: Abstract) -> Value:
        value = Value(kind, inputs, params, abstract, len(self.values))
        self.values.append(value)
        return value

    def program(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Program:
        """The primitives that the outputs need (dead code stays behind), in their order."""
        needed: set[int] = {x.number for x in inputs}
        stack = list(outputs)
        while stack:
            value = stack.pop()
            if value.number not in needed:
                needed.add(value.number)
                stack += value.inputs
        return Program(tuple(v for v in self.values if v.number in needed), tuple(inputs), tuple(outputs))


def _hashable(params: Mapping[str, Any]) -> Any:
    return tuple((k, repr(v)) for k, v in sorted(params.items()))


# --- checking and running ---------------------------------------------------------------------------------------------


def verify(program: Program) -> None:
    """Raise unless the program is well formed: operands come first, and have the dtypes that primitives compute in."""
    seen: set[int] = set()
    for value in program.values:
        for x in value.inputs:
            assert x.number in seen, f"{value}: its operand {x!r} comes later or is missing"
        if value.kind in UNARY or value.kind in BINARY or value.kind in COMPARISONS:
            assert len({x.dtype for x in value.inputs}) == 1, f"{value}: expected operands of one dtype"
            assert np.broadcast_shapes(*(x.shape for x in value.inputs)) == value.shape, f"{value}: wrong shape"
        if value.kind == "repeat":
            verify(value.params["body"])
            _verify_loop(value)
        seen.add(value.number)
    assert all(x.number in seen for x in program.outputs), "an output is not in the program"


def _verify_loop(value: Value) -> None:
    body, carried, rows = (value.params[k] for k in ("body", "carried", "rows"))
    for i, (x, own) in enumerate(zip(value.inputs, body.inputs, strict=True)):
        shape = x.shape[1:] if carried <= i < carried + rows else x.shape
        assert (shape, x.dtype) == (own.shape, own.dtype), f"{value}: its body takes {own} for {x}"
    for before, after in zip(body.inputs[:carried], body.outputs[:carried], strict=True):
        assert (before.shape, before.dtype) == (after.shape, after.dtype), f"{value}: a step makes {after} of {before}"


def evaluate(program: Program, given: Iterable[Any]) -> list[Any]:
    """The outputs by NumPy, primitive by primitive: what the kernels are compared with."""
    held: dict[int, Any] = dict(zip([x.number for x in program.inputs], given, strict=True))
    with np.errstate(all="ignore"):
        for value in program.values:
            if value.kind == "constant":
                held[value.number] = value.content
            elif value.number not in held:
                result = MEANING[value.kind](*(held[x.number] for x in value.inputs), **value.params)
                held[value.number] = result if value.kind == "repeat" else np.asarray(result, value.dtype)
    return [held[x.number] for x in program.outputs]
