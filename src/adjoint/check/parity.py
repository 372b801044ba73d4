"""Do both engines compute the same? Every node of a function, as machine code and by NumPy, on equal inputs.

Concepts here: a `Row` for each node of the traced function, an `End` for each result and each state that it assigns,
and the `ParityReport` of both. Each op is evaluated eagerly from the *compiled* values of its inputs, so that a
difference is blamed on the node that makes it and not on those that hand it on. How far apart two right results may lie
is in `rounding.py`.

A compiler may go wrong only where nodes are fused, and keeping every node's value prevents some of that. So the
function also runs as it is, in both engines, and its ends are compared: they may differ by what the allowances of all
nodes together can make, which is measured by moving every node at random within its allowance.

Invariant: states, gradients and optimisers are as before, also after an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import numpy as np

from adjoint.abstract import Abstract
from adjoint.check.rounding import allowance, allowances, ulp
from adjoint.compiler.arguments import Arguments
from adjoint.compiler.compiled import Compiled, Variant
from adjoint.compiler.lower import lower
from adjoint.compiler.segments import runnable
from adjoint.compiler.trace import Traced, trace
from adjoint.errors import AdjointError, TraceError
from adjoint.leaves import State
from adjoint.op import Op
from adjoint.recording import Origin, Settings, here, transforming
from adjoint.tensor import Array, Tensor, value_of
from adjoint.transforms import flatten

Held = dict[Tensor, Any]

#: Runs in which every node is moved at random within its allowance.
MOVED_RUNS: Final = 3
#: Rows of a table that are shown.
SHOWN: Final = 10


class Difference(NamedTuple):
    """How far apart two values of the same thing are, at the element where it is the largest share of the allowance."""

    ulp: float
    relative: float
    share: float
    example: str


class Row(NamedTuple):
    """One node: its value as machine code against its op by NumPy, from the same inputs.

    Attributes
    ----------
    op : str
    origin : Origin or None
        File and line of the user's code.
    shape : tuple of int
    dtype : NumPy dtype
    ulp, relative : float
        The largest difference, in units in the last place and relative to the larger value. Infinite if only one is
        infinite or NaN.
    share : float
        The largest difference as a share of what rounding explains; the node differs if it is above 1.
    drift : float
        Largest difference from a run that is eager from the start, relative to the node's largest magnitude.
    example : str
        The element that is furthest off.
    """

    op: str
    origin: Origin | None
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    ulp: float
    relative: float
    share: float
    drift: float
    example: str


class End(NamedTuple):
    """A result or an assigned state: the compiled function against the function itself; `share` as in `Row`."""

    name: str
    relative: float
    share: float
    example: str


class ParityReport(NamedTuple):
    """What `parity` found: a row for each node in the order of recording, an end for each result and assigned state.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> report = ad.parity(lambda x: ad.sum(ad.exp(x)), np.arange(3.0))
    >>> report.ok, report.first, [row.op for row in report.rows]
    (True, None, ['exp', 'sum'])
    """

    rows: tuple[Row, ...]
    ends: tuple[End, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing differs by more than rounding explains."""
        return self.first is None and all(end.share <= 1.0 for end in self.ends)

    @property
    def first(self) -> Row | None:
        """The first node that differs by itself."""
        return next((row for row in self.rows if row.share > 1.0), None)

    def __str__(self) -> str:
        return "\n".join([self._verdict(), *_table(self.rows), *self._differing_ends()])

    def _verdict(self) -> str:
        first, count = self.first, len(self.rows)
        if first is not None:
            differing = sum(row.share > 1.0 for row in self.rows)
            return (
                f"parity: {differing} of {count} nodes differ; the first is {first.op}, at {first.origin}: from equal "
                f"inputs {first.example}"
            )
        if not self.ok:
            return (
                f"parity: each of {count} nodes agrees by itself, but ends differ: the compiler joins these nodes "
                "wrongly, or the function does something else each time it runs"
            )
        return f"parity: {count} nodes and {len(self.ends)} ends agree to rounding"

    def _differing_ends(self) -> list[str]:
        return [f"  {end.name}: {end.example}" for end in self.ends if end.share > 1.0]


