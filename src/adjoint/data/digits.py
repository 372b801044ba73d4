"""The handwritten digits: 1,797 scans of 8×8 pixels, shipped with the package (source: digits-source.md).

Nothing is read before `digits` is called, and nothing is kept: each call gives fresh arrays.
"""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from adjoint.data.splits import split

DARKEST = 16


class Split(NamedTuple):
    """A data set in two parts: rows to learn from and rows held out.

    Attributes
    ----------
    x_train, x_test : float32 array of shape (n, features)
    y_train, y_test : int64 array of shape (n,)
    feature_names, class_names : tuple of str

    Example
    -------
    >>> import adjoint as ad
    >>> digits = ad.data.digits()
    >>> len(digits.x_train), len(digits.x_test)
    (1438, 359)
    """

    x_train: NDArray[np.float32]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.float32]
    y_test: NDArray[np.int64]
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]


def digits(*, test_fraction: float = 0.2, seed: int = 0) -> Split:
    """The UCI handwritten digits, a fifth of each digit held out.

    x = dark points in a 4×4 block / 16.

    Parameters
    ----------
    test_fraction : float
        Share of the scans to hold out, 0 ≤ fraction < 1.
    seed : int
        Seed of the draw.

    Returns
    -------
    Split
        x float32 of shape (n, 64) in 0..1, pixels row by row; y int64 of shape (n,), the digit.

    Raises
    ------
    DataError
        A fraction outside [0, 1).

    Example
    -------
    >>> data = digits()
    >>> data.x_train.shape, data.x_test.shape, data.class_names[data.y_test[0]]
    ((1438, 64), (359, 64), '5')

    Source
    ------
    E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998,
    CC BY 4.0.
    """
    rows = _rows()
    pixels = (rows[:, :-1] / DARKEST).astype(np.float32)
    labels = rows[:, -1].astype(np.int64)
    train, test = split(len(rows), test_fraction, seed, stratify=labels)
    feature_names = tuple(f"pixel_{row}_{column}" for row in range(8) for column in range(8))
    class_names = tuple(str(digit) for digit in range(10))
    return Split(pixels[train], labels[train], pixels[test], labels[test], feature_names, class_names)


def _rows() -> NDArray[np.uint8]:
    packed = Path(__file__).with_name("digits.csv.gz").read_bytes()
    return np.loadtxt(io.BytesIO(gzip.decompress(packed)), delimiter=",", dtype=np.uint8)
