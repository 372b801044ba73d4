"""A Jacobian that is stored entry by entry."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from adjoint.errors import ShapeError
from adjoint.recording import here
from adjoint.tensor import Tensor


class Jacobian:
    """All partial derivatives of an output by an input.

    Entry (i, j) is d outᵢ / d inⱼ. `J @ v` is the tangent J · v, `J.T @ g` the cotangent g · J.

    Attributes
    ----------
    structure : str
        "dense": every entry is stored.
    shape : tuple of int
        (*out, *in).
    out_shape, in_shape : tuple of int
    nbytes : int
        Bytes of the stored entries.

    Raises
    ------
    ShapeError
        From `J @ v`, for a vector of another shape than the input.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> J = ad.jacobian(lambda x: np.array([[1.0, 2.0], [3.0, 4.0]]) @ x)(np.zeros(2))
    >>> J.structure, J.shape
    ('dense', (2, 2))
    >>> J @ [1.0, 0.0], J.T @ [1.0, 0.0]
    (array([1., 3.]), array([1., 2.]))

    Source: CS231n 2017, lecture 4, "gradients for vectorized code".
    """

    structure = "dense"

    def __init__(self, entries: Any, out_shape: tuple[int, ...], in_shape: tuple[int, ...]) -> None:
        self._entries = entries
        self.out_shape = out_shape
        self.in_shape = in_shape

    @property
    def shape(self) -> tuple[int, ...]:
        """(*out, *in)."""
        return self.out_shape + self.in_shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy dtype of the entries."""
        dtype: np.dtype[Any] = self._entries.dtype
        return dtype

    @property
    def nbytes(self) -> int:
        """Bytes of the stored entries."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def T(self) -> Jacobian:  # noqa: N802 (NumPy's name)
        """The transpose: it takes cotangents of the output to cotangents of the input."""
        rank = len(self.out_shape)
        order = (*range(rank, self.ndim), *range(rank))
        entries = self._entries.transpose(*order) if order else self._entries
        return Jacobian(entries, self.in_shape, self.out_shape)

    def matrix(self) -> Any:
        """Row = output, column = input, both flattened in C order."""
        return self._entries.reshape((math.prod(self.out_shape), math.prod(self.in_shape)))

    def todense(self) -> Any:
        """All entries as an array of shape (*out, *in) (a Tensor inside another transform)."""
        return self._entries

    def __matmul__(self, vector: Any) -> Any:
        v = vector if isinstance(vector, Tensor) else np.asarray(vector)
        if v.shape != self.in_shape:
            raise ShapeError(f"Jacobian @ v: expected shape {self.in_shape}, got {v.shape}{here()}")
        product = self.matrix() @ v.reshape((-1,))
        return product.reshape(self.out_shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self._entries, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        return f"<Jacobian {self.out_shape} by {self.in_shape}, {self.structure}, {self.nbytes:,} bytes>"
