"""Analytic derivatives against differences of the function itself.

Concepts here: the extrapolated central difference, the comparisons of one check, and the `GradCheckReport`. What is
moved, and where its kinks are, is in `point.py`. A derivative of order n is checked as the first derivative of the
gradient of order n − 1, so that one comparison serves every order.

Steps start wide and shrink until both derivatives agree. Where they do not, a difference across a kink means nothing
and is skipped; any other is a mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from adjoint.check.point import Point, Values
from adjoint.errors import GradientCheckError
from adjoint.recording import here
from adjoint.shaped import General
from adjoint.tensor import Array, Tensor, value_of
from adjoint.transforms import jvp, vjp

Function = Callable[[Values], Values]
Measure = Callable[[list[Array]], Array]

#: Widest steps, tried in this order, relative to the largest value that is moved.
STEPS: Final = (2.0**-7, 2.0**-12, 2.0**-17, 2.0**-21)
#: An input with more elements is checked along random directions, so many of them.
LARGE: Final = 200
DIRECTIONS: Final = 8
EPSILON: Final = float(np.finfo(np.float64).eps)


class GradCheckReport(NamedTuple):
    """What a check found when all derivatives that could be compared agree.

    Attributes
    ----------
    order : int
    checked : int
        How many derivatives were compared.
    relative_error : float
        The largest.
    skipped : tuple of str
        What could not be compared, each with the reason.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.gradcheck(ad.tanh, 0.5).skipped
    ()
    """

    order: int
    checked: int
    relative_error: float
    skipped: tuple[str, ...]

    def __str__(self) -> str:
        text = f"gradcheck: {self.checked} derivatives to order {self.order} agree with differences, largest relative "
        return text + f"error {self.relative_error:.0e}" + "".join(f"\n  skipped: {reason}" for reason in self.skipped)


# --- numbers --------------------------------------------------------------------------------------------------------


def _difference(f: Callable[[float], Array], step: float) -> tuple[Array, Array]:
    """Central difference, extrapolated from three steps (Richardson), and an estimate of its error.

    (f(h) − f(−h)) / 2h = f′ + c₂h² + c₄h⁴ + …: each extrapolation removes one c.
    """
    wide, middle, narrow = [(f(h) - f(-h)) / (2.0 * h) for h in (step, step / 2.0, step / 4.0)]
    coarse, fine = middle + (middle - wide) / 3.0, narrow + (narrow - middle) / 3.0
    best = fine + (fine - coarse) / 15.0
    return best, np.abs(best - fine)


def _directions(values: Values, rng: np.random.Generator) -> Iterator[tuple[int, str, Values]]:
    """Input, name and direction: each element of a small input, random mixtures of the elements of a large one."""
    for i, x in enumerate(values):
        for k in range(np.size(x) if np.size(x) <= LARGE else DIRECTIONS):
            direction, name = _unit(np.shape(x), k)
            if np.size(x) > LARGE:
                direction, name = rng.choice([-1.0, 1.0], np.shape(x)), f" along random direction {k + 1}"
            yield i, name, [_like(x, direction) if j == i else 0.0 for j in range(len(values))]


def _unit(shape: tuple[int, ...], k: int) -> tuple[Array, str]:
    index = tuple(int(n) for n in np.unravel_index(k, shape))
    unit = np.zeros(shape)
    unit[index] = 1.0
    return unit, str(list(index)) if index else ""


def _like(value: Any, array: Array) -> Any:
    return float(array) if type(value) is float else array


def _random_like(values: Values, rng: np.random.Generator) -> Values:
    """Numbers away from 0, so that no term of a sum hides."""
    return [_like(x, rng.uniform(0.5, 1.5, np.shape(x)) * rng.choice([-1.0, 1.0], np.shape(x))) for x in values]


def _joined(outputs: list[Array]) -> Array:
    return np.concatenate([x.ravel() for x in outputs])


# --- the check ------------------------------------------------------------------------------------------------------


class _Check:
    """The comparisons of one check, and what they found."""

    def __init__(self, point: Point, rtol: float, atol: float, seed: int) -> None:
        self.point, self.rtol, self.atol = point, rtol, atol
        self.rng = np.random.default_rng(seed)
        self.checked, self.largest = 0, 0.0
        self.skipped: list[str] = []
        self.wrong: list[tuple[float, str]] = []

    def results(self, function: Function, values: Values) -> list[Array]:
        """The results of a function at these values, as arrays."""
        with self.point.at(values) as leaves, np.errstate(all="ignore"):
            return [np.asarray(value_of(x)) for x in function(leaves)]

    def derivatives(self, function: Function, what: str, forward: bool) -> Function:
        """Compare vjp and jvp of a function; returns the vjp of a random upstream, which is a function as well."""
        base = self.point.values
        upstream = _random_like(self.results(function, base), self.rng)

        def gradient(leaves: Values) -> Values:
            return list(vjp(function, leaves)[1](upstream)[0])

        def met(outputs: list[Array]) -> Array:
            return np.array([sum(np.sum(u * x) for u, x in zip(upstream, outputs, strict=True))])

        gradients = self.results(gradient, base)
        for i, name, direction in _directions(base, self.rng):
            analytic = np.array([np.sum(gradients[i] * direction[i])])
            self.compare(f"{what} by {self.point.names[i]}{name}", function, direction, analytic, met)
        if forward:
            along = _random_like(base, self.rng)
            tangents = self.results(lambda leaves: list(jvp(function, (leaves,), (along,))[1]), base)
            self.compare(f"{what} by jvp along a random direction", function, along, _joined(tangents), _joined)
        return gradient

    def compare(self, where: str, function: Function, direction: Values, analytic: Array, measure: Measure) -> None:
        """Compare one derivative along a direction, in smaller and smaller steps until it agrees or no kink is left."""
        pairs = list(zip(self.point.values, direction, strict=True))
        scale = max(float(np.max(np.abs(x * np.asarray(d)), initial=1.0)) for x, d in pairs)
        size = float(np.sum(np.abs(_joined(self.results(function, self.point.values)))))

        def at(h: float) -> Array:
            return measure(self.results(function, self.point.moved(direction, h)))

        for step in (scale * relative for relative in STEPS):
            numerical, uncertainty = _difference(at, step)
            noise = 4.0 * EPSILON * size / step  # what rounding of the function leaves of a difference
            error = self.error(analytic, numerical, noise)
            if np.all(error <= self.rtol):
                self.checked, self.largest = self.checked + 1, max(self.largest, float(np.max(error, initial=0.0)))
                return
            kink = self.point.crossed(direction, step)
            if kink is None and np.all(self.error(numerical, numerical + uncertainty, noise) <= self.rtol):
                break
        if kink is not None:
            self.skipped.append(f"{where} {kink}")
        else:
            self.note(where, analytic, numerical, uncertainty, error)

    def error(self, analytic: Array, numerical: Array, noise: float) -> Array:
        """Relative error; at most rtol where |analytic − numerical| ≤ atol + noise + rtol · the larger of the two."""
        larger = np.maximum(np.abs(analytic), np.abs(numerical))
        return np.asarray(np.abs(analytic - numerical) / (larger + (self.atol + noise) / self.rtol))

    def note(self, where: str, analytic: Array, numerical: Array, uncertainty: Array, error: Array) -> None:
        """Keep what to say of a derivative that differs."""
        k = int(np.argmax(np.where(np.isnan(error), np.inf, error)))
        index = f", result {k} of {error.size}" if error.size > 1 else ""
        text = f"{where}{index}: analytic {analytic[k]:.10g}, numerical {numerical[k]:.10g} (± {uncertainty[k]:.0e})"
        self.wrong.append((float(error[k]), f"{text}, relative error {error[k]:.2g}, allowed {self.rtol:.0e}"))


def _refused(check: _Check, nodes: list[Tensor]) -> str | None:
    """Why differences would say nothing about this function, if they would not."""
    point = check.point
    first, second = (check.results(point.function, point.values) for _ in range(2))
    if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first, second, strict=True)):
        return "two runs at one point gave different results; make the random generator inside the function"
    if not all(np.all(np.isfinite(x)) for x in first):
        return "the function is not finite at this point"
    narrow = [f"{t.dtype} from {t.node.op.name}, {t.node.origin}" for t in nodes if t.dtype != np.float64 and t.node.op]
    return f"expected float64 throughout, got {narrow[0]}; remove the cast" if narrow else None


def gradcheck(
    f: Callable[..., Any], *args: Any, order: int = 1, rtol: float = 1e-6, atol: float = 1e-9, seed: int = 0
) -> GradCheckReport:
    """Compare the derivatives of a function with differences of the function, in float64.

    |analytic − numerical| ≤ atol + rtol · max(|analytic|, |numerical|)

    numerical = (f(x + h) − f(x − h)) / 2h, extrapolated to h = 0

    Checked are the vjp for a random upstream gradient, element by element (for an input of more than 200 elements along
    random directions), and the jvp along a random direction; then the same for the gradient, up to the order.

    Parameters
    ----------
    f : function of arrays, containers of them, or modules, with arrays (or containers) as results
    *args : the point
        Floating numbers are moved, as float64 copies; integers, booleans and constants are passed on as they are.
        Parameters of a module are set to float64 meanwhile, and put back.
    order : int
        1 for the gradient, 2 for the gradient of the gradient as well, …
    rtol, atol : float
    seed : int
        Of the random upstream gradients and directions.

    Returns
    -------
    GradCheckReport
        With `checked`, the number of comparisons; the largest `relative_error`; and `skipped`: derivatives that could
        not be compared, because the point sits at a kink, each with the reason.

    Raises
    ------
    GradientCheckError
        If a derivative differs: says which, by how much, and how many more. Also if f is not finite or not the same
        twice.
    DTypeError
        If no argument is floating.

    Notes
    -----
    A gate that states `backward` only has no jvp to check.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> print(ad.gradcheck(lambda x, w: ad.sum(ad.tanh(x @ w)), np.ones((2, 3)), np.array([0.1, 0.2, -0.3]), order=2))
    gradcheck: 20 derivatives to order 2 agree with differences, largest relative error ...
    >>> print(ad.gradcheck(ad.relu, np.array([0.0, 1.0])).skipped[0])
    gradient by argument 0[0] crosses the kink of relu at node 1, ...

    Source: CS231n 2017, lecture 3, "numerical gradient: approximate, slow, easy to write"; C. Ridders, "Accurate
    computation of F′(x) and F′(x)F″(x)", 1982.
    """
    if order < 1 or rtol <= 0.0:
        raise GradientCheckError(f"gradcheck: expected order ≥ 1 and rtol > 0, got {order} and {rtol}{here()}")
    check = _Check(Point(f, args), rtol, atol, seed)
    nodes = check.point.nodes(check.point.values)
    reason = _refused(check, nodes)
    if reason is not None:
        raise GradientCheckError(f"gradcheck: {reason}{here()}")
    forward = not any(isinstance(t.node.op, General) and t.node.op.jvp_rule is None for t in nodes)
    function: Function = check.point.function
    for n in range(order):
        function = check.derivatives(function, "gradient" + " of the gradient" * n, forward)
    if check.wrong:
        worst = max(check.wrong, key=lambda found: np.nan_to_num(found[0], nan=np.inf))[1]
        count = f"{len(check.wrong)} of {len(check.wrong) + check.checked} derivatives differ"
        raise GradientCheckError(f"gradcheck: {count}{here()}; the worst is the {worst}")
    return GradCheckReport(order, check.checked, check.largest, tuple(check.skipped))
