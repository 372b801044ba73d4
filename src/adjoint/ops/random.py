"""Random draws from an explicit generator.

A draw is a pure function of a seed and of the number of the draw (Philox4x64, a counter-based generator), so it is an
op like any other: it can be recorded, replayed and drawn. The number of the next draw is a state leaf of the generator.
Draws have no gradient; scale and shift them to get one: mu + sigma * rng.normal(shape).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from adjoint.abstract import Abstract
from adjoint.errors import DTypeError
from adjoint.leaves import State
from adjoint.op import Op
from adjoint.recording import here
from adjoint.shaped import general
from adjoint.tensor import Tensor

NO_GRADIENT = "it is drawn at random; write mu + sigma * rng.normal(shape) to get a gradient for mu and sigma"


@general(nondiff=NO_GRADIENT)
def random_uniform(m, counter, /, seed, shape):
    """Numbers drawn evenly from 0 (included) to 1 (excluded).

    out ~ U[0, 1)

    Gradient: none.

    Example
    -------
    >>> import adjoint as ad
    >>> bool((ad.random.Generator(0).uniform((3,)) < 1.0).all())
    True

    Source: J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011.
    """
    return m.uniform(counter, seed=seed, shape=shape)


@general(nondiff=NO_GRADIENT)
def random_normal(m, counter, /, seed, shape):
    """Numbers drawn from the normal distribution with mean 0 and standard deviation 1.

    out ~ N(0, 1)

    Gradient: none.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.random.Generator(0).normal((2, 3)).shape
    (2, 3)

    Source: J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011.
    """
    return m.normal(counter, seed=seed, shape=shape)


@general(nondiff=NO_GRADIENT)
def random_integers(m, counter, /, seed, low, high, shape):
    """Integers drawn evenly from low (included) to high (excluded).

    out ~ U{low, …, high − 1}

    Gradient: none.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.random.Generator(0).integers(5, 6, (2,)).value
    array([5, 5])

    Source: J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011.
    """
    return m.integers(counter, seed=seed, low=low, high=high, shape=shape)


@general(nondiff=NO_GRADIENT)
def random_permutation(m, counter, /, seed, n):
    """The numbers 0 to n − 1 in random order.

    out = a permutation of (0, …, n − 1), each equally likely

    Gradient: none.

    Example
    -------
    >>> import adjoint as ad
    >>> sorted(ad.random.Generator(0).permutation(4).tolist())
    [0, 1, 2, 3]

    Source: J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011.
    """
    return m.permutation(counter, seed=seed, n=n)


FLOAT = np.dtype(np.float64)
INTEGER = np.dtype(np.int64)
random_uniform.shape(lambda counter, seed, shape: Abstract(shape, FLOAT))
random_normal.shape(lambda counter, seed, shape: Abstract(shape, FLOAT))
random_integers.shape(lambda counter, seed, low, high, shape: Abstract(shape, INTEGER))
random_permutation.shape(lambda counter, seed, n: Abstract((n,), INTEGER))


class Generator:
    """A source of random numbers with a seed; the same seed gives the same numbers in the same order.

    Parameters
    ----------
    seed : int
        From 0 to 2¹²⁸ − 1.

    Raises
    ------
    DTypeError
        For a seed that is no integer in this range.

    Example
    -------
    >>> import adjoint as ad
    >>> a, b = ad.random.Generator(7), ad.random.Generator(7)
    >>> bool((a.normal((3,)) == b.normal((3,))).all())
    True

    Source: J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011 (Philox).
    """

    def __init__(self, seed: int = 0) -> None:
        whole: Any = seed  # a caller without types may pass anything
        if not isinstance(whole, int | np.integer) or not 0 <= whole < 2**128:
            raise DTypeError(f"Generator: expected a seed from 0 to 2**128 - 1, got {seed!r}{here()}")
        self.seed = int(seed)
        self.counter = State(np.uint64(0), name="draws")

    def __repr__(self) -> str:
        return f"Generator(seed={self.seed}, draws={int(self.counter.value)})"

    def _draw(self, op: Op, **params: Any) -> Tensor:
        drawn: Tensor = op.apply(self.counter, seed=self.seed, **params)
        self.counter.replace(self.counter.now() + np.uint64(1))
        return drawn

    def uniform(self, shape: Any = (), low: float = 0.0, high: float = 1.0, dtype: Any = "float64") -> Tensor:
        """Numbers drawn evenly between two bounds."""
        drawn = self._draw(random_uniform, shape=_shape(shape))
        return _as(drawn if (low, high) == (0.0, 1.0) else low + (high - low) * drawn, dtype)

    def normal(self, shape: Any = (), dtype: Any = "float64") -> Tensor:
        """Numbers drawn from the standard normal distribution."""
        return _as(self._draw(random_normal, shape=_shape(shape)), dtype)

    def bernoulli(self, p: Any, shape: Any = ()) -> Tensor:
        """Booleans that are true with probability p."""
        below: Tensor = self._draw(random_uniform, shape=_shape(shape)) < p
        return below

    def integers(self, low: int, high: int, shape: Any = ()) -> Tensor:
        """Integers drawn evenly from low (included) to high (excluded)."""
        return self._draw(random_integers, low=int(low), high=int(high), shape=_shape(shape))

    def permutation(self, n: int) -> Tensor:
        """The numbers 0 to n − 1 in random order."""
        return self._draw(random_permutation, n=int(n))


def _shape(shape: Any) -> tuple[int, ...]:
    return (int(shape),) if isinstance(shape, int | np.integer) else tuple(int(n) for n in shape)


def _as(drawn: Tensor, dtype: Any) -> Tensor:
    return drawn if drawn.dtype == np.dtype(dtype) else drawn.astype(dtype)