def _table(rows: Sequence[Row]) -> list[str]:
    """The rows, those that use most of their allowance first."""
    worst = sorted(rows, key=lambda row: (-row.share, -row.ulp))[:SHOWN]
    cells = [("op", "at", "shape", "dtype", "ulp", "relative", "of allowance", "drift")]
    for row in worst:
        numbers = (f"{row.ulp:.3g}", f"{row.relative:.1e}", f"{row.share:.0%}", f"{row.drift:.1e}")
        cells.append((row.op, str(row.origin), str(row.shape), str(row.dtype), *numbers))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  " + "  ".join(c.ljust(n) for c, n in zip(line, widths, strict=True)).rstrip() for line in cells]
    return lines + ([f"  … and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else [])


# --- comparing --------------------------------------------------------------------------------------------------------


def _difference(compiled: Any, eager: Any, allowed: Any) -> Difference:
    a, b = np.asarray(compiled), np.asarray(eager)
    if (a.shape, a.dtype) != (b.shape, b.dtype):
        return Difference(np.inf, np.inf, np.inf, f"compiled {a.dtype} {a.shape}, eager {b.dtype} {b.shape}")
    if a.size == 0:
        return Difference(0.0, 0.0, 0.0, "")
    apart = _apart(a, b)
    with np.errstate(all="ignore"):
        larger = np.fmax(np.abs(a.astype(np.float64)), np.abs(b.astype(np.float64)))
        units = np.where(apart > 0.0, apart / ulp(larger, a.dtype), 0.0)
        relative = np.where(np.isinf(apart), np.inf, np.where(apart > 0.0, apart / larger, 0.0))
        share = np.nan_to_num(np.where(apart > 0.0, apart / allowed, 0.0), nan=0.0, posinf=np.inf)  # ∞ may be allowed
    place = np.unravel_index(int(np.argmax(share)), share.shape)
    index = f" at {[int(n) for n in place]}" if place else ""
    example = f"compiled {a[place]!s}, eager {b[place]!s}{index}, {units[place]:.3g} ulp apart"
    return Difference(float(np.max(units)), float(np.max(relative)), float(np.max(share)), example)


def _apart(a: Array, b: Array) -> Array:
    """|a − b|: 0 where both are the same infinity or NaN, infinite where only one of them is."""
    with np.errstate(all="ignore"):
        distance: Array = np.abs(a.astype(np.float64) - b.astype(np.float64))
    same = (a == b) | ((a != a) & (b != b))  # noqa: PLR0124 (a NaN, also among whole numbers, which have none)
    least = 0.0 if a.dtype.kind == "f" else 1.0  # whole numbers beyond 2**53 may differ without a distance
    return np.asarray(np.where(same, 0.0, np.fmax(np.where(np.isnan(distance), np.inf, distance), least)))


def _scale(x: Any) -> float:
    """The largest finite magnitude."""
    magnitude = np.abs(np.asarray(x, np.float64))
    return float(np.max(magnitude, initial=0.0, where=np.isfinite(magnitude)))


# --- what is run ------------------------------------------------------------------------------------------------------


def _fixed(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments with Tensors as constants, since nothing runs compiled for a Tensor that gets a gradient."""
    import optree

    def fixed(x: Any) -> Any:
        return x.detach() if isinstance(x, Tensor) and not isinstance(x, State) else x

    tree: Any = inputs
    made: Any = optree.tree_map(fixed, tree, is_leaf=lambda x: isinstance(x, Tensor | Settings))
    return tuple(made)


def _again(f: Callable[..., Any]) -> Compiled:
    """The function, to be compiled for the check alone."""
    return Compiled(f._f, tuple(f._static), fast=f._fast) if isinstance(f, Compiled) else Compiled(f, (), fast=False)


@contextmanager
def _untouched(traced: Traced) -> Iterator[None]:
    """Put back what the function assigns in the block: states, gradients, what optimisers keep."""
    states = [(s, s._value, s._read, s._grad) for s in traced.states]
    owned = [x for holder in traced.holders for x in vars(holder).values() if type(x) is dict]
    contents = [dict(x) for x in owned]
    try:
        yield
    finally:
        for state, value, read, gradient in states:
            state._value, state._read, state._grad = value, read, gradient
        for held, before in zip(owned, contents, strict=True):
            held.clear()
            held.update(before)


def _ends_of(result: Any, traced: Traced) -> list[Any]:
    """Values of everything that a run has computed: results, then states."""
    leaves = flatten(result)[0]
    pairs = zip(leaves, traced.outputs, strict=True)
    found = [value_of(x) for x, node in pairs if isinstance(node, Tensor)]
    return found + [s._value for s, x in traced.assigned.items() if isinstance(x, Tensor)]


def _names_of_ends(traced: Traced) -> list[str]:
    paths = traced.recipe.paths()
    pairs = zip(paths, traced.outputs, strict=True)
    names = ["result" + "".join(f"[{k!r}]" for k in path) for path, x in pairs if isinstance(x, Tensor)]
    states = [s for s, x in traced.assigned.items() if isinstance(x, Tensor)]
    return names + [f"state {s.name or 'unnamed'} {s.shape}" for s in states]


# --- node by node -----------------------------------------------------------------------------------------------------


class _Nodes:
    """The nodes of a traced function, computed in either engine."""

    def __init__(self, traced: Traced, numbers: Sequence[Any]) -> None:
        self.traced: Final = traced
        self.ends: Final = [x for x in (*traced.outputs, *traced.assigned.values()) if isinstance(x, Tensor)]
        pairs = zip(traced.inputs, numbers, strict=True)
        self.given: Final[Held] = {node: _like(node, value_of(x)) for node, x in pairs if node is not None}
        self.given.update((node, _like(node, state._value)) for state, node in traced.states.items())
        self.computed: Final = [x for x in self._below() if x not in self.given and x._rule.op is not None]

    def _below(self) -> list[Tensor]:
        """All nodes without data that the ends are computed from, in the order of recording."""
        seen: set[Tensor] = set()
        stack = list(self.ends)
        while stack:
            node = stack.pop()
            if node not in seen and type(node._value) is Abstract:
                seen.add(node)
                stack += [x for x in node._inputs if isinstance(x, Tensor) and not isinstance(x, State)]
        return sorted(seen, key=lambda t: t._id)

    def compiled(self, name: str, *, fast: bool) -> Held:
        """Values of all nodes as machine code computes them; a loop's own node, which stands for all of its results,
        has those of NumPy.
        """
        shown = [x for x in self.computed if not _is_loop(x)]
        program = lower(self.traced._replace(outputs=tuple(shown), assigned={}))
        inputs = [np.array(x, v.dtype, order="C") for x, v in zip(self.given.values(), program.inputs, strict=True)]
        outputs = [np.empty(v.shape, v.dtype) for v in program.outputs]
        if runnable(program, {}, name, fast=fast).run(inputs, outputs):
            raise AdjointError(
                f"parity: a check of indices or labels fails in the compiled {name}, which passes when it runs "
                f"eagerly{here()}"
            )
        held = self.given | {node: _like(node, x) for node, x in zip(shown, outputs, strict=True)}
        for node in filter(_is_loop, self.computed):
            held[node] = self.evaluated(node, held)
        return held

    def eager(self, moved: Callable[[Tensor, Any], Any] = lambda node, value: value) -> Held:
        """Values of all nodes by NumPy, from the start; each may be moved before others take it."""
        held = dict(self.given)
        for node in self.computed:
            held[node] = moved(node, self.evaluated(node, held))
        return held

    def evaluated(self, node: Tensor, held: Held) -> Any:
        """The op of a node by NumPy, from held values of its inputs."""
        with np.errstate(all="ignore"):
            return _op(node).evaluate(self.operands(node, held), node._params)

    def operands(self, node: Tensor, held: Held) -> list[Any]:
        """Values of the inputs of a node."""
        return [self.value(x, held) for x in node._inputs]

    def value(self, x: Any, held: Held) -> Any:
        """The value of a node: its own, or that of the node which it stands for."""
        if not isinstance(x, Tensor) or type(x._value) is not Abstract:
            return value_of(x)
        return held[x] if x in held else _like(x, self.value(x._inputs[-1], held))

    def rows(self, compiled: Held, allowed: Mapping[Tensor, Array]) -> Iterator[Row]:
        """What differs, node by node."""
        eager = self.eager()
        for node in (x for x in self.computed if not _is_loop(x)):
            found = _difference(compiled[node], self.evaluated(node, compiled), allowed[node])
            apart = float(np.max(_apart(np.asarray(compiled[node]), np.asarray(eager[node])), initial=0.0))
            drift = apart / _scale(eager[node]) if apart and _scale(eager[node]) else apart
            yield Row(_op(node).name, node.node.origin, node.shape, node.dtype, *found[:3], drift, found.example)

    def allowed(self, compiled: Held, limit: float) -> dict[Tensor, Array]:
        """How far each node may be off on equal inputs; for a result of a loop, on equal inputs of the loop."""
        found, loops = dict[Tensor, Array](), dict[Tensor, list[Array]]()
        for node in self.computed:
            op, xs = _op(node), self.operands(node, compiled)
            if _is_loop(node):
                loops[node] = allowances(op, xs, node._params, limit)
            elif op.name == "loop_result":
                found[node] = loops[node._inputs[0]][node._params["index"]]
            else:
                found[node] = allowance(op, xs, node._params, node._value, limit)
        return found

    def spreads(self, allowed: Mapping[Tensor, Array]) -> list[float]:
        """How far each end moves when every node moves at random within its allowance."""
        rng, base = np.random.default_rng(0), self.eager()

        def moved(node: Tensor, value: Any) -> Any:
            if node.dtype.kind != "f":
                return value
            by = rng.uniform(-1.0, 1.0, node.shape) * np.where(np.isfinite(allowed[node]), allowed[node], 0.0)
            with np.errstate(all="ignore"):
                return _like(node, (value + by).astype(node.dtype) if node.shape else node.dtype.type(value + by))

        runs = [self.eager(moved) for _ in range(MOVED_RUNS)]
        found = []
        for end in self.ends:
            middle = np.asarray(self.value(end, base))
            distances = [np.max(_apart(np.asarray(self.value(end, x)), middle), initial=0.0) for x in runs]
            found.append(float(max(distances)))
        return found


def _op(node: Tensor) -> Op:
    op = node._rule.op
    assert op is not None, "only nodes with an op are computed"
    return op


def _is_loop(node: Tensor) -> bool:
    """Whether a node stands for several results, which are nodes, too."""
    return _op(node).name == "loop"


def _like(node: Tensor, value: Any) -> Any:
    """A value as eager nodes hold it: a Python number if the node stands for one."""
    return np.asarray(value).item() if type(node._value) is Abstract and node._value.weak else value


# --- the check --------------------------------------------------------------------------------------------------------


def _both(compiled: Compiled, inputs: Sequence[Any], traced: Traced) -> tuple[Variant, list[Any], list[Any]]:
    """What was compiled, and the ends of both engines: of the compiled function, and of the function itself."""
    with _untouched(traced), np.errstate(all="ignore"):
        eager = _ends_of(compiled._f(*inputs), traced)
    with _untouched(traced):
        native = _ends_of(compiled(*inputs), traced)
    return compiled.variants[-1], native, eager


def parity(f: Callable[..., Any], *inputs: Any, limit: float = 4.0) -> ParityReport:
    """Compare the compiled engine with the eager one on a function, node by node.

    |compiled − eager| ≤ max(limit · ulp, what rounding of sums and of operands can make), on equal inputs

    Each op is computed by NumPy from the compiled values of its inputs. Whole numbers and booleans must be equal, NaN
    and infinities in the same places. Elementary functions may differ by `limit` ulp. A sum of n terms may differ by
    n · eps · Σ |term| and a product of matrices by twice that over its inner axis, since engines add in different
    orders: where terms cancel, that is many ulp of a small result. (So a single wrong term of a sum of more than some
    3,000 in float32 is not seen: pass fewer.) The results and assigned states of the function as
    it runs usually, all of its nodes fused, are compared with those of the function itself.

    Parameters
    ----------
    f : function, or one compiled by `ad.compile`
        It may read and assign states, and be a whole training step; states, gradients and optimisers are as before
        afterwards.
    *inputs : its arguments, of any shape and dtype
        Tensors among them are taken as constants.
    limit : float
        Units in the last place that a function of the elements may differ by.

    Returns
    -------
    ParityReport
        `ok`; `first`, the first node that differs by itself, or None; `rows` of all nodes with op, origin, shape,
        dtype, ulp and relative difference; `ends`. As text: a table of the worst.

    Raises
    ------
    TraceError
        If the function cannot be compiled, or a transform is open.
    AdjointError
        If `limit` is negative, or an index or label is refused by the compiled function alone. What the function itself
        raises is raised as it is.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> w = ad.Parameter(np.ones(3), name="w")
    >>> opt = ad.optim.SGD([w], lr=0.1)
    >>> def step(x):
    ...     loss = ad.tanh(x @ w).mean()
    ...     loss.backward()
    ...     opt.step()
    ...     return loss
    >>> report = ad.parity(step, np.eye(3))
    >>> print(report)
    parity: ... nodes and 3 ends agree to rounding
    ...
    >>> w.value, opt.steps.item()
    (array([1., 1., 1.]), 0)

    Source: the bound on sums is that of N. Higham, "Accuracy and Stability of Numerical Algorithms", chapters 3 and 4.
    """
    if not limit >= 0.0:
        raise AdjointError(f"parity: expected a limit ≥ 0, got {limit}{here()}")
    if transforming():
        raise TraceError(f"parity: inside grad, jvp or jacobian nothing runs compiled{here()}; call it outside")
    compiled, args = _again(f), _fixed(inputs)
    given = Arguments(args, {}, compiled._static)
    given.check("parity")
    variant, native, eager = _both(compiled, args, trace(given.function(compiled._f), given.specimens))
    nodes = _Nodes(variant.traced, given.numbers)
    values = nodes.compiled(compiled.name, fast=compiled._fast)
    allowed = nodes.allowed(values, limit)
    ends = []
    for name, a, b, spread in zip(_names_of_ends(variant.traced), native, eager, nodes.spreads(allowed), strict=True):
        least = limit * float(np.finfo(np.asarray(b).dtype).eps) * _scale(b) if np.asarray(b).dtype.kind == "f" else 0.0
        found = _difference(a, b, np.full(np.shape(b), 4.0 * spread + least))
        ends.append(End(name, found.relative, found.share, found.example))
    return ParityReport(tuple(nodes.rows(values, allowed)), tuple(ends))
