"""Layers one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adjoint.nn.module import Module


class Sequential(Module):
    """Each layer gets what the one before it gives.

    y = layerₙ(… layer₂(layer₁(x)))

    Parameters
    ----------
    *layers : modules or functions
    name : str, optional
        Root of the paths in pictures and messages.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> net = ad.nn.Sequential(ad.nn.Linear(64, 100), ad.nn.ReLU(), ad.nn.Linear(100, 10))
    >>> net(np.zeros((32, 64))).shape, list(net.parameters())
    ((32, 10), ['layers.0.weight', 'layers.0.bias', 'layers.2.weight', 'layers.2.bias'])

    Source: CS231n 2017, lecture 4, f = W₂ · max(0, W₁ · x).
    """

    def __init__(self, *layers: Callable[..., Any], name: str = "net") -> None:
        self.layers = list(layers)
        self._name = name

    @property
    def name(self) -> str:
        """Name of the root of the paths that pictures and messages show."""
        return self._name

    def forward(self, x: Any) -> Any:
        """Through all layers."""
        for layer in self.layers:
            x = layer(x)
        return x

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, i: int) -> Callable[..., Any]:
        return self.layers[i]

    def __repr__(self) -> str:
        return f"Sequential({', '.join(getattr(x, '__name__', repr(x)) for x in self.layers)})"
