"""`ad.compile`: a function that is traced once for each kind of arguments, and from then on runs as one native call.

Concepts here: `Compiled`, the function that a user calls. It has a `Variant` (`variant`) for each signature of its
arguments (`arguments`) and for each state of the settings that it reads; a call finds its variant, runs it, and puts
results into the structure that the function returns.

Invariants. A state that is assigned is written in place if nobody else holds its buffer, else in a new one: what a user
has in hand never changes (`buffers`). If a check inside the program fails, nothing has been assigned, and the function
runs once more without the compiler, which raises what it always raises.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Final, overload

import numpy as np

from adjoint.compiler.arguments import Arguments, Function, Packing, examples_of
from adjoint.compiler.buffers import plain_array
from adjoint.compiler.trace import trace
from adjoint.compiler.turns import TURNS
from adjoint.compiler.variant import MISSED, Variant
from adjoint.errors import ShapeError, TraceError
from adjoint.graph import Graph
from adjoint.recording import MODE, PLAIN, here
from adjoint.tensor import Tensor
from adjoint.transforms import flatten

__all__ = ["Compiled", "Variant", "compile"]

_mode: Final = MODE.get
#: Results of some steps, flat, and what puts flat results into the structure that the function returns.
Stacked = tuple[list[Any], Callable[[Sequence[Any]], Any]]


class Compiled:
    """A function compiled by `ad.compile`; call it as the function itself."""

    def __init__(
        self, f: Function, static: Sequence[str | int] = (), *, fast: bool = False, bfloat16: bool = False
    ) -> None:
        functools.update_wrapper(self, f, updated=())
        self._f: Final = f
        self._fast: Final = fast
        self._bfloat16: Final = bfloat16
        self.name: Final[str] = getattr(f, "__name__", type(f).__name__)
        self._static: Final = _static_names(f, static)
        self._variants: Final[dict[Hashable, list[Variant]]] = {}
        self._latest: tuple[Variant, Packing] | None = None

    def __repr__(self) -> str:
        return f"<compiled {self.name}: {len(self.variants)} variants>"

    @property
    def variants(self) -> list[Variant]:
        """What has been compiled so far."""
        return [variant for known in self._variants.values() for variant in known]

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """A compiled method is bound like any other."""
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **settings: Any) -> Any:
        """Run the function."""
        current = _mode()
        if current is None and not settings and self._latest is not None:
            variant, packing = self._latest
            arrays = packing.taken_out(args)
            result = MISSED if arrays is None else variant.quick(arrays)
            if result is not MISSED:
                return result
        if current is not None and (current.trace is not None or current.transforms):
            return self._f(*args, **settings)
        given = Arguments(args, settings, self._static)
        if given.is_differentiated:
            return self._f(*args, **settings)
        variant = self._variant(given)
        run = variant.run(given.numbers)
        if run is None:
            return self._f(*args, **settings)
        if given.is_plain:
            self._latest = variant, Packing(args)
        return variant.finished(given.numbers, run, record=(current or PLAIN).record)

    def epoch(self, order: Any, *arrays: Any) -> Any:
        """Run the function on one minibatch after the other: on the rows `array[rows]` for each row of `order`.

        Parameters
        ----------
        order : integer array (steps, batch)
            Which rows each step takes.
        *arrays : array (n, ...)
            One for each argument of the function; rows are gathered by native code.

        Returns
        -------
        array (steps, ...)
            The results of all steps, stacked; in the structure that the function returns.

        Raises
        ------
        ShapeError
            If `order` is no matrix of whole numbers, or names a row that is not there.

        Example
        -------
        >>> import numpy as np, adjoint as ad
        >>> total = ad.State(np.zeros(()), name="total")
        >>> @ad.compile
        ... def add(x):
        ...     total.assign(total + x.sum())
        ...     return x.mean()
        >>> add.epoch(np.array([[0, 1], [2, 3]]), np.arange(4.0)), total.item()
        (array([0.5, 2.5]), 6.0)
        """
        places, sources = _checked_order(order, arrays)
        variant = self._variant(Arguments(tuple(examples_of(sources, places.shape[1])), {}, ()))
        parts = [[np.empty((0, *shape), dtype) for shape, dtype in variant.returned]]
        parts += [results for results, _ in self.steps(places, *sources)]
        return variant.structured([np.concatenate(x) for x in zip(*parts, strict=True)])

    def steps(self, order: Any, *arrays: Any) -> Iterator[Stacked]:
        """`epoch` in pieces of at most about a tenth of a second: results of some steps, stacked but flat, and the
        function that puts flat results into the structure that the function returns. Between pieces everything may be
        looked at, and interrupting leaves all states as after a whole step.
        """
        places, sources = _checked_order(order, arrays)
        examples = examples_of(sources, places.shape[1])
        given = Arguments(tuple(examples), {}, ())
        done = 0
        while done < len(places):
            variant, piece = self._variant(given), None
            for piece in variant.steps(places[done:], sources, examples):
                done += piece.number
                if piece.number:
                    yield piece.results, variant.structured
            if piece is not None and piece.failed:  # the function itself says what is wrong, or that nothing is
                yield _stacked(variant, self._f(*(x[places[done]] for x in sources))), variant.structured
                done += 1

    def explain(self) -> str:
        """Every stage and every kernel of what has been compiled so far, in words and figures.

        Each kernel with its loops, its operations, the bytes that it moves, and the lines that it comes from.
        """
        from adjoint.compiler.explain import explained

        if not self.variants:
            return f"{self.name}: not called yet, so nothing is compiled"
        return "\n\n".join(explained(v.name, v.program, v.pairs, fast=self._fast) for v in self.variants)

    def graph(self, stage: str = "simplified", output: int = 0) -> Graph:
        """The graph of what was compiled last: shapes and dtypes, no values.

        Parameters
        ----------
        stage : "traced", "lowered" or "simplified"
            The function's own ops, the primitives that they became, or those that are left.
        output : int
            Which result; after the results come the states that are assigned.

        Returns
        -------
        Graph

        Raises
        ------
        TraceError
            If nothing was compiled yet, for another stage, or for a result that is not there.
        """
        from adjoint.compiler.drawn import drawn

        if not self.variants:
            raise TraceError(f"graph: {self.name} was not called yet, so nothing is compiled{here()}; call it once")
        return drawn(self.variants[-1], stage, output, fast=self._fast)

    def taps(self, select: Any = None, *, statistics: bool = True) -> Compiled:
        """The function with a look inside: it returns its result, and what its nodes hold (see `tapped`)."""
        from adjoint.compiler.taps import tapped

        return tapped(self, select, statistics=statistics)

    def _variant(self, given: Arguments) -> Variant:
        """What was compiled for the signature of a call and the settings of now; traced if there is none yet."""
        found = self._known(given.signature)
        if found is not None:
            return found
        given.check(self.name)
        with TURNS.tracing:
            found = self._known(given.signature)  # another thread may have been here
            if found is None:
                traced = trace(given.function(self._f), given.specimens)
                found = Variant(traced, self.name, given.tensors, fast=self._fast, bfloat16=self._bfloat16)
                self._variants.setdefault(given.signature, []).append(found)
        return found

    def _known(self, signature: Hashable) -> Variant | None:
        known = self._variants.get(signature, ())
        return next((variant for variant in known if variant.is_current()), None)


def _stacked(variant: Variant, result: Any) -> list[Any]:
    """Results of one step that ran without the compiler, as those of a piece."""
    leaves, _ = flatten(result)
    return [np.asarray(x)[None] for x, r in zip(leaves, variant.results, strict=True) if r.output is not None]


def _checked_order(order: Any, arrays: Sequence[Any]) -> tuple[Any, list[Any]]:
    """The rows of every step and the arrays they are taken from, as native code reads them."""
    if (current := _mode()) is not None and (current.trace is not None or current.transforms):
        raise TraceError(
            f"epoch: runs native code, which cannot be traced or differentiated{here()}; call the function in a loop"
        )
    places = np.asarray(order)
    if places.ndim != 2 or places.dtype.kind not in "iu":
        raise ShapeError(
            f"epoch: expected an integer array (steps, batch), got {places.dtype} of shape {places.shape} "
            f"(order){here()}"
        )
    sources = [plain_array(np.asarray(x._value if isinstance(x, Tensor) else x)) for x in arrays]
    rows = min((x.shape[0] if x.ndim else 0 for x in sources), default=0)
    if places.size and not 0 <= int(places.min()) <= int(places.max()) < rows:
        raise ShapeError(
            f"epoch: expected rows from 0 to {rows - 1} (the shortest array has {rows}), got rows from {places.min()} "
            f"to {places.max()} (order){here()}"
        )
    return np.ascontiguousarray(places, np.int64), sources


def _static_names(f: Function, static: Sequence[str | int] | str | int) -> frozenset[str | int]:
    """Static arguments by name and by position."""
    if static == ():
        return frozenset()
    names = list(inspect.signature(f).parameters)
    found: set[str | int] = set()
    for x in (static,) if isinstance(static, str | int) else static:
        if isinstance(x, int) and 0 <= x < len(names):
            found |= {x, names[x]}
        elif x in names:
            found |= {x, names.index(str(x))}
        else:
            raise TraceError(f"compile: expected static to name arguments ({', '.join(names)}), got {x!r}{here()}")
    return frozenset(found)


@overload
def compile(
    f: Function, *, static: Sequence[str | int] = (), fast: bool = False, bfloat16: bool = False
) -> Compiled: ...
@overload
def compile(
    *, static: Sequence[str | int] = (), fast: bool = False, bfloat16: bool = False
) -> Callable[[Function], Compiled]: ...
def compile(
    f: Function | None = None, *, static: Sequence[str | int] = (), fast: bool = False, bfloat16: bool = False
) -> Any:
    """A function that runs as machine code: traced once for each kind of arguments, then one native call.

    The function may be a whole training step: modules, optimisers and States that it uses are found by tracing; what
    it assigns is updated. Its results are those of the function itself, to rounding.

    Parameters
    ----------
    f : function
        Of numbers, arrays, Tensors and containers of them; it must do the same operations for all values of them.
    static : sequence of str or int
        Arguments, by name or position, whose values decide what is done (a number of layers, a shape); each new value
        is traced again. They must be hashable.
    fast : bool
        Allow rewriting that does not keep every IEEE result: x + 0 as x, x · 0 as 0, x / c as x · (1/c).
    bfloat16 : bool
        Round the operands of float32 matrix products to bfloat16 (8 bits), and sum in float32; all else stays float32.
        Large products take half the time on CPUs with AVX512-BF16; elsewhere it is no faster, and shows what a model
        loses by narrow hardware. There pairs of products are summed in another order, and denormal numbers count as 0,
        so bits differ between CPUs with and without it, and for no other reason.

    Returns
    -------
    Compiled
        With the arguments of `f`. A result is a plain array if only plain arguments took part in it; a Tensor if a
        Tensor, a module or a State did.

    Gradient: inside the function, `backward`, `ad.grad` and optimisers work and are compiled with it. Under a transform
    or with Tensors that get a gradient, the function itself runs, and is differentiated as always.

    Raises
    ------
    TraceError
        If the function asks in Python for the value of something that is known only when it runs; the message names the
        line and says what to write.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> w = ad.Parameter(np.zeros(2), name="w")
    >>> opt = ad.optim.SGD([w], lr=0.5)
    >>> @ad.compile
    ... def step(x, y):
    ...     loss = ((x @ w - y) ** 2).mean()
    ...     loss.backward()
    ...     opt.step()
    ...     return loss
    >>> x, y = np.eye(2), np.array([1.0, 2.0])
    >>> [round(step(x, y).item(), 4) for _ in range(3)]
    [2.5, 0.625, 0.1562]
    >>> w.value
    array([0.875, 1.75 ])

    Source: the interface is that of JAX and PyTorch.
    """
    if f is None:
        return functools.partial(compile, static=static, fast=fast, bfloat16=bfloat16)
    return Compiled(f, static, fast=fast, bfloat16=bfloat16)
