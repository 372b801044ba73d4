"""Dropout: while training, some units stay silent at random."""

from __future__ import annotations

from typing import Any

import numpy as np

from adjoint.errors import AdjointError
from adjoint.nn.module import Module
from adjoint.ops.elementwise.extremes import where
from adjoint.ops.random import Generator
from adjoint.recording import here
from adjoint.tensor import Tensor


class Dropout(Module):
    """Set each value to 0 with probability p while training, and scale the others up, so that the mean stays.

    y = x · mask / (1 − p) while training, else x

    Parameters
    ----------
    p : float
        Probability to drop, from 0 to below 1.
    rng : Generator
        Where masks are drawn from; Generator(0) if left out.

    Gradient: 1 / (1 − p) where kept, else 0.

    Raises
    ------
    AdjointError
        For a probability outside this range.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> layer = ad.nn.Dropout(0.5)
    >>> sorted(set(np.asarray(layer(np.ones(100))).tolist())), layer.eval()([1.0])
    ([0.0, 2.0], [1.0])

    Source: N. Srivastava et al., "Dropout", 2014 (inverted form of CS231n).
    """

    def __init__(self, p: float = 0.5, *, rng: Generator | None = None) -> None:
        if not 0.0 <= p < 1.0:
            raise AdjointError(f"Dropout: expected a probability from 0 to below 1, got p={p}{here()}")
        self.p = float(p)
        self.rng = rng or Generator(0)

    def forward(self, x: Any) -> Any:
        """x with a fresh mask."""
        if not self.training or self.p == 0.0:
            return x
        shape = x.shape if isinstance(x, Tensor) else np.shape(x)
        return where(self.rng.bernoulli(1.0 - self.p, shape), x * (1.0 / (1.0 - self.p)), 0.0)

    def __repr__(self) -> str:
        return f"Dropout({self.p})"
