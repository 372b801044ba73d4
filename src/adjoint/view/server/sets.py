"""Small sets of points in the plane, to watch a network learn on: spiral, moons, circles.

Each is drawn from a seed; coordinates are about -1.5 to 1.5, and no straight line separates the classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Points(NamedTuple):
    """Points and their classes: x float64 of shape (n, 2), y int64 of shape (n,)."""

    x: NDArray[np.float64]
    y: NDArray[np.int64]


def spiral(n: int = 300, noise: float = 0.2, seed: int = 0) -> Points:
    """Three arms of a spiral, a class each.

    x = r · (sin a, cos a), r from 0 to 1, a = 4 · (arm + r) + noise · N(0, 1)

    Example
    -------
    >>> points = spiral(300)
    >>> points.x.shape, np.bincount(points.y).tolist()
    ((300, 2), [100, 100, 100])

    Source: CS231n, notes to lecture 4, "putting it together: minimal neural network case study".
    """
    rng = np.random.default_rng(seed)
    y = np.arange(n) * 3 // n
    radius = np.concatenate([np.linspace(0.0, 1.0, count) for count in np.bincount(y)])
    angle = 4.0 * (y + radius) + noise * rng.standard_normal(n)
    return Points(np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1), y)


def moons(n: int = 300, noise: float = 0.1, seed: int = 0) -> Points:
    """Two half circles that reach into each other.

    Example
    -------
    >>> points = moons(200, noise=0.0)
    >>> points.x[:100].mean(axis=0).round(1).tolist(), points.x[100:].mean(axis=0).round(1).tolist()
    ([-0.5, 0.4], [0.5, -0.4])

    Source: scikit-learn, `make_moons`.
    """
    rng = np.random.default_rng(seed)
    y = np.arange(n) * 2 // n
    angle = np.concatenate([np.linspace(0.0, np.pi, count) for count in np.bincount(y)])
    side = 1.0 - 2.0 * y
    x = np.stack([side * np.cos(angle) - 0.5 * side, side * np.sin(angle) - 0.25 * side], axis=1)
    return Points(x + noise * rng.standard_normal((n, 2)), y)


def circles(n: int = 300, noise: float = 0.1, seed: int = 0) -> Points:
    """A circle around another.

    Example
    -------
    >>> points = circles(200, noise=0.0)
    >>> np.linalg.norm(points.x, axis=1)[[0, -1]].tolist()
    [1.0, 0.5]

    Source: scikit-learn, `make_circles`.
    """
    rng = np.random.default_rng(seed)
    y = np.arange(n) * 2 // n
    angle = np.concatenate([np.linspace(0.0, 2.0 * np.pi, count, endpoint=False) for count in np.bincount(y)])
    radius = 1.0 - 0.5 * y
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return Points(x + noise * rng.standard_normal((n, 2)), y)


SETS: Final[Mapping[str, Callable[[int, float, int], Points]]] = {
    "spiral": spiral,
    "moons": moons,
    "circles": circles,
}
