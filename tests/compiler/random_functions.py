"""Functions of public ops drawn at random, together with the arrays that they are called with.

A `Graph` is data: a list of steps, each of which names a public function and the values that it takes, so that a graph
which fails can be read, cut down and run by hand. Steps are drawn that fit the values there are already, whose arrays
are known while drawing. A value may be taken by any number of steps.

What a rounding error would turn into something else (comparisons, rounding to integers, places of the largest) is drawn
of values that have none, and what tells 0 from −0 (a divisor, and what has one in its derivative) of values whose zeros
have a sign that both engines agree on: a maximum of both may be either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from random import Random
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

import adjoint as ad

DTYPES = ("float32", "float64", "float32", "float64", "int32", "int64", "bool")
_SIZES = (1, 2, 3, 4, 5)
_LIMIT = 200
_SPECIAL = (0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, 1.0, -1.0)

# Names of functions by what they need and what they leave.
_EVERYWHERE = (
    "exp",
    "tanh",
    "sin",
    "cos",
    "erf",
    "expm1",
    "arctan",
    "sigmoid",
    "softplus",
    "elu",
    "exp2",
    "sinh",
    "tan",
)
_SIGNED = ("log", "sqrt", "log1p", "log2", "log10", "reciprocal")
_KINKED = ("abs", "relu", "leaky_relu", "negative", "square")
_WHOLE = ("floor", "ceil", "round", "sign", "isnan", "isinf", "isfinite")
_COMPARISONS = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "logical_and", "logical_or")
EITHER_ZERO = {"maximum", "minimum", "max", "min", "relu", "clip"}
_ROUNDED = {
    *(*_EVERYWHERE, *_SIGNED, "power", "sum", "mean", "logsumexp", "var", "softmax", "log_softmax"),
    *("matmul", "einsum"),
} - {"sqrt", "reciprocal"}
LISTED = ("concatenate", "stack")
_BINARY = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "power")
_REDUCTIONS = ("sum", "mean", "max", "min", "logsumexp", "var")
#: What graphs are drawn of.
NAMES = {
    *(*_EVERYWHERE, *_SIGNED, *_KINKED, *_WHOLE, *_COMPARISONS, *_BINARY, *_REDUCTIONS, *LISTED, "where", "clip"),
    *("astype", "any", "all", "argmax", "argmin", "softmax", "log_softmax", "matmul", "einsum", "reshape", "transpose"),
    *("expand_dims", "broadcast_to", "getitem", "take"),
}


class Step(NamedTuple):
    """A call of a public function; an operand is the place of a value, or something that is taken as it is."""

    name: str
    operands: tuple[int | float | str, ...]
    settings: dict[str, Any]

    def __call__(self, values: Sequence[Any]) -> Any:
        """The call, with all values there are so far."""
        return self.of(self.taken(values))

    def taken(self, values: Sequence[Any]) -> list[Any]:
        """Its operands among these values."""
        return [values[x] if type(x) is int else x for x in self.operands]

    def of(self, xs: Sequence[Any]) -> Any:
        """The call with operands of its own."""
        function = getattr(ad, self.name)
        return function(list(xs), **self.settings) if self.name in LISTED else function(*xs, **self.settings)


class Graph(NamedTuple):
    """Steps in order, None where the next input stands; and the inputs."""

    inputs: tuple[Any, ...]
    steps: tuple[Step | None, ...]

    def values(self, *inputs: Any) -> list[Any]:
        """All values in order, inputs among them."""
        supply, values = iter(inputs), list[Any]()
        for step in self.steps:
            values.append(next(supply) if step is None else step(values))
        return values

    def nodes(self, *inputs: Any) -> list[Any]:
        """What every step gives."""
        return [x for x, step in zip(self.values(*inputs), self.steps, strict=True) if step is not None]

    def ends(self, *inputs: Any) -> list[Any]:
        """What no step takes."""
        taken = {x for step in self.steps if step is not None for x in step.operands if type(x) is int}
        values = self.values(*inputs)
        return [values[i] for i, step in enumerate(self.steps) if step is not None and i not in taken]

    @property
    def floating(self) -> tuple[int, ...]:
        """Which inputs can have a gradient."""
        return tuple(i for i, x in enumerate(self.inputs) if x.dtype.kind == "f")

    def total(self, *inputs: Any) -> Any:
        """The sum of all floating ends: one number to differentiate."""
        parts = [ad.sum(x) for x in self.ends(*inputs) if x.dtype.kind == "f"]
        found = ad.sum(inputs[self.floating[0]]) * 0.5
        for part in parts:
            found = found + part
        return found

    def __repr__(self) -> str:
        """The function as a reader would write it, with its inputs."""
        supply, lines = iter(self.inputs), list[str]()
        for i, step in enumerate(self.steps):
            if step is None:
                x = next(supply)
                lines.append(f"v{i} = np.array({x.tolist()}, {x.dtype.name!r}).reshape({x.shape})")
                continue
            named = ", ".join(f"v{x}" if type(x) is int else repr(x) for x in step.operands)
            listed = f"[{named}]" if step.name in LISTED else named
            lines.append(
                f"v{i} = ad.{step.name}({', '.join([listed, *(f'{k}={v}' for k, v in step.settings.items())])})"
            )
        return "\n".join(["", *lines])


class _Known(NamedTuple):
    """The array of a value, whether it has no rounding error, and whether the signs of its zeros are agreed on."""

    value: Any
    exact: bool
    signed: bool


class Drawing:
    """A graph as it is drawn."""

    def __init__(self, choices: Random) -> None:
        self.number = choices.randint
        self.rng = np.random.default_rng(self.number(0, 2**32 - 1))
        self.special = self.rng.random() < 0.4
        self.inputs: list[Any] = []
        self.steps: list[Step | None] = []
        self.values: list[Any] = []
        self.known: list[_Known] = []

    # --- choices ------------------------------------------------------------------------------------------------------

    def one_of(self, choices: Sequence[Any]) -> Any:
        """One of several."""
        return choices[self.number(0, len(choices) - 1)]

    def chance(self, of: int) -> bool:
        """Once in so many."""
        return bool(self.number(1, of) == of)

    def value(self, place: int) -> Any:
        return self.known[place].value

    def any(self, fits: Callable[[_Known], bool] = lambda _: True) -> int | None:
        """The place of a value there is, the latest most often; None if none will do."""
        fitting = [i for i, known in enumerate(self.known) if fits(known)]
        if not fitting:
            return None
        back = self.number(0, 2 * len(fitting))
        return fitting[-1 - back // 2] if back // 2 < len(fitting) else fitting[-1]

    def axes(self, rank: int) -> Any:
        """Axes to reduce over: all, one, or several."""
        if rank == 0 or self.chance(3):
            return None
        axis = self.number(-rank, rank - 1)
        return axis if rank == 1 or not self.chance(3) else tuple({axis % rank, (axis + 1) % rank})

    # --- what is added ------------------------------------------------------------------------------------------------

    def new(self, shape: tuple[int, ...] | None = None, dtype: Any = None) -> int:
        """An input more."""
        if shape is None:
            sizes = (0, 1, 3) if self.chance(16) else _SIZES
            shape = tuple(self.one_of(sizes) for _ in range(self.number(0, 3)))
        content = self.content(shape, np.dtype(self.one_of(DTYPES) if dtype is None else dtype))
        self.inputs.append(content)
        self.steps.append(None)
        self.values.append(content)
        self.known.append(_Known(content, True, True))
        return len(self.known) - 1

    def content(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        """Numbers of a dtype, with ties; floats with special values where the function is to have them."""
        if dtype.kind == "b":
            return np.asarray(self.rng.random(shape) < 0.5)
        if dtype.kind == "i":
            return np.asarray(self.rng.integers(-4, 5, shape)).astype(dtype)
        content = np.where(self.rng.random(shape) < 0.2, self.rng.integers(-2, 3, shape), self.rng.normal(size=shape))
        if self.special:
            content = np.where(self.rng.random(shape) < 0.25, self.rng.choice(_SPECIAL, shape), content)
        with np.errstate(all="ignore"):
            return content.astype(dtype)

    def add(self, name: str, *operands: int | float | str, **settings: Any) -> None:
        """A step more, unless its result is too large."""
        step = Step(name, operands, settings)
        with np.errstate(all="ignore"):
            value = step(self.values)
        if np.size(value) > _LIMIT:
            return
        taken = [self.known[x] for x in operands if type(x) is int]
        array = np.asarray(value)
        is_float = array.dtype.kind == "f"
        exact = all(x.exact for x in taken) and not (is_float and name in _ROUNDED)
        signed = all(x.signed for x in taken) and name not in EITHER_ZERO
        self.steps.append(step)
        self.values.append(value)
        self.known.append(_Known(array, exact, signed or not is_float))

    def step(self) -> None:
        """One of the kinds of steps, if it finds something to take."""
        getattr(self, self.one_of(_STEPS))()

    # --- elements -----------------------------------------------------------------------------------------------------

    def function(self) -> None:
        x = self.any(lambda k: k.value.dtype.kind in "if")
        if x is not None:
            names = _EVERYWHERE + _KINKED + (_SIGNED if self.known[x].signed else ())
            name = self.one_of(names)
            if name == "reciprocal" and self.value(x).dtype.kind == "i":
                return
            self.add(name, x)

    def whole(self) -> None:
        x = self.any(lambda k: k.exact and k.value.dtype.kind in "if")
        if x is not None:
            self.add(self.one_of(_WHOLE), x)

    def beside(self, x: int, fits: Callable[[_Known], bool] = lambda _: True) -> int:
        """An operand that broadcasts with another: a value there is, or an input of a shape made from its shape."""
        shape = self.value(x).shape

        def broadcasts(known: _Known) -> bool:
            other = known.value.shape
            pairs = zip(shape[::-1], other[::-1], strict=False)
            return all(a == b or 1 in (a, b) for a, b in pairs) and fits(known)

        found = None if self.chance(3) else self.any(broadcasts)
        if found is not None:
            return found
        left_out = self.number(0, len(shape))
        return self.new(tuple(1 if self.chance(3) else n for n in shape[left_out:]))

    def binary(self) -> None:
        x = self.any()
        assert x is not None, "there is an input from the beginning"
        # Not beside a bool: one of NumPy counts as a Python number where it is alone, but not when compiled.
        with_number = self.value(x).dtype.kind != "b" and self.chance(5)
        y: int | float = self.one_of((2.0, 0.5, -1.0, -1.5)) if with_number else self.beside(x)
        kinds = {self.value(v).dtype.kind for v in (x, y) if type(v) is int}
        names = ["add", "multiply", "maximum", "minimum"]
        if "b" not in kinds:
            names.append("subtract")
            if not isinstance(y, int) or self.known[y].signed:
                names.append("divide")
        if kinds == {"f"} and all(self.known[v].signed for v in (x, y) if type(v) is int):
            names.append("power")
        swap = type(y) is float and self.known[x].signed and self.chance(2)
        name = self.one_of(names)
        self.add(name, *((y, x) if swap and name != "power" else (x, y)))

    def comparison(self) -> None:
        x = self.any(lambda k: k.exact)
        if x is not None:
            y = self.beside(x, lambda k: k.exact)
            self.add(self.one_of(_COMPARISONS), x, y)

    def where(self) -> None:
        condition = self.any(lambda k: k.value.dtype.kind == "b")
        condition = self.new(self.value(len(self.known) - 1).shape, "bool") if condition is None else condition
        x = self.beside(condition)
        with_number = self.value(x).dtype.kind != "b" and self.chance(4)
        y: int | float = 0.25 if with_number else self.beside(x)
        shapes = [self.value(v).shape for v in (condition, x, y) if type(v) is int]
        try:
            np.broadcast_shapes(*shapes)
        except ValueError:
            y = x
        self.add("where", condition, x, y)

    def clip(self) -> None:
        x = self.any(lambda k: k.value.dtype.kind == "f")
        if x is not None:
            self.add("clip", x, -0.75, 1.25)

    def cast(self) -> None:
        x = self.any()
        assert x is not None, "there is an input from the beginning"
        dtype, value = self.one_of(DTYPES), self.value(x)
        small = value.size == 0 or (np.isfinite(value).all() and np.abs(value.astype(float)).max() < 1e6)
        if np.dtype(dtype).kind == "f" or (self.known[x].exact and small):
            self.add("astype", x, dtype=dtype)

    # --- several elements ---------------------------------------------------------------------------------------------

    def reduce(self) -> None:
        x = self.any(lambda k: k.value.size > 0 and k.value.dtype.kind in "if")
        if x is not None:
            self.add(self.one_of(_REDUCTIONS), x, axis=self.axes(self.value(x).ndim), keepdims=self.chance(2))

    def count(self) -> None:
        x = self.any(lambda k: k.exact)
        if x is not None:
            self.add(self.one_of(("any", "all", "sum")), x, axis=self.axes(self.value(x).ndim))

    def place(self) -> None:
        x = self.any(lambda k: k.exact and k.value.size > 0)
        if x is not None:
            rank = self.value(x).ndim
            self.add(self.one_of(("argmax", "argmin")), x, axis=self.one_of((None, *range(-rank, rank))))

    def softmax(self) -> None:
        x = self.any(lambda k: k.value.ndim > 0 and k.value.size > 0 and k.value.dtype.kind == "f")
        if x is not None:
            self.add(self.one_of(("softmax", "log_softmax")), x, axis=self.number(-self.value(x).ndim, -1))

    def product(self) -> None:
        x = self.any(lambda k: k.value.ndim > 0 and k.value.dtype.kind != "b")
        if x is None:
            return
        length, dtype = self.value(x).shape[-1], self.value(x).dtype
        if self.value(x).ndim == 2 and self.chance(4):
            self.add("einsum", "ij,jk->ki", x, self.new((length, 3), dtype))
            return
        fitting = self.any(lambda k: 0 < k.value.ndim < 3 and k.value.shape[0] == length and k.value.dtype.kind != "b")
        if fitting is None or self.chance(2):
            fitting = self.new((length,) if self.chance(3) else (length, self.one_of(_SIZES)), dtype)
        self.add("matmul", x, fitting)

    # --- moves --------------------------------------------------------------------------------------------------------

    def reshape(self) -> None:
        x = self.any(lambda k: k.value.size > 0)
        if x is not None:
            size = self.value(x).size
            first = self.one_of([n for n in (1, 2, 3, 4, 5, size) if size % n == 0])
            self.add("reshape", x, shape=self.one_of(((first, -1), (-1,), (first, 1, size // first))))

    def turn(self) -> None:
        x = self.any(lambda k: k.value.ndim > 1)
        if x is not None:
            self.add("transpose", x, axes=self.one_of((None, tuple(np.roll(range(self.value(x).ndim), 1).tolist()))))

    def widen(self) -> None:
        x = self.any()
        assert x is not None, "there is an input from the beginning"
        if self.chance(2):
            self.add("expand_dims", x, axis=self.number(-1 - self.value(x).ndim, 0))
        else:
            shape = tuple(3 if n == 1 else n for n in self.value(x).shape)
            self.add("broadcast_to", x, shape=(2, *shape) if self.chance(2) else shape)

    def slice(self) -> None:
        x = self.any(lambda k: k.value.ndim > 0)
        if x is not None:
            parts = (slice(None), slice(None, None, -1), slice(1, None), slice(None, None, 2), slice(-2, None), None, 0)
            whole = [p for p in parts if p != 0] if 0 in self.value(x).shape else parts
            key = tuple(self.one_of(whole) for _ in range(self.number(1, self.value(x).ndim)))
            self.add("getitem", x, key=key)

    def take(self) -> None:
        x = self.any(lambda k: k.value.ndim > 0 and k.value.size > 0)
        if x is None:
            return
        axis = self.number(-self.value(x).ndim, self.value(x).ndim - 1)
        size = self.value(x).shape[axis]
        self.add("take", x, self.indices(self.one_of(((), (2,), (3, 2))), -size, size), axis=axis)

    def indices(self, shape: tuple[int, ...], low: int, high: int) -> int:
        """An input of whole numbers from `low` up to below `high`."""
        place = self.new(shape, self.one_of(("int32", "int64")))
        content = np.asarray(self.rng.integers(low, high, shape)).astype(self.value(place).dtype)
        self.inputs[-1] = self.values[-1] = content
        self.known[-1] = _Known(content, True, True)
        return place

    def join(self) -> None:
        x = self.any(lambda k: k.value.ndim > 0)
        if x is not None:
            shape, dtype = self.value(x).shape, self.value(x).dtype
            like = self.any(lambda k: k.value.shape == shape)
            other = self.new(shape, dtype) if like is None or self.chance(4) else like
            self.add(self.one_of(LISTED), x, other, x, axis=self.number(-len(shape), len(shape) - 1))

    # --- the end ------------------------------------------------------------------------------------------------------

    def mistake(self) -> Step:
        """A step that the values do not fit."""
        found = self.any(lambda k: k.value.size > 0 and k.value.ndim > 0 and k.value.shape[-1] > 1)
        x = self.new((2, 3), "float32") if found is None else found
        shape, rank = self.value(x).shape, self.value(x).ndim
        longer = (*shape[:-1], shape[-1] + 1)
        mistakes: tuple[Callable[[], Step], ...] = (
            lambda: Step("add", (x, self.new(longer)), {}),
            lambda: Step("where", (self.new(longer, "bool"), x, 0.0), {}),
            lambda: Step("matmul", (x, self.new((shape[-1] + 1, 2), "float32")), {}),
            lambda: Step("stack", (x, self.new(longer, "float32")), {"axis": 0}),
            lambda: Step("concatenate", (x, self.new((*shape, 1), "float32")), {"axis": 0}),
            lambda: Step("sum", (x,), {"axis": rank}),
            lambda: Step("softmax", (x,), {"axis": -rank - 1}),
            lambda: Step("argmax", (x,), {"axis": rank + 1}),
            lambda: Step("reshape", (x,), {"shape": (prod(shape) + 1,)}),
            lambda: Step("transpose", (x,), {"axes": (0,) * (rank + 1)}),
            lambda: Step("broadcast_to", (x,), {"shape": longer}),
            lambda: Step("expand_dims", (x,), {"axis": rank + 2}),
            lambda: Step("getitem", (x,), {"key": (..., shape[-1])}),
            lambda: Step("astype", (x,), {"dtype": "complex64"}),
            lambda: Step("take", (x, self.new((2,), "float64")), {"axis": 0}),
            lambda: Step("take", (x, self.indices((2,), shape[-1], 2 * shape[-1])), {"axis": -1}),
            lambda: Step("take", (x, self.indices((), -9 * shape[-1], -shape[-1])), {"axis": -1}),
        )
        return self.one_of(mistakes)()  # type: ignore[no-any-return]


_STEPS = (
    *("function", "function", "function", "binary", "binary", "binary", "comparison", "where", "clip", "cast", "whole"),
    *("reduce", "reduce", "count", "place", "softmax", "product", "product"),
    *("reshape", "turn", "widen", "slice", "take", "join"),
)


@st.composite
def graphs(draw: Any, *, most: Sequence[int] = (3, 4, 5, 6, 8, 30), mistaken: bool = False) -> Graph:
    """Graphs of 2 to 30 steps, small ones most often; `most` is how many at most, one of several.

    With `mistaken` the last step does not fit, and the graph raises.
    """
    drawing = Drawing(draw(st.randoms(use_true_random=False)))
    drawing.new(dtype=drawing.one_of(("float32", "float64")))
    count = drawing.number(2, drawing.one_of(most))
    while len(drawing.steps) - len(drawing.inputs) < count:
        drawing.step()
    last = (drawing.mistake(),) if mistaken else ()
    return Graph(tuple(drawing.inputs), (*drawing.steps, *last))
