"""Rows set aside: which rows train and which are held out.

Invariant: the two index arrays are disjoint, sorted, together every row, and the same for the same arguments
on every machine. Stratified means that every class gives the same share, to within one row, and keeps a row
for training.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from adjoint.data.tables import is_nan
from adjoint.errors import DataError

Indices = NDArray[np.int64]


def split(
    n: int, validation_fraction: float, seed: int, *, stratify: Iterable[object] | None = None
) -> tuple[Indices, Indices]:
    """Indices of the rows to train on and of the rows to hold out.

    size = round(n · fraction), at least 1 and at most n − 1 where the fraction is not 0; per class the share
    size · count / n, rounded by largest remainder.

    Parameters
    ----------
    n : int
        Number of rows.
    validation_fraction : float
        Share of rows to hold out, 0 ≤ fraction < 1.
    seed : int
        Seed of the draw.
    stratify : iterable of n labels, optional
        Classes (numbers, texts, booleans) whose shares the held-out rows keep. A class of one row stays in
        training.

    Returns
    -------
    (train, validation) : two int64 arrays, sorted

    Raises
    ------
    DataError
        Fraction outside [0, 1), fewer than 2 rows to divide, a wrong number of labels, or classes of one row
        each.

    Example
    -------
    >>> train, held = split(10, 0.2, seed=0, stratify="aaaaabbbbb")
    >>> len(train), len(held), sorted("aaaaabbbbb"[i] for i in held)
    (8, 2, ['a', 'b'])

    Source
    ------
    Hamilton's method of largest remainders for the shares.
    """
    size = _held_out(n, validation_fraction)
    rng = np.random.default_rng(seed)
    groups = [np.arange(n)] if stratify is None else _groups(n, stratify)
    sizes = _shares(np.array([len(group) for group in groups]), size)
    chosen = [rng.permutation(group)[:take] for group, take in zip(groups, sizes, strict=True)]
    held = np.zeros(n, dtype=bool)
    held[np.concatenate(chosen)] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def _held_out(n: int, fraction: float) -> int:
    if not 0 <= fraction < 1:
        raise DataError(f"split: expected 0 <= validation_fraction < 1, got {fraction}")
    if n < 1 or (fraction > 0 and n < 2):
        raise DataError(f"split: expected at least 2 rows to divide, got {n}")
    return 0 if fraction == 0 else min(max(round(n * fraction), 1), n - 1)


def _groups(n: int, labels: Iterable[object]) -> list[Indices]:
    """Row numbers by class, classes in order of first appearance (mixed labels have no other)."""
    codes: dict[object, int] = {}
    values = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
    if len(values) != n:
        raise DataError(f"split: expected {n} labels to stratify by, one for each row, got {len(values)}")
    if any(is_nan(value) for value in values):
        raise DataError("split: expected labels to stratify by, got NaN; leave rows without a label out")
    coded: Indices = np.array([codes.setdefault(value, len(codes)) for value in values])
    order = np.argsort(coded, kind="stable")
    return np.split(order, np.cumsum(np.bincount(coded))[:-1])


def _shares(counts: Indices, size: int) -> Indices:
    """Rows to take of each class: whole part of its share, then one more by largest remainder."""
    spare = counts - 1
    if size > spare.sum():
        raise DataError(
            f"split: expected classes with rows to spare for {size} held-out rows, got "
            f"{len(counts)} classes in {counts.sum()} rows; hold out fewer, or do not stratify"
        )
    quota = counts * size / counts.sum()
    taken: Indices = np.minimum(np.floor(quota).astype(np.int64), spare)
    while (short := size - int(taken.sum())) > 0:
        ranked = np.argsort(taken - quota, kind="stable")
        taken[ranked[(taken < spare)[ranked]][:short]] += 1
    return taken
