"""Layers that are a matrix product: linear, and maxout, which takes the larger of several linear pieces."""

from __future__ import annotations

from typing import Any

import numpy as np

from adjoint.leaves import Parameter
from adjoint.nn.init import Initialiser, named
from adjoint.nn.module import Module, cast_input
from adjoint.ops.random import Generator
from adjoint.tensor import Tensor


class Linear(Module):
    """Weights and a bias: every output is a weighted sum of the inputs.

    y = x · weight + bias

    Parameters
    ----------
    n_in, n_out : int
        Sizes of the last axis of x and y.
    bias : bool
        Whether there is a bias.
    dtype : floating NumPy dtype
    init : "he", "xavier" or function (rng, shape, dtype) -> array
    rng : Generator
        Where the first weights are drawn from; Generator(0) if left out.

    Gradient: d weight = xᵀ · g, d bias = Σ g over the rows, d x = g · weightᵀ.

    Raises
    ------
    ShapeError
        When called, if the last axis of x is not n_in.
    AdjointError
        For an unknown name of an initialiser.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> layer = ad.nn.Linear(3, 2)
    >>> layer(np.ones((5, 3))).shape, {path: p.shape for path, p in layer.parameters().items()}
    ((5, 2), {'weight': (3, 2), 'bias': (2,)})

    Source: CS231n 2017, lecture 4, f = W·x.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        bias: bool = True,
        dtype: Any = "float32",
        init: str | Initialiser = "he",
        rng: Generator | None = None,
    ) -> None:
        self.weight = Parameter(named(init)(rng or Generator(0), (n_in, n_out), dtype), name="weight")
        self.bias = Parameter(np.zeros(n_out, dtype), name="bias") if bias else None

    def forward(self, x: Any) -> Tensor:
        """x of shape (…, n_in) to y of shape (…, n_out)."""
        product: Tensor = cast_input(x, self.weight, "Linear") @ self.weight
        return product if self.bias is None else product + self.bias

    def __repr__(self) -> str:
        return "Linear({}, {})".format(*self.weight.shape)


class Maxout(Module):
    """The largest of several linear pieces: a neuron that learns its activation.

    y = max over k of (x · weight[k] + bias[k])

    Parameters
    ----------
    n_in, n_out : int
        Sizes of the last axis of x and y.
    pieces : int
        How many there are.
    dtype, init, rng : as in Linear

    Gradient: the piece that wins gets all; pieces that tie get equal shares.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> ad.nn.Maxout(3, 2, pieces=4)(np.ones((5, 3))).shape
    (5, 2)

    Source: I. Goodfellow et al., "Maxout networks", 2013; CS231n 2017, lecture 4, "activation functions".
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        pieces: int = 2,
        *,
        dtype: Any = "float32",
        init: str | Initialiser = "he",
        rng: Generator | None = None,
    ) -> None:
        rng, draw = rng or Generator(0), named(init)
        self.weight = Parameter(np.stack([draw(rng, (n_in, n_out), dtype) for _ in range(pieces)]), name="weight")
        self.bias = Parameter(np.zeros((pieces, 1, n_out), dtype), name="bias")

    def forward(self, x: Any) -> Tensor:
        """x of shape (n, n_in) to y of shape (n, n_out)."""
        pieces: Tensor = cast_input(x, self.weight, "Maxout") @ self.weight + self.bias
        return pieces.max(axis=0)

    def __repr__(self) -> str:
        pieces, n_in, n_out = self.weight.shape
        return f"Maxout({n_in}, {n_out}, pieces={pieces})"
