"""Loops: over rows, and as long as a condition holds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np

from adjoint.abstract import Abstract
from adjoint.compiler.trace import Recorder
from adjoint.control.guarded import Aside, Function, Way, guarded, joined, running
from adjoint.control.loop_op import Guard
from adjoint.control.repeated import looped
from adjoint.control.values import Flat, condition, kind_of
from adjoint.errors import GradientError, ShapeError, TraceError
from adjoint.leaves import State
from adjoint.recording import here, mode, tracing, transforming
from adjoint.shaped import general
from adjoint.tensor import LEAF, Constant, Tensor, leaf, new, record
from adjoint.transforms import unflatten
from adjoint.vocabulary import TENSORS

# --- over rows --------------------------------------------------------------------------------------------------------


def scan(f: Function, carry: Any, xs: Any = None, *, length: int | None = None, reverse: bool = False) -> Any:
    """A loop over rows that hands a carry on and stacks what each step gives.

    (cₜ₊₁, yₜ) = f(cₜ, xₜ), t = 0 … n − 1

    In a function that is being compiled f is traced once, and the program has one loop, however many steps there are.
    It is unrolled where there are at most four, and where a step runs a backward pass, assigns a Parameter, asks in
    Python for a carried value (an index of a list), or uses an op without native code.

    Parameters
    ----------
    f : function (carry, x) -> (carry, y)
        It may close over parameters and Tensors. The carry keeps its structure, shapes and dtypes.
    carry : container of numbers, arrays and Tensors
    xs : container of arrays and Tensors of shape (n, …), optional
        The step gets the container with the rows xₜ of shape (…); None if there is none.
    length : int, optional
        Number of steps n; needed without xs.
    reverse : bool
        From the last row to the first; yₜ still stands in row t.

    Returns
    -------
    (carry, ys)
        The last carry; and what the steps gave, of shape (n, …). Without a step f is traced to find their shapes.

    Gradient: that of the steps, through carry, xs and all that f uses.

    Raises
    ------
    ShapeError, DTypeError
        If rows or lengths differ, or a step returns a carry or y unlike the one before; the leaf is named.
    TypeError
        If f does not return a pair.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> ad.scan(lambda c, x: (c + x, c * x), 0.0, np.array([1.0, 2.0, 3.0]))
    (np.float64(6.0), array([0., 2., 9.]))
    >>> power = lambda x: ad.scan(lambda c, _: (c * x, None), 1.0, length=3)[0]
    >>> power(2.0), ad.grad(power)(2.0)
    (8.0, 12.0)

    Source: the interface is that of JAX.
    """
    rows = _read(xs)
    count = _length(rows, length)
    if (made := _scanned(f, _read(carry), rows, count, reverse)) is not None:
        return made
    steps = [_rows(x, count) for x in rows.leaves]
    held, ys = Flat.of(carry), list[Flat]()
    for t in range(count - 1, -1, -1) if reverse else range(count):
        row = unflatten(rows.recipe, [step[t] for step in steps])
        carry, y = _pair(f(carry, row))
        before, held = held, Flat.of(carry)
        held.check(before, "scan", "carry", f"a carry as before step {t},")
        ys.append(Flat.of(y))
        ys[-1].check(ys[0], "scan", "y", f"a y in step {t} as in the first,")
    if not count:
        return carry, _no_rows(f, carry, rows)
    stacked = zip(*(y.leaves for y in (reversed(ys) if reverse else ys)), strict=True)
    return carry, unflatten(ys[0].recipe, [TENSORS.stack(*leaves, axis=0) for leaves in stacked])


def _read(tree: Any) -> Flat:
    """A container with reads of the states in it."""
    flat = Flat.of(tree)
    return flat._replace(leaves=[x.read() if isinstance(x, State) else x for x in flat.leaves])


def _scanned(f: Function, carry: Flat, rows: Flat, count: int, reverse: bool) -> tuple[Any, Any] | None:
    """The scan as one loop of the trace; None if it is to be unrolled."""
    recipes: list[Any] = []

    def step(carries: list[Any], row: list[Any]) -> tuple[list[Any], list[Any]]:
        before = carry._replace(leaves=carries)
        after, y = map(_read, _pair(f(before.tree(), unflatten(rows.recipe, row))))
        after.check(before, "scan", "carry", "a carry as before step 0,")
        recipes.append(y.recipe)
        return after.leaves, y.leaves

    made = looped(step, carry.leaves, rows.leaves, count, reverse=reverse)
    if made is None:
        return None
    last, ys = made
    return unflatten(carry.recipe, last), unflatten(recipes[-1], ys)


def _length(rows: Flat, length: int | None) -> int:
    """The number of steps, which all leaves of xs and `length` must agree on."""
    if length is not None and length < 0:
        raise ShapeError(f"scan: expected length to be 0 or more, got {length}{here()}")
    for i, x in enumerate(rows.leaves):
        shape = kind_of("scan", x).shape
        if not shape or shape[0] != (shape[0] if length is None else length):
            expected = "(n, …)" if length is None else f"({length}, …)"
            raise ShapeError(
                f"scan: expected shape {expected}, got {shape} ({rows.recipe.accessors()[i].codify('xs')}){here()}; "
                "a list is a container of leaves: make it an array"
            )
        length = shape[0]
    if length is None:
        raise ShapeError(f"scan: expected xs or length, to know the number of steps{here()}; write length=n")
    return length


def _pair(result: Any) -> tuple[Any, Any]:
    if not (isinstance(result, tuple) and len(result) == 2):
        raise TypeError(f"scan: expected (carry, y) from the function, got {type(result).__name__}{here()}")
    return result


#: So many rows are taken from an array one by one.
_FEW: Final = 16


def _rows(x: Any, count: int) -> list[Any]:
    """The rows of an array; of a Tensor by halves.

    The gradient of a row is an array of zeros as large as all rows together: by halves they cost n · log n, not n².
    """
    if not isinstance(x, Tensor) or not x.active or count <= _FEW:
        return [x[i] for i in range(count)]
    half = count // 2
    return _rows(x[:half], half) + _rows(x[half:], count - half)


def _no_rows(f: Function, carry: Any, rows: Flat) -> Any:
    """The ys of no step: a trace of f says their shapes. Nothing of it is kept."""
    outer = running()
    recorder = Recorder() if outer is None else Aside(outer)
    start = Flat.of(carry)
    kinds = [Abstract(kind.shape[1:], kind.dtype) for kind in (kind_of("scan", x) for x in rows.leaves)]
    try:
        with mode(trace=recorder):
            row = unflatten(rows.recipe, [_stand_in(kind) for kind in kinds])
            start = start._replace(leaves=[_stand_in(kind_of("scan", x)) for x in start.leaves])
            y = Flat.of(_pair(f(start.tree(), row))[1])
    finally:
        recorder.restore()
    shapes = [kind_of("scan", x) for x in y.leaves]
    return unflatten(y.recipe, [np.zeros((0, *kind.shape), kind.dtype) for kind in shapes])


def _stand_in(kind: Abstract) -> Tensor:
    """A Tensor without data."""
    return record(new(Constant), LEAF, kind, ())  # type: ignore[no-any-return]


# --- as long as a condition holds -------------------------------------------------------------------------------------


@general(symbol="loop")
def loop_without_bound(m, x, /):  # type: ignore[no-untyped-def]
    """The value itself, as the result of a `while_loop` without `max_steps`: no gradient is swept back through it.

    out = x

    Gradient: an error; forward, the tangent of x.

    Example
    -------
    >>> import adjoint as ad
    >>> from adjoint.control.loops import loop_without_bound
    >>> ad.jvp(loop_without_bound, (2.0,), (1.0,))
    (2.0, 1.0)

    Source: JAX, whose while_loop has tangents and no gradients.
    """
    return x


def _refuse_reverse(*unused: Any) -> Any:
    raise GradientError(
        f"while_loop: without a bound on the number of steps it has tangents (ad.jvp) but no gradients{here()}; "
        "write ad.while_loop(…, max_steps=n)"
    )


loop_without_bound.shape(lambda x: x).vjp(_refuse_reverse).jvp(lambda m, tangents, out, x: tangents[0])


def while_loop(cond_fn: Function, body_fn: Function, carry: Any, *, max_steps: int | None = None) -> Any:
    """A loop that goes on while a condition of its carry holds.

    while cond_fn(c): c = body_fn(c); at most max_steps times

    In a function that is being compiled the condition is not known: the program has a loop of `max_steps` steps, of
    which those after its end are left out. Where a step cannot be native code, all of them are computed, and one that
    is computed in vain adds nothing to gradients, even where its own are infinite.

    Parameters
    ----------
    cond_fn : function (carry) -> boolean of shape ()
    body_fn : function (carry) -> carry
        It may close over parameters and Tensors. The carry keeps its structure, shapes and dtypes.
    carry : container of numbers, arrays and Tensors
    max_steps : int, optional
        After so many steps the loop ends, whatever the condition says. Needed for gradients, and to compile a condition
        that depends on arguments.

    Returns
    -------
    The last carry.

    Gradient: that of the steps that were taken, through carry and all that body_fn uses; the number of steps counts as
    fixed. Without max_steps there are tangents (`jvp`) and no gradients.

    Raises
    ------
    ShapeError, DTypeError
        If the condition is no boolean of shape (), or a step returns a carry unlike the one before; the leaf is named.
    GradientError
        From a backward pass that reaches a loop without max_steps.
    TraceError
        While compiling, without max_steps.

    Example
    -------
    >>> import adjoint as ad
    >>> def root(a):  # Newton's method
    ...     far = lambda x: ad.abs(x * x - a) > 1e-12
    ...     return ad.while_loop(far, lambda x: 0.5 * (x + a / x), a, max_steps=50)
    >>> root(4.0), ad.grad(root)(4.0)
    (2.0, 0.25)

    Source: the interface is that of JAX; the bound is Equinox's.
    """
    if max_steps is not None and max_steps < 0:
        raise ShapeError(f"while_loop: expected max_steps to be 0 or more, got {max_steps}{here()}")
    going: Any = True
    for t in _counted(max_steps):
        going = _still(going, cond_fn, carry)
        if going is False:
            break
        if going is not True and max_steps is None:
            raise TraceError(
                "while_loop: the condition is not known while a function is being compiled, so there must be a bound "
                f"on the number of steps{here()}; write max_steps=n: steps after the end keep the carry"
            )
        if (
            going is not True
            and max_steps is not None
            and (made := _repeated(cond_fn, body_fn, carry, going, max_steps - t)) is not None
        ):
            return made.tree()
        carry = _step(going, body_fn, carry, f"a carry as before step {t},")
        if max_steps is None and not transforming() and tracing() is None:
            carry = _forgotten(carry)
    return carry if max_steps is not None else _each_active(TENSORS.loop_without_bound, carry)


def _repeated(cond_fn: Function, body_fn: Function, carry: Any, going: Any, count: int) -> Flat | None:
    """The last carry of one loop of the trace; None if it is to be unrolled.

    The condition is looked at after each step, so once more than there are steps: it must not assign states.
    """
    start = _read(carry)
    for x in start.leaves:
        kind_of("while_loop", x)

    def step(carries: list[Any], row: list[Any]) -> tuple[list[Any], list[Any]]:
        before = start._replace(leaves=carries[1:])
        after = _read(body_fn(before.tree()))
        after.check(before, "while_loop", "carry", "a carry as before step 0,")
        return [_free_of_states(lambda: condition("while_loop", cond_fn(after.tree()))), *after.leaves], []

    made = looped(step, [going, *start.leaves], [], count, guard=Guard(0, is_row=False))
    return None if made is None else start._replace(leaves=made[0][1:])


def _free_of_states(f: Function) -> Any:
    """The result of a function that may assign no state."""
    outer = running()
    before = {} if outer is None else dict(outer.current)
    result = f()
    if outer is not None and any(now is not before.get(s, outer.states[s]) for s, now in outer.current.items()):
        raise TraceError(f"while_loop: its condition assigns a state{here()}")
    return result


def _counted(max_steps: int | None) -> Iterable[int]:
    return itertools.count() if max_steps is None else range(max_steps)


def _still(going: Any, cond_fn: Function, carry: Any) -> Any:
    """Whether the loop goes on: it went on until here, and its condition holds."""
    outer = running()
    if outer is None or going is True:
        return condition("while_loop", cond_fn(carry))
    way = guarded(outer, going, lambda c: condition("while_loop", cond_fn(c)), (carry,))
    return joined(outer, going, way, Way(Flat.of(False), {}))


def _step(going: Any, body_fn: Function, carry: Any, which: str) -> Any:
    """The carry after a step, or as it was if the loop has ended."""
    before, outer = Flat.of(carry), running()
    if outer is None or going is True:
        after = body_fn(carry)
        Flat.of(after).check(before, "while_loop", "carry", which)
        return after
    way = guarded(outer, going, body_fn, (carry,))
    way.results.check(before, "while_loop", "carry", which)
    return joined(outer, going, way, Way(before, {}))


def _forgotten(carry: Any) -> Any:
    """The carry without its history, which nothing will ask for: only an open transform sweeps forward."""
    return _each_active(lambda x: leaf(x._value), carry)


def _each_active(f: Callable[[Tensor], Tensor], tree: Any) -> Any:
    flat = Flat.of(tree)
    return flat._replace(leaves=[f(x) if type(x) is Tensor else x for x in flat.leaves]).tree()
