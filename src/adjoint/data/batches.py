"""Minibatches: arrays of equal length cut into pieces along their first axis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adjoint.errors import DataError

Arrays = tuple[NDArray[Any], ...]


def minibatches(
    arrays: Arrays, batch_size: int, *, rng: np.random.Generator | None = None, drop_last: bool = False
) -> Iterator[Arrays]:
    """Pieces of `batch_size` rows, the same rows of every array.

    Parameters
    ----------
    arrays : tuple of arrays, shapes (n, ...)
        Arrays whose rows belong together, as in `(x, y)`.
    batch_size : int
        Rows in a piece, at least 1.
    rng : numpy.random.Generator, optional
        Shuffles the rows; without it they come in order, as views.
    drop_last : bool
        Leave the last piece out where it is shorter than the others.

    Returns
    -------
    iterator of tuples of arrays, shapes (batch_size, ...)

    Raises
    ------
    DataError
        Arrays of different lengths, no arrays, something that is no array with rows, or a batch size below 1.
        Raised by the call, before the first piece is asked for.

    Example
    -------
    >>> x, y = np.arange(10).reshape(5, 2), np.arange(5)
    >>> [yb.tolist() for xb, yb in minibatches((x, y), 2)]
    [[0, 1], [2, 3], [4]]

    Source
    ------
    CS231n, lecture 3: minibatch gradient descent.
    """
    n = _common_length(arrays)
    if not _is_whole(batch_size) or batch_size < 1:
        raise DataError(f"minibatches: expected a batch size of at least 1, got {batch_size!r}")
    stop = n - n % batch_size if drop_last else n
    order = None if rng is None else rng.permutation(n)
    return _pieces(arrays, range(0, stop, batch_size), batch_size, order)


def _is_whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _common_length(arrays: object) -> int:
    if not isinstance(arrays, (tuple, list)) or not arrays:
        raise DataError(f"minibatches: expected a tuple of arrays, as in (x, y), got {type(arrays).__name__}")
    for position, array in enumerate(arrays):
        if not isinstance(array, np.ndarray) or array.ndim == 0:
            raise DataError(f"minibatches: expected arrays with rows, got {type(array).__name__} (arrays[{position}])")
    lengths = [len(array) for array in arrays]
    if len(set(lengths)) > 1:
        raise DataError(f"minibatches: expected arrays of one length, got {', '.join(map(str, lengths))} rows")
    return lengths[0]


def _pieces(arrays: Arrays, starts: range, size: int, order: NDArray[np.int64] | None) -> Iterator[Arrays]:
    for start in starts:
        rows = slice(start, start + size) if order is None else order[start : start + size]
        yield tuple(array[rows] for array in arrays)
