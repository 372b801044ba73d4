"""How numbers are printed: decimals, scientific form, short arrays, and how many digits make them true.

Two decimals can lie: the lecture's gate then reads 0.20 × 2.00 = 0.39. `enough` therefore finds the number of
decimals at which the printed products hold, and `is_true` says of one product whether it does. A number that
is not zero is never printed as zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

FEWEST, MOST = 2, 6  # decimals tried when the numbers are not exact
EXACT = (0, 2, 3, 4)  # decimals with which numbers that are short anyway are printed in full
SIDE = 6  # rows, columns and entries up to which an array is printed element by element
ENTRIES = 24

Product = tuple[float, float, float]  # upstream, local, downstream


def number(value: float, digits: int) -> str:
    """The number with so many decimals; scientific where that would be a false zero or a very long line."""
    if not math.isfinite(value):
        return str(value)
    fixed = f"{value:.{digits}f}"
    if abs(value) >= 1e7 or (value != 0 and float(fixed) == 0):
        return scientific(value, max(digits - 1, 1))
    return fixed.removeprefix("-") if float(fixed) == 0 else fixed


def scientific(value: float, digits: int) -> str:
    """Scientific form without padding: 1.5e-7, not 1.50e-07."""
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}"


def short(value: float) -> str:
    """A constant inside a gate, as a person would write it: 1, −1, 0.5."""
    return str(int(value)) if math.isfinite(value) and value == int(value) and abs(value) < 1e6 else f"{value:.4g}"


def entry(value: object, digits: int) -> str:
    """One element of an array: whole numbers and truth values without decimals."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(value)
    return number(float(value), digits)  # type: ignore[arg-type]  # the elements of a numeric array


def lines(value: np.ndarray, digits: int, *, ascii: bool = False) -> tuple[str, ...]:
    """A value as lines of text: the number, the small array, or shape and range of a large one."""
    if value.ndim == 0:
        return (entry(value[()], digits),)
    if value.ndim == 1 and 0 < value.size <= SIDE:
        return (row(value, digits),)
    if value.ndim == 2 and 0 < value.size <= ENTRIES and max(value.shape) <= SIDE:
        return matrix(value, digits, ascii=ascii)
    return (shape(value.shape), *span(value, digits, ascii=ascii))


def row(value: np.ndarray, digits: int) -> str:
    """A vector in one line: [0.22 0.26]."""
    return "[" + " ".join(entry(element, digits) for element in value) + "]"


def matrix(value: np.ndarray, digits: int, *, ascii: bool) -> tuple[str, ...]:
    """A small matrix, a line for each row, its columns aligned."""
    cells = [[entry(element, digits) for element in each] for each in value]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    texts = [" ".join(cell.rjust(w) for cell, w in zip(each, widths, strict=True)) for each in cells]
    return tuple(
        f"{left}{text}{right}" for text, (left, right) in zip(texts, _brackets(len(texts), ascii), strict=True)
    )


def _brackets(rows: int, ascii: bool) -> list[tuple[str, str]]:
    """The brackets beside each row; doubled for a single one, which is no vector."""
    if rows == 1:
        return [("[[", "]]")]
    if ascii:
        return [("[", "]")] * rows
    return [("⎡", "⎤"), *[("⎢", "⎥")] * (rows - 2), ("⎣", "⎦")]


def span(value: np.ndarray, digits: int, *, ascii: bool = False) -> tuple[str, ...]:
    """The range of a large array in one line, or nothing for an empty one."""
    if value.size == 0:
        return ()
    low, high = entry(value.min(), digits), entry(value.max(), digits)
    return (low if low == high else f"{low} {'..' if ascii else '…'} {high}",)


def shape(sizes: tuple[int, ...]) -> str:
    """A shape as NumPy writes it: (), (2,), (64, 10)."""
    return f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(map(str, sizes))})"


def is_true(product: Product, digits: int) -> bool:
    """Whether upstream × local = downstream holds for the numbers as they are printed."""
    upstream, local, downstream = (float(number(each, digits)) for each in product)
    printed = upstream * local
    return math.isnan(printed) or number(printed, digits) == number(downstream, digits)


def enough(numbers: Iterable[float], products: Iterable[Product]) -> int:
    """Decimals for a picture: none for whole numbers, else from 2 on until the printed products are true.

    Where no number of decimals up to 6 makes all of them true, the one that leaves the fewest untrue.
    """
    exact = _exact_digits([each for each in numbers if math.isfinite(each)])
    if exact is not None:
        return exact
    checks = list(products)
    return min(range(FEWEST, MOST + 1), key=lambda d: (sum(not is_true(each, d) for each in checks), d))


def _exact_digits(numbers: list[float]) -> int | None:
    """Decimals at which every number is printed in full, or None: 0.116 needs three, 0.1966… has none."""
    for digits in EXACT:
        if all(math.isclose(round(each, digits), each, rel_tol=1e-12, abs_tol=1e-15) for each in numbers):
            return digits
    return None
