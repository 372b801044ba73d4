"""What is multiplied: shapes, strides and dtype of one product, or of a batch of them."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

__all__ = ["Product"]

_ITEMSIZE = {"float32": 4, "float64": 8}


class Product(NamedTuple):
    """C = A·B for each matrix of a batch: C is m×n, A is m×k, B is k×n.

    Strides count elements: `a` and `b` from row to row and from column to column, `a_batch` and `b_batch` along each
    axis of `batch`; 0 repeats a matrix. `dtype`, "float32" or "float64", is that of all three. `bfloat16`: A and B,
    which are float32, are rounded to it; only where `has_pairs`.

    Example
    -------
    >>> product = Product(m=2, n=3, k=4, dtype="float32", a=(4, 1), b=(1, 4))  # B lies transposed
    >>> product.itemsize, product.matrices, product.empty
    (4, 1, False)
    """

    m: int
    n: int
    k: int
    dtype: str
    a: tuple[int, int]
    b: tuple[int, int]
    batch: tuple[int, ...] = ()
    a_batch: tuple[int, ...] = ()
    b_batch: tuple[int, ...] = ()
    bfloat16: bool = False

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return _ITEMSIZE[self.dtype]

    @property
    def matrices(self) -> int:
        """Products in the batch."""
        return prod(self.batch)

    @property
    def empty(self) -> bool:
        """Whether C has no elements."""
        return self.m == 0 or self.n == 0 or self.matrices == 0

    @property
    def left_bytes(self) -> int:
        """Bytes of one A."""
        return self.m * self.k * self.itemsize

    @property
    def right_bytes(self) -> int:
        """Bytes of one B."""
        return self.k * self.n * self.itemsize
