"""Activation functions as layers, so that they can stand in a Sequential."""

from __future__ import annotations

from typing import Any

from adjoint.nn.module import Module
from adjoint.ops.elementwise import activation, trigonometric


class ReLU(Module):
    """The rectified linear unit: max(0, x).

    Gradient: 1 where x > 0, else 0; 0 at the kink.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.nn.ReLU()([-1.0, 2.0])
    array([0., 2.])

    Source: CS231n 2017, lecture 4, "activation functions".
    """

    def forward(self, x: Any) -> Any:
        """Element by element."""
        return activation.relu(x)

    def __repr__(self) -> str:
        return "ReLU()"


class Sigmoid(Module):
    """The logistic function: 1 / (1 + e^−x).

    Gradient: y · (1 − y).

    Example
    -------
    >>> import adjoint as ad
    >>> ad.nn.Sigmoid()([0.0])
    array([0.5])

    Source: CS231n 2017, lecture 4, "activation functions".
    """

    def forward(self, x: Any) -> Any:
        """Element by element."""
        return activation.sigmoid(x)

    def __repr__(self) -> str:
        return "Sigmoid()"


class Tanh(Module):
    """The hyperbolic tangent.

    Gradient: 1 − y².

    Example
    -------
    >>> import adjoint as ad
    >>> ad.nn.Tanh()([0.0])
    array([0.])

    Source: CS231n 2017, lecture 4, "activation functions".
    """

    def forward(self, x: Any) -> Any:
        """Element by element."""
        return trigonometric.tanh(x)

    def __repr__(self) -> str:
        return "Tanh()"


class LeakyReLU(Module):
    """A rectifier that lets negative values leak: x where x > 0, else slope · x.

    Parameters
    ----------
    slope : float
        Of the negative part.

    Gradient: that of `ad.leaky_relu`: 1 where x > 0, else slope.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.nn.LeakyReLU(0.1)([-1.0, 2.0])
    array([-0.1,  2. ])

    Source: CS231n 2017, lecture 4, "activation functions".
    """

    def __init__(self, slope: float = 0.01) -> None:
        self.slope = slope

    def forward(self, x: Any) -> Any:
        """Element by element."""
        return activation.leaky_relu(x, self.slope)

    def __repr__(self) -> str:
        return f"LeakyReLU({self.slope})"


class ELU(Module):
    """The exponential linear unit: x where x > 0, else alpha · (e^x − 1).

    Parameters
    ----------
    alpha : float
        The negative part ends at −alpha.

    Gradient: that of `ad.elu`: 1 where x > 0, else alpha · e^x.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.nn.ELU()([-1.0, 2.0])
    array([-0.63212056,  2.        ])

    Source: CS231n 2017, lecture 4, "activation functions".
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Any) -> Any:
        """Element by element."""
        return activation.elu(x, self.alpha)

    def __repr__(self) -> str:
        return f"ELU({self.alpha})"
