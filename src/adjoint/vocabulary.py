"""The words `m` that rules are written in.

An op's forward and its gradient rules call only words of `m`; what a word does depends on who reads the rule:

- `ARRAYS`: NumPy arrays and numbers (an eager run),
- `TENSORS`: the ops of this library (a derivative that is to be differentiated again),
- `over_axis(words, axis)`: either of them with the axis of a reduction bound and kept,
- text, in `source.py`: the generated Python of the eager paths.

Operands are passed by position, settings by keyword. Every word that a gradient rule uses on differentiable operands is
also the name of an op, so that the two first vocabularies agree by construction. `array_words` takes the array library
as an argument: nothing else here, and no op's rule, names NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache, lru_cache, partial
from types import ModuleType
from typing import Any, Final

import numpy as np

from adjoint.errors import LabelError
from adjoint.recording import here

#: Every op by its name; filled by `op.py`.
REGISTRY: Final[dict[str, Any]] = {}


class Words:
    """A vocabulary: an object whose attributes are the words. The name of an op is a word, too: its forward rule."""

    def __init__(self, words: Mapping[str, Callable[..., Any]]) -> None:
        self.__dict__.update(words)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return forward_as_word(self, name)


def forward_as_word(m: Any, name: str) -> Callable[..., Any]:
    """The forward rule of an op as a word of `m`."""
    if name not in REGISTRY:
        raise AttributeError(f"a rule said m.{name}, which is neither a word of the vocabulary nor the name of an op")
    forward = REGISTRY[name].forward
    return lambda *xs, **params: forward(m, *xs, **params)


#: Words that are the array library's functions of the same name.
_SAME_NAME: Final = (
    *("exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "sqrt", "cbrt", "square", "reciprocal"),
    *("sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan", "arctan2"),
    *("maximum", "minimum", "sign", "floor", "ceil", "trunc", "isnan", "isinf", "isfinite"),
    *("logical_and", "logical_or", "logical_not", "matmul"),
    *("argmax", "argmin"),
)


def array_words(xp: ModuleType) -> Words:
    """The vocabulary of an array library with NumPy's interface."""
    words = {name: getattr(xp, name) for name in _SAME_NAME}
    words |= {
        "abs": xp.absolute,
        "round": xp.rint,
        "pow": xp.power,
        "remainder": xp.remainder,
        "not_": xp.logical_not,
        "and_": xp.logical_and,
        "erf": _lazy_erf,
        "einsum": _lazy_einsum,
        "negative": xp.negative,
        # a method of the ufunc is three times cheaper to call than the function around it
        "sum": _reduce(xp.add),
        "max": _reduce(xp.maximum),
        "min": _reduce(xp.minimum),
        "all": _reduce(xp.logical_and),
        "any": _reduce(xp.logical_or),
        "where": partial(_where, xp),
        "broadcast_to": partial(_broadcast, xp),
        "cast": lambda x, dtype: xp.asarray(x).astype(dtype),
        "concatenate": lambda *xs, axis: xp.concatenate(xs, axis=axis),
        "stack": lambda *xs, axis: xp.stack(xs, axis=axis),
        "getitem": lambda x, key: xp.asarray(x)[key],
        "scatter_add": partial(_scatter_add, xp),
        "take": partial(_take, xp),
        "index_add": partial(_index_add, xp),
        "take_along_axis": partial(_take_along_axis, xp),
        "add_along_axis": partial(_add_along_axis, xp),
        "check_labels": partial(_check_labels, xp),
        "uniform": lambda counter, seed, shape: _stream(xp, seed, counter).random(shape),
        "normal": lambda counter, seed, shape: _stream(xp, seed, counter).standard_normal(shape),
        "integers": lambda counter, seed, low, high, shape: _stream(xp, seed, counter).integers(low, high, shape),
        "permutation": lambda counter, seed, n: _stream(xp, seed, counter).permutation(n),
        # methods of the array: a third of the time of the functions around them
        "reshape": lambda x, shape: xp.asarray(x).reshape(shape),
        "transpose": lambda x, axes=None: xp.asarray(x).transpose(axes),
        "mT": lambda x: xp.asarray(x).swapaxes(-1, -2),
    }
    return Words(words)


def _reduce(ufunc: np.ufunc) -> Callable[..., Any]:
    return partial(ufunc.reduce, axis=None, keepdims=False)


def _broadcast(xp: ModuleType, x: Any, shape: tuple[int, ...]) -> Any:
    """A repeated value, copied: for small arrays that costs a fifth of NumPy's view with zero strides."""
    result = xp.empty(shape, xp.asarray(x).dtype)
    if len(result.shape) < len(xp.shape(x)):  # NumPy's assignment would drop leading axes of size 1
        return xp.broadcast_to(x, shape)
    result[...] = x
    return result


