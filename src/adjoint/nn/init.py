"""Initial weights: how far the first numbers spread, so that signals neither die out nor blow up.

An initialiser is a function `(rng, shape, dtype) -> array` for a weight of shape (inputs, outputs).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from adjoint.errors import AdjointError
from adjoint.ops.random import Generator
from adjoint.recording import here
from adjoint.tensor import Array

Initialiser = Callable[[Generator, tuple[int, ...], Any], Array]


def he(rng: Generator, shape: tuple[int, ...], dtype: Any = "float32") -> Array:
    """Normal numbers of variance 2 / inputs, for layers followed by a rectifier.

    w ~ N(0, 2 / n_in)

    Parameters
    ----------
    rng : Generator
    shape : tuple of int
        (inputs, outputs).
    dtype : floating NumPy dtype

    Returns
    -------
    array of this shape and dtype

    Example
    -------
    >>> import adjoint as ad
    >>> ad.nn.init.he(ad.random.Generator(0), (64, 100)).shape
    (64, 100)

    Source: K. He et al., "Delving deep into rectifiers", 2015.
    """
    return _normal(rng, shape, dtype, math.sqrt(2.0 / max(shape[0], 1)))


def xavier(rng: Generator, shape: tuple[int, ...], dtype: Any = "float32") -> Array:
    """Normal numbers of variance 2 / (inputs + outputs), for layers followed by tanh or sigmoid.

    w ~ N(0, 2 / (n_in + n_out))

    Parameters
    ----------
    rng : Generator
    shape : tuple of int
        (inputs, outputs).
    dtype : floating NumPy dtype

    Returns
    -------
    array of this shape and dtype

    Example
    -------
    >>> import adjoint as ad
    >>> ad.nn.init.xavier(ad.random.Generator(0), (64, 100)).dtype
    dtype('float32')

    Source: X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward networks", 2010.
    """
    return _normal(rng, shape, dtype, math.sqrt(2.0 / max(shape[0] + shape[-1], 1)))


def _normal(rng: Generator, shape: tuple[int, ...], dtype: Any, spread: float) -> Array:
    return (rng.normal(shape).value * spread).astype(dtype)


_NAMED: Final[dict[str, Initialiser]] = {"he": he, "xavier": xavier}


def named(init: str | Initialiser) -> Initialiser:
    """The initialiser of a name, or the function itself.

    Parameters
    ----------
    init : "he", "xavier" or function (rng, shape, dtype) -> array

    Returns
    -------
    function

    Raises
    ------
    AdjointError
        For another name.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.nn.init.named("he") is ad.nn.init.he
    True
    """
    if callable(init):
        return init
    if init not in _NAMED:
        raise AdjointError(f"init: expected {' or '.join(map(repr, _NAMED))} or a function, got {init!r}{here()}")
    return _NAMED[init]
