"""Programs drawn at random for the tests of the kernels, together with what they are run on.

Steps are drawn that make a value of values there are already; every shape follows from theirs. What a rounding error
would turn into something else (comparisons, rounding to integers, places of the largest) is drawn of values that have
none, and what tells 0 from −0 (a divisor) of values whose zeros have a sign that NumPy and the kernels agree on: a
maximum of both may be either.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from adjoint.abstract import Abstract
from adjoint.compiler.program import Builder, Program, Value

Array = np.ndarray[Any, Any]
DTYPES = ("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool")
_SIZES = (1, 2, 3, 4, 15, 16, 17, 33, 100)
_LARGE_SIZES = (*_SIZES, 700, 8193, 20000, 131073)
_SPECIAL = (0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, 1.0, -1.0)
_LIMIT = 1 << 15
_LARGE_LIMIT = 1 << 18


class Drawn(NamedTuple):
    """A program, what it is given, and which outputs are new values of which inputs."""

    program: Program
    given: list[Array]
    states: dict[int, int]


class _Known(NamedTuple):
    """What is known of a value: whether it has no rounding error, and whether the signs of its zeros are agreed on."""

    exact: bool
    signed: bool


class Steps:
    """A program as it is drawn: the values there are, and the steps that add to them."""

    def __init__(self, draw: Callable[[Any], Any], *, large: bool = False) -> None:
        self.draw = draw
        self.sizes = _LARGE_SIZES if large else _SIZES
        self.limit = _LARGE_LIMIT if large else _LIMIT
        self.builder = Builder()
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.special = draw(st.booleans())
        self.inputs: list[Value] = []
        self.given: list[Array] = []
        self.pool: list[Value] = []
        self.known: dict[int, _Known] = {}

    # --- values to begin with ---------------------------------------------------------------------------------------

    def shape(self) -> tuple[int, ...]:
        """A shape of up to four axes."""
        sizes = st.sampled_from(self.sizes if self.draw(st.integers(0, 12)) else (0, 1, 3))
        shape = tuple(self.draw(sizes) for _ in range(self.draw(st.integers(0, 4))))
        while prod(shape) > self.limit:
            shape = shape[1:]
        return shape

    def content(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Numbers of a dtype, with ties; floats with special values where the program is to have them."""
        dtype = np.dtype(dtype)
        if dtype.kind == "b":
            return self.rng.random(shape) < 0.5
        if dtype.kind in "iu":
            low = 0 if dtype.kind == "u" else -6
            return self.rng.integers(low, 7, shape).astype(dtype)
        content = np.where(self.rng.random(shape) < 0.3, self.rng.integers(-2, 3, shape), self.rng.normal(size=shape))
        if self.special:
            content = np.where(self.rng.random(shape) < 0.1, self.rng.choice(_SPECIAL, shape), content)
        with np.errstate(all="ignore"):
            return np.asarray(content).astype(dtype)

    def new(self, shape: tuple[int, ...] | None = None, dtype: Any = None) -> Value:
        """An input, a constant or a count."""
        shape = self.shape() if shape is None else shape
        dtype = np.dtype(self.draw(st.sampled_from(DTYPES)) if dtype is None else dtype)
        which = self.draw(st.integers(0, 9))
        if which == 0 and shape:
            axis = self.draw(st.integers(0, len(shape) - 1))
            return self.add(self.builder.cast(self.builder.shaped("iota", shape=shape, axis=axis), dtype))
        content = self.content(shape, dtype)
        if which == 1:
            return self.add(self.builder.constant(content))
        if which == 2:
            return self.add(self.builder.constant(np.full(shape, content.flat[0] if content.size else 0, dtype)))
        self.inputs.append(self.builder.input(Abstract(shape, dtype)))
        self.given.append(content)
        return self.add(self.inputs[-1])

    def add(self, value: Value, *, exact: bool = True, signed: bool = True) -> Value:
        """Note what is known of a value: no more than of its operands."""
        for x in value.inputs:
            if x.number not in self.known:
                self.add(x)
        operands = [self.known[x.number] for x in value.inputs]
        known = _Known(exact and all(k.exact for k in operands), signed and all(k.signed for k in operands))
        if value.number not in self.known:
            self.known[value.number] = known
            self.pool.append(value)
        return value

    def any(self, of: Callable[[Value], bool] = lambda _: True) -> Value:
        """A value there is, the latest most often; a new one if none will do."""
        fitting = [x for x in self.pool if of(x)]
        if not fitting:
            return self.new(dtype="float32")
        place = self.draw(st.integers(0, 2 * len(fitting)))
        return fitting[-1 - place // 2] if place // 2 < len(fitting) else fitting[-1]

    def beside(self, x: Value) -> Value:
        """An operand whose shape broadcasts with that of x, and whose product with it is not too large."""

        def fits(y: Value) -> bool:
            try:
                return prod(np.broadcast_shapes(x.shape, y.shape)) <= self.limit
            except ValueError:
                return False

        if self.draw(st.booleans()) and any(map(fits, self.pool)):
            return self.any(fits)
        drop = self.draw(st.integers(0, len(x.shape)))
        shape = tuple(1 if self.draw(st.booleans()) else n for n in x.shape[drop:])
        return self.new(shape, self.draw(st.sampled_from((x.dtype.name, *DTYPES))))

    def floats(self, x: Value) -> Value:
        """x in a dtype that functions are computed in."""
        return x if x.dtype.kind == "f" else self.add(self.builder.cast(x, np.float32))

    # --- steps --------------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """One primitive more."""
        name = self.draw(st.sampled_from(_STEPS))
        getattr(self, name)()

    def exact(self, x: Value) -> bool:
        return self.known[x.number].exact

    def function(self) -> None:
        x = self.floats(self.any())
        kinds = ("exp", "log", "tanh", "sin", "sqrt", "erf", "expm1", "log1p", "arctan", "cbrt")
        kind = self.draw(st.sampled_from(kinds))
        self.add(self.builder.elementwise(kind, x), exact=kind == "sqrt")

    def unary(self) -> None:
        x = self.any()
        kinds = ["abs"] if x.dtype.kind != "b" else ["not_"]
        if x.dtype.kind in "fi":
            kinds.append("negative")
        if x.dtype.kind != "b":
            kinds.append("square")
        if x.dtype.kind == "f" and self.known[x.number].signed:
            kinds.append("reciprocal")
        if x.dtype.kind != "b" and self.exact(x):
            kinds += ["sign", "floor", "ceil", "trunc", "round"]
        if x.dtype.kind == "f" and self.exact(x):
            kinds += ["isnan", "isinf", "isfinite"]
        self.keep(self.builder.elementwise(self.draw(st.sampled_from(kinds)), x))

    def binary(self) -> None:
        x = self.any()
        y = self.beside(x)
        if self.draw(st.booleans()):
            x, y = y, x
        kinds = ["add", "multiply", "maximum", "minimum"]
        if "b" not in (x.dtype.kind, y.dtype.kind):
            kinds.append("subtract")
            if self.known[y.number].signed and {x.dtype.kind, y.dtype.kind} == {"f"}:
                kinds.append("divide")
            if self.exact(x) and self.exact(y) and "f" not in (x.dtype.kind, y.dtype.kind):
                kinds.append("remainder")
        kind = self.draw(st.sampled_from(kinds))
        self.keep(self.builder.elementwise(kind, x, y), signed=kind not in ("maximum", "minimum"))

    def keep(self, value: Value, **known: bool) -> None:
        """Add a value unless it has a dtype that there are no kernels for."""
        if value.dtype.name in DTYPES and all(x.dtype.name in DTYPES for x in value.inputs):
            self.add(value, **known)

    def comparison(self) -> None:
        x = self.any(self.exact)
        y = self.beside(x)
        if self.exact(y):
            kinds = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "and_", "or_")
            self.keep(self.builder.elementwise(self.draw(st.sampled_from(kinds)), x, y))

    def relu(self) -> None:
        x = self.floats(self.any())
        zero = self.builder.constant(np.zeros((), x.dtype))
        self.add(self.builder.elementwise("maximum", x, zero), signed=False)
        if self.exact(x):
            self.add(self.builder.elementwise("greater", x, zero))

    def where(self) -> None:
        condition = self.any(lambda v: v.dtype.kind == "b")
        if condition.dtype.kind == "b":
            x = self.beside(condition)
            shape = np.broadcast_shapes(condition.shape, x.shape)
            y = self.new(tuple(n if self.draw(st.booleans()) else 1 for n in shape), x.dtype)
            self.keep(self.builder.where(condition, x, y))

    def cast(self) -> None:
        x = self.any()
        dtype = np.dtype(self.draw(st.sampled_from(DTYPES)))
        if x.dtype.kind == "f" and dtype.kind in "iu":
            x = self.clipped(x, 0 if dtype.kind == "u" else -100)
        if x.dtype.kind == "f" and dtype.kind != "f" and not self.exact(x):
            return
        self.add(self.builder.cast(x, dtype))

    def clipped(self, x: Value, low: int) -> Value:
        """What a conversion to integers is defined for."""
        build, dtype = self.builder, x.dtype
        if not self.exact(x):
            return x
        finite = build.where(build.elementwise("isfinite", x), x, build.constant(dtype.type(1)))
        above = build.elementwise("maximum", finite, build.constant(dtype.type(low)))
        return self.add(build.elementwise("minimum", above, build.constant(dtype.type(100))), signed=False)

    def reshape(self) -> None:
        x = self.any()
        size, shape = x.abstract.size, list[int]()
        if size == 0:
            return
        while size > 1 and len(shape) < 4 and self.draw(st.integers(0, 3)):
            divisors = [n for n in (2, 3, 4, 5, 16, 17, 33, 100) if size % n == 0]
            if not divisors:
                break
            shape.append(self.draw(st.sampled_from(divisors)))
            size //= shape[-1]
        shape.append(size)
        for _ in range(self.draw(st.integers(0, 2))):
            shape.insert(self.draw(st.integers(0, len(shape))), 1)
        order = self.draw(st.permutations(shape))
        self.add(self.builder.shaped("reshape", x, shape=tuple(order)))

    def merge(self) -> None:
        x = self.any(lambda v: len(v.shape) > 1)
        if len(x.shape) > 1:
            place = self.draw(st.integers(0, len(x.shape) - 2))
            shape = (*x.shape[:place], x.shape[place] * x.shape[place + 1], *x.shape[place + 2 :])
            self.add(self.builder.shaped("reshape", x, shape=shape))

    def transpose(self) -> None:
        x = self.any(lambda v: len(v.shape) > 1)
        self.add(self.builder.shaped("transpose", x, axes=tuple(self.draw(st.permutations(range(len(x.shape)))))))

    def broadcast(self) -> None:
        x = self.any()
        shape = tuple(self.draw(st.sampled_from((1, 3, 16))) if n == 1 else n for n in x.shape)
        shape = (*self.draw(st.sampled_from(((), (1,), (2,), (17,)))), *shape)
        if prod(shape) <= self.limit:
            self.add(self.builder.shaped("broadcast", x, shape=shape))

    def key(self, shape: tuple[int, ...], *, whole: bool = False) -> tuple[Any, ...]:
        """A basic index; `whole`: of slices alone."""
        parts: list[Any] = []
        for n in shape:
            which = self.draw(st.integers(0, 5))
            if not whole and which == 0:
                parts.append(None)
            if not whole and which == 1 and n:
                parts.append(self.draw(st.integers(-n, n - 1)))
            elif which == 2:
                parts.append(slice(None, None, -1))
            elif which == 3:
                start, stop = self.draw(st.integers(-n, n)), self.draw(st.integers(-n, n))
                parts.append(slice(start, stop, self.draw(st.sampled_from((1, 2, 3, -1, -2)))))
            elif which == 4:
                parts.append(slice(self.draw(st.integers(0, max(n - 1, 0))), None))
            else:
                parts.append(slice(None))
        return tuple(parts)

    def slice(self) -> None:
        x = self.any()
        self.add(self.builder.shaped("slice", x, key=self.key(x.shape)))

    def unslice(self) -> None:
        """Zeros with a value where a slice of them was."""
        x = self.any()
        shape, parts = [], []
        for n in x.shape:
            step = self.draw(st.sampled_from((1, 1, 2, -1, -2)))
            before, after = self.draw(st.integers(0, 2)), self.draw(st.integers(0, 2))
            size = before + max(0, (n - 1) * abs(step) + 1 if n else 0) + after
            taken = range(before, size - after, abs(step))[:: 1 if step > 0 else -1]
            shape.append(size)
            if len(taken):
                stop = taken[-1] + step
                parts.append(slice(taken[0], None if stop < 0 else stop, step))
            else:
                parts.append(slice(0, 0))
        if prod(shape) <= self.limit:
            self.add(self.builder.shaped("unslice", x, key=tuple(parts), shape=tuple(shape)))

    def concatenate(self) -> None:
        x = self.any(lambda v: len(v.shape) > 0)
        if not x.shape:
            return
        axis = self.draw(st.integers(0, len(x.shape) - 1))
        others = []
        for _ in range(self.draw(st.integers(1, 2))):

            def fits(v: Value) -> bool:
                return (len(v.shape) == len(x.shape) and v.dtype == x.dtype) and all(
                    a == b for i, (a, b) in enumerate(zip(v.shape, x.shape, strict=True)) if i != axis
                )

            size = self.draw(st.sampled_from((0, 1, 2, 16)))
            shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
            others.append(self.any(fits) if self.draw(st.booleans()) else self.new(shape, x.dtype))
        parts = self.draw(st.permutations([x, *[v for v in others if fits(v)]]))
        value = self.builder.shaped("concatenate", *parts, axis=axis)
        if value.abstract.size <= self.limit:
            self.add(value)

    def indices(self, shape: tuple[int, ...], size: int) -> Value:
        """Places below a size."""
        content = self.rng.integers(0, size, shape).astype(self.draw(st.sampled_from(("int64", "int32", "uint8"))))
        if self.draw(st.booleans()):
            return self.add(self.builder.constant(content))
        self.inputs.append(self.builder.input(Abstract(shape, content.dtype)))
        self.given.append(content)
        return self.add(self.inputs[-1])

    def gather(self) -> None:
        x = self.any(lambda v: len(v.shape) > 0 and 0 < v.shape[0] < 256)
        if not x.shape or not 0 < x.shape[0] < 256:
            return
        shape = tuple(self.draw(st.lists(st.sampled_from((0, 1, 2, 5, 17)), max_size=2)))
        if prod(shape) * x.abstract.size <= self.limit:
            value = self.builder.make("gather", (x, self.indices(shape, x.shape[0])), {}, _like(x, shape))
            self.add(value)

    def scatter(self) -> None:
        x = self.any(lambda v: len(v.shape) > 0)
        size = self.draw(st.sampled_from((1, 2, 17)))
        if x.shape and size * prod(x.shape[1:]) <= self.limit:
            value = self.builder.shaped("scatter", x, self.indices(x.shape[:1], size), size=size)
            self.add(value, exact=x.dtype.kind != "f", signed=x.dtype.kind != "f")

    def reduce(self) -> None:
        kind = self.draw(st.sampled_from(("sum", "sum", "max", "min", "any", "all")))
        x = self.any(lambda v: v.abstract.size > 0 or kind in ("sum", "any", "all"))
        if kind in ("any", "all") and not self.exact(x):
            kind = "sum"
        if kind in ("max", "min") and x.abstract.size == 0:
            return
        axes = [i for i in range(len(x.shape)) if self.draw(st.booleans())]
        is_float = x.dtype.kind == "f"
        self.add(
            self.builder.reduce(kind, x, tuple(axes)),
            exact=kind != "sum" or not is_float,
            signed=not is_float or kind in ("any", "all"),
        )

    def place(self) -> None:
        x = self.any(lambda v: self.exact(v) and v.abstract.size > 0)
        if x.abstract.size:
            axis = self.draw(st.sampled_from((None, *range(len(x.shape))))) if x.shape else None
            self.add(self.builder.shaped(self.draw(st.sampled_from(("argmax", "argmin"))), x, axis=axis))

    def matmul(self) -> None:
        x = self.any(lambda v: len(v.shape) > 0)
        if not x.shape:
            return
        kind, k = self.draw(st.integers(0, 3)), x.shape[-1]
        if kind == 0 and len(x.shape) > 1:
            order = (*range(len(x.shape) - 2), len(x.shape) - 1, len(x.shape) - 2)
            y = self.add(self.builder.shaped("transpose", x, axes=order))
        elif kind == 1:
            y = self.new((k,), x.dtype)
        else:
            y = self.new((k, self.draw(st.sampled_from((1, 3, 16, 33)))), x.dtype)
        if y.dtype == x.dtype and x.abstract.size * y.shape[-1] <= 8 * self.limit:
            value = self.builder.shaped("matmul", x, y)
            self.add(value, exact=x.dtype.kind != "f", signed=x.dtype.kind != "f")

    def softmax(self) -> None:
        """A row that is read three times."""
        build, x = self.builder, self.floats(self.any(lambda v: len(v.shape) > 0 and v.abstract.size > 0))
        if not x.shape or not x.abstract.size:
            return
        last = (len(x.shape) - 1,)
        top = build.reduce("max", x, last)
        self.add(top, signed=False)
        powers = build.elementwise("exp", build.elementwise("subtract", x, top))
        self.add(powers, exact=False, signed=False)
        total = build.reduce("sum", powers, last)
        self.add(total, exact=False)
        self.add(build.elementwise("divide", powers, total), exact=False, signed=False)

    # --- the end ------------------------------------------------------------------------------------------------------

    def finished(self) -> Drawn:
        """Outputs, among them what nothing else reads, and states among the inputs."""
        read = {x for value in self.pool for x in value.inputs}
        outputs = [value for value in self.pool if value not in read][-6:]
        for _ in range(self.draw(st.integers(0, 2))):
            outputs.append(self.pool[self.draw(st.integers(0, len(self.pool) - 1))])
        states: dict[int, int] = {}
        for place, x in enumerate(self.inputs):
            fitting = [v for v in self.pool if (v.shape, v.dtype) == (x.shape, x.dtype)]
            if self.draw(st.integers(0, 3)) == 0:
                states[len(outputs)] = place
                outputs.append(fitting[-1 - self.draw(st.integers(0, len(fitting) - 1))])
        return Drawn(self.builder.program(self.inputs, outputs), self.given, states)


def _like(x: Value, indices: tuple[int, ...]) -> Abstract:
    return Abstract((*indices, *x.shape[1:]), x.dtype)


_STEPS = (
    *("function", "unary", "unary", "binary", "binary", "binary", "comparison", "relu", "where", "cast"),
    *("reshape", "merge", "transpose", "broadcast", "slice", "unslice", "concatenate", "gather", "scatter"),
    *("reduce", "reduce", "place", "matmul", "softmax"),
)


@st.composite
def programs(draw: Any, steps: int = 16, *, large: bool = False) -> Drawn:
    """Programs of up to so many steps."""
    drawn = Steps(draw, large=large)
    drawn.new()
    for _ in range(draw(st.integers(1, steps))):
        drawn.step()
    return drawn.finished()