def _where(xp: ModuleType, condition: Any, x: Any, y: Any) -> Any:
    """NumPy's where; against a literal zero as a product of bit patterns with 0 or 1.

    The product keeps infinities and NaN, as a choice must, and has no branch to predict: it took 165 µs where NumPy's
    choice took 1,160 µs on 256 × 1,024 random signs.
    """
    if type(y) is float and type(x) is np.ndarray and type(condition) is np.ndarray:
        bits = _BITS.get(x.dtype)
        if bits is not None and y == 0.0 and math.copysign(1.0, y) > 0.0 and condition.dtype == bool:
            return (x.view(bits) * condition).view(x.dtype)
    return xp.where(condition, x, y)


#: Integers as wide as a floating number.
_BITS: Final = {np.dtype(np.float32): np.int32, np.dtype(np.float64): np.int64}


def _lazy_erf(x: Any) -> Any:
    from scipy.special import erf  # SciPy is imported when it is first needed

    return erf(x)


def _lazy_einsum(*xs: Any, subscripts: str) -> Any:
    from opt_einsum import contract

    return contract(subscripts, *xs)


def _stream(xp: ModuleType, seed: int, counter: Any) -> Any:
    """The random stream of one draw: Philox with the draw's number in the highest word of its counter."""
    return xp.random.Generator(xp.random.Philox(key=seed, counter=int(counter) << 192))


def _scatter_add(xp: ModuleType, x: Any, key: Any, shape: tuple[int, ...]) -> Any:
    """Zeros with `x` added at `key`: an index that is named twice receives twice."""
    result = xp.zeros(shape, xp.asarray(x).dtype)
    if is_basic_index(key):
        result[key] = x
    else:
        xp.add.at(result, key, x)
    return result


def is_basic_index(key: Any) -> bool:
    """True for an index that names every element at most once: integers, slices, None, Ellipsis."""
    for part in key if type(key) is tuple else (key,):
        if part is not None and part is not Ellipsis and not isinstance(part, slice | int | np.integer):
            return False
    return True


# --- indices as operands --------------------------------------------------------------------------------------------


def _whole(xp: ModuleType, indices: Any) -> Any:
    """Indices in the dtype that arrays are indexed with; `[]`, which NumPy takes for floats, names nothing."""
    array = xp.asarray(indices)
    if array.dtype == xp.intp:
        return array
    if array.dtype.kind in "iu" or (array.dtype.kind == "f" and not array.size):
        return array.astype(xp.intp)
    raise TypeError(f"expected integer indices, got {array.dtype}")


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ValueError(f"expected an axis from {-rank} to {rank - 1}, got {axis}")
    return axis % rank


def _take(xp: ModuleType, x: Any, indices: Any, axis: int) -> Any:
    array = xp.asarray(x)
    return array.take(_whole(xp, indices), _axis(axis, array.ndim))


