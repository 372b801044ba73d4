"""Independent NumPy forms of the functions that NumPy and SciPy do not have; the tests compare the ops with them."""

from __future__ import annotations

from typing import Any

import numpy as np


def softplus(x: Any) -> Any:
    """log(e^0 + e^x)."""
    return np.logaddexp(0.0, x)


def relu(x: Any) -> Any:
    """The value, held above 0."""
    return np.clip(x, 0, None)


def leaky_relu(x: Any, slope: Any) -> Any:
    """Positive and negative part apart."""
    return np.clip(x, 0, None) + slope * np.clip(x, None, 0)


def elu(x: Any, alpha: Any) -> Any:
    """By pieces."""
    x, alpha = np.broadcast_arrays(x, alpha)
    return np.piecewise(x, [x > 0], [lambda v: v, 0]) + np.where(x > 0, 0, alpha * (np.exp(np.clip(x, None, 0)) - 1))