@lru_cache(maxsize=64)
def _lanes(xp: ModuleType, shape: tuple[int, ...], rank: int, axis: int) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Numbers along each axis before and after one, so shaped that as indices they broadcast to all of its lanes.

    Kept for the next call: making them took as long as the indexing of 32 rows itself.
    """
    if rank != len(shape):
        raise ValueError(f"expected as many axes as of the indices, got {len(shape)} and {rank}")
    axis = _axis(axis, rank)
    numbers = [xp.arange(n).reshape((-1,) + (1,) * (rank - 1 - i)) for i, n in enumerate(shape)]
    return tuple(numbers[:axis]), tuple(numbers[axis + 1 :])


def _take_along_axis(xp: ModuleType, x: Any, indices: Any, axis: int) -> Any:
    x, indices = xp.asarray(x), _whole(xp, indices)
    before, after = _lanes(xp, x.shape, indices.ndim, axis)
    return x[(*before, indices, *after)]


@lru_cache(maxsize=256)
def _added_shapes(
    xp: ModuleType, x: tuple[int, ...], indices: tuple[int, ...], axis: int, size: int
) -> tuple[tuple[int, ...], tuple[int, ...], bool]:
    """What values and indices broadcast to, the shape of the result, and whether each lane has a single index."""
    shape = xp.broadcast_shapes(x, indices)
    axis = _axis(axis, len(x))
    if len(x) != len(indices) or indices[axis] != shape[axis]:
        raise ValueError(f"expected a value for each index, got {x} for {indices}")
    return shape, (*shape[:axis], size, *shape[axis + 1 :]), shape[axis] == 1


#: From so many elements on it pays to number places from 0 on: add.at then takes a quarter of its time.
_FEW: Final = 512


def _add_along_axis(xp: ModuleType, x: Any, indices: Any, axis: int, size: int) -> Any:
    """Zeros with `x` added at the indices of each lane: an index that is named twice receives twice."""
    x, indices = xp.asarray(x), _whole(xp, indices)
    shape, result_shape, single = _added_shapes(xp, x.shape, indices.shape, axis, size)
    before, after = _lanes(xp, result_shape, len(shape), axis)
    result = xp.zeros(result_shape, x.dtype)
    if single:  # no place is named twice: half the time
        result[(*before, indices, *after)] = x
        return result
    if math.prod(shape) < _FEW:
        xp.add.at(result, (*before, indices, *after), x)
        return result
    starts, step = _lane_starts(xp, result_shape, axis)
    places = starts + _from_the_front(xp, indices, size) * step
    xp.add.at(result.reshape(-1), _flat(xp, places, shape), _flat(xp, x, shape))
    return result


@lru_cache(maxsize=64)
def _lane_starts(xp: ModuleType, shape: tuple[int, ...], axis: int) -> tuple[Any, int]:
    """Where each lane along an axis starts in the flat array, and how far apart its entries are."""
    before, after = _lanes(xp, shape, len(shape), axis)
    parts = enumerate((*before, 0, *after))
    return sum(part * math.prod(shape[i + 1 :]) for i, part in parts), math.prod(shape[axis % len(shape) + 1 :])


def _flat(xp: ModuleType, x: Any, shape: tuple[int, ...]) -> Any:
    return (x if x.shape == shape else xp.broadcast_to(x, shape)).reshape(-1)


def _from_the_front(xp: ModuleType, indices: Any, size: int) -> Any:
    """Indices from 0 on; those below 0 count from the end."""
    if not indices.size or xp.maximum.reduce(indices.view(xp.uintp), axis=None) < size:  # a negative one becomes huge
        return indices
    outside = (indices < -size) | (indices >= size)
    if outside.any():
        raise IndexError(f"index {indices[outside][0]} is out of bounds for an axis of size {size}")
    return xp.where(indices < 0, indices + size, indices)


def _index_add(xp: ModuleType, x: Any, indices: Any, axis: int, size: int) -> Any:
    """Zeros with `x` added at the numbers along an axis, which stand in x in place of that axis."""
    x, indices = xp.asarray(x), _whole(xp, indices)
    axis = _axis(axis, x.ndim - indices.ndim + 1)
    before, middle = x.shape[:axis], x.shape[axis : axis + indices.ndim]
    if middle != indices.shape:
        raise ValueError(f"expected a value for each index, got {middle} for {indices.shape}")
    after, count = x.shape[axis + indices.ndim :], indices.size
    if x.size < _FEW:
        result = xp.zeros((*before, size, *after), x.dtype)
        xp.add.at(result, (slice(None),) * axis + (indices,), x)
        return result
    lanes = x.reshape((math.prod(before), count, math.prod(after)))
    return _add_along_axis(xp, lanes, indices.reshape(1, count, 1), 1, size).reshape((*before, size, *after))


def _check_labels(xp: ModuleType, labels: Any, classes: int, what: str) -> Any:
    """The labels, copied: their owner may change them before the backward pass reads them."""
    given = xp.asarray(labels)
    if given.dtype.kind not in "iu":
        raise TypeError(f"expected integer labels, got {given.dtype}")
    checked = given.astype(xp.intp)
    if given.size and xp.maximum.reduce(checked.view(xp.uintp), axis=None) >= classes:  # a negative one becomes huge
        row = int(xp.flatnonzero((given < 0) | (given >= classes))[0])
        raise LabelError(
            f"{what}: expected labels from 0 to {classes - 1} (scores have {classes} classes), "
            f"got {int(given.reshape(-1)[row])} at row {row}{here()}"
        )
    checked.flags.writeable = False
    return checked


ARRAYS: Final = array_words(np)


class _TensorWords(Words):
    """Words that are ops of the registry, looked up when a rule first says them."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        op = REGISTRY.get(_OP_OF_WORD.get(name, name))
        if op is None:
            raise AttributeError(f"a gradient rule said m.{name}, which is not the name of an op")
        word: Callable[..., Any] = op.apply
        self.__dict__[name] = word
        return word


_OP_OF_WORD: Final = {"not_": "logical_not", "and_": "logical_and", "pow": "power"}

TENSORS: Final = _TensorWords({})


class _OverAxis:
    """Words with the axis of a reduction bound and kept; all other words are passed on."""

    def __init__(self, words: Words, axis: tuple[int, ...]) -> None:
        self._words = words
        self._axes = axis
        self.sum = partial(words.sum, axis=axis, keepdims=True)
        self.max = partial(words.max, axis=axis, keepdims=True)
        self.min = partial(words.min, axis=axis, keepdims=True)
        self.all = partial(words.all, axis=axis, keepdims=True)
        self.any = partial(words.any, axis=axis, keepdims=True)

    def count(self, x: Any) -> float:
        """Number of elements that one result comes from."""
        return _count(x.shape, self._axes)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        word: Callable[..., Any] = getattr(self._words, name)
        self.__dict__[name] = word  # the next time it is found without this detour
        return word


@lru_cache(maxsize=4096)
def _count(shape: tuple[int, ...], axes: tuple[int, ...]) -> float:
    return float(math.prod([shape[a] for a in axes]))


@cache
def over_axis(words: Words, axis: tuple[int, ...]) -> Any:
    """The vocabulary with the axis of a reduction bound and kept."""
    return _OverAxis(words, axis)
