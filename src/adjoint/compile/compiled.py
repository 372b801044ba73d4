"""`ad.compile`: a function that is traced once for each kind of arguments, and from then on runs as one native call.

Concepts here: `Compiled`, the function that a user calls; its `Variant`s, one for each signature (structure, shapes and
dtypes of the arguments), each with a native program and the states that it reads and assigns. A call finds its
variant, hands addresses over, and puts results into the structure that the function returned.

Invariants. A state that is assigned is written in place if nobody else holds its buffer, else in a new one: what a user
has in hand never changes. If a check inside the program fails, nothing has been assigned, and the function runs once
more without the compiler, which raises what it always raises.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, overload

import numpy as np

from adjoint.abstract import Abstract
from adjoint.compile.epochs import epochs
from adjoint.compile.lower import lower
from adjoint.compile.native import Native
from adjoint.compile.program import Program
from adjoint.compile.recorded import CallRule, Pullback
from adjoint.compile.segments import runnable
from adjoint.compile.trace import Traced, trace
from adjoint.errors import ShapeError, TraceError
from adjoint.leaves import State
from adjoint.recording import MODE, PLAIN, Settings, here
from adjoint.tensor import DROPPED, LEAF, NO_PARAMS, Constant, Rule, Tensor, new, next_id

_mode: Final = MODE.get
_references: Final = sys.getrefcount
_empty: Final = np.empty
_array: Final = np.ndarray
_MISSED: Final = object()
Function = Callable[..., Any]


class Result(NamedTuple):
    """One leaf of what the function returns: an output of the program, or an object that was known when tracing."""

    output: int | None
    given: Any
    is_weak: bool
    is_active: bool


class Variant:
    """The function for one signature: a native program, and what it reads, assigns and returns."""

    def __init__(self, traced: Traced, program: Program, f: Function, name: str, *, fast: bool) -> None:
        self.traced: Final = traced
        self.function: Final = f
        self.program: Final = program
        self._version = Settings.version
        self._settings: Final = _settings(traced)
        self.states: Final = tuple(traced.states)
        numbers = [x for x in traced.outputs if isinstance(x, Tensor)]
        order = iter(range(len(numbers)))
        self.results: Final = tuple(_result(x, order) for x in traced.outputs)
        places = {state: i for i, state in enumerate(self.states)}
        self.arguments: Final = tuple((x.dtype, x.shape) for x in program.inputs[: -len(places) or None])
        computed = [s for s, x in traced.assigned.items() if isinstance(x, Tensor)]
        self.assigned: Final = tuple(places[s] for s in computed)
        self.written: Final = tuple(computed)
        pairs = {len(numbers) + i: len(self.arguments) + place for i, place in enumerate(self.assigned)}
        self.native: Final = runnable(program, pairs, name, fast=fast)
        self.returned: Final = tuple((x.shape, x.dtype) for x in program.outputs[: len(numbers)])
        self.wraps: Final = bool(self.states)
        #: Results get gradients unless the function has used them up itself: a training step has.
        self.parameters: Final = () if computed else tuple(s for s in self.states if s.trainable)
        self._pullbacks: Final[dict[int, Pullback]] = {}
        self.is_single: Final = traced.recipe.is_leaf()
        self._bound = _Bound((), (), (), 0)

    def __call__(self, numbers: Sequence[Any]) -> list[Any] | None:
        """Results, flat, for arrays of the signature; None if a check failed."""
        bound = self._bound
        for state, value in zip(self.states, bound.values, strict=False):
            if state._value is not value:
                bound = self._bind()
                break
        else:
            if not bound.values and self.states:
                bound = self._bind()
            for x in bound.written:
                if _references(x) > bound.limit:
                    bound = self._bind()
                    break
        outputs = [_empty(shape, dtype) for shape, dtype in self.returned]
        if self.native.run([*numbers, *bound.buffers, *outputs, *bound.written]):
            return None
        if bound.written:
            self._finish(bound)
        return outputs

    def is_current(self) -> bool:
        """Whether the modules and optimisers that were used have the settings that they had when this was traced."""
        if self._version != Settings.version:
            now = _settings(self.traced)
            if len(now) != len(self._settings) or not all(map(_is_same, now, self._settings)):
                return False
            self._version = Settings.version
        return True

    def quick(self, args: tuple[Any, ...]) -> Any:
        """What the function returns for arrays just as the signature says; `_MISSED` for any other arguments."""
        if (self._version != Settings.version and not self.is_current()) or len(args) != len(self.arguments):
            return _MISSED
        for x, (dtype, shape) in zip(args, self.arguments, strict=True):
            if type(x) is not _array or x.dtype is not dtype or x.shape != shape or not x.flags.carray:
                return _MISSED
        found = self(args)
        if found is None:
            return _MISSED
        return self.finished(args, found, self.wraps, record=True)

    def finished(self, numbers: Sequence[Any], found: Sequence[Any], wrap: bool, *, record: bool) -> Any:
        """Results as the function returns them, in its structure."""
        leaves = []
        for result in self.results:
            if result.output is None:
                leaves.append(result.given)
                continue
            value = found[result.output]
            if result.is_weak:
                value = value.item()
            if record and result.is_active and self.parameters:
                leaves.append(self._recorded(value, numbers, result.output))
            elif wrap:
                leaves.append(_node(Constant, value, LEAF, ()))
            else:
                leaves.append(value if result.is_weak else value[()])
        return self.structured(leaves)

    def structured(self, leaves: list[Any]) -> Any:
        """Flat results in the structure that the function returns."""
        if self.is_single:
            return leaves[0]
        import optree

        return optree.tree_unflatten(self.traced.recipe, leaves)

    def steps(self, order: Any, sources: Sequence[Any], examples: Sequence[Any]) -> Iterator[list[Any]]:
        """Results of the steps of `order`, stacked, in pieces; ends early before a step in which a check fails."""
        runnable = self.native
        if not isinstance(runnable, Native):
            for rows in order:
                found = self([np.ascontiguousarray(x[rows]) for x in sources])
                if found is None:
                    return
                yield [found[r.output][None] for r in self.results if r.output is not None]
            return
        bound = self._bind()
        outputs = [_empty(shape, dtype) for shape, dtype in self.returned]
        kept = [_empty((len(order), *shape), dtype) for shape, dtype in self.returned]
        arrays = [*examples, *bound.buffers, *outputs, *bound.written]
        for piece in epochs(runnable, order, sources, arrays, list(zip(outputs, kept, strict=True))):
            self._finish(bound)
            if piece.count:
                yield [k[piece.first : piece.first + piece.count] for k in kept]
            if any(s._value is not v for s, v in zip(self.states, bound.values, strict=True)):
                return

    def _recorded(self, value: Any, numbers: Sequence[Any], output: int) -> Tensor:
        """A result that hands its gradient to the parameters that the function read."""
        held = dict(zip(self.states, self._bound.buffers, strict=True))
        rule = CallRule(functools.partial(self._pullback, output), self.parameters, numbers, held)
        return _node(Tensor, value, rule, self.parameters)

    def _pullback(self, output: int, g: Any) -> Pullback:
        if output not in self._pullbacks:
            example = [np.zeros(shape, dtype) for dtype, shape in self.arguments]
            self._pullbacks[output] = Pullback(self.function, output, self.parameters, example, np.asarray(g))
        return self._pullbacks[output]

    def _bind(self) -> _Bound:
        """The arrays behind the states; those that will be written are held by nobody else."""
        self._bound = _Bound((), (), (), 0)
        for i in self.assigned:
            _own(self.states[i])
        values = tuple(s._value for s in self.states)
        buffers = tuple(_buffer(x) for x in values)
        written = tuple(buffers[i] for i in self.assigned)
        limit = 0
        for x in written:
            limit = max(limit, _references(x) + 1)  # the tuple of values that is made below
        self._bound = _Bound(values, buffers, written, limit)
        return self._bound

    def _finish(self, bound: _Bound) -> None:
        """The states know their new values."""
        for state, x in zip(self.written, bound.written, strict=True):
            state._read = None
            if type(state._value) is float:
                state._value = x.item()
        for state in self.traced.graded:
            state._grad = DROPPED


class _Bound(NamedTuple):
    """What the states held when they were looked at last: values, their arrays, those that are written, and how many
    references the latter have if nobody else holds them.
    """

    values: tuple[Any, ...]
    buffers: tuple[Any, ...]
    written: tuple[Any, ...]
    limit: int


def _own(state: State) -> None:
    """Make the array of a state that will be written one that nobody else holds."""
    value = state._value
    if type(value) is float:
        return
    # held by the slot, by this variable and by the call that counts
    is_own = type(value) is np.ndarray and _references(value) <= 3 and value.flags.owndata and value.flags.carray
    if not is_own:
        state._value = np.array(value, order="C")


def _buffer(value: Any) -> Any:
    """An array for a value that a state holds: as it is, if native code can read it."""
    return _plain_array(value) if type(value) is np.ndarray else np.array(value)


def _settings(traced: Traced) -> list[Any]:
    """What a trace may have read in Python: attributes of modules and optimisers, and what is trainable."""
    found: list[Any] = [state.trainable for state in traced.states]
    for holder in traced.holders:
        found += [x for item in vars(holder).items() for x in item]
    return found


def _is_same(x: Any, y: Any) -> bool:
    return x is y or (type(x) is type(y) and isinstance(x, str | int | float | tuple) and bool(x == y))


def _result(x: Any, order: Any) -> Result:
    if not isinstance(x, Tensor):
        return Result(None, x, False, False)
    weak = type(x._value) is float or (type(x._value) is Abstract and x._value.weak)
    return Result(next(order), None, weak, type(x) is Tensor and x.dtype.kind == "f")


class Compiled:
    """A function compiled by `ad.compile`; call it as the function itself."""

    def __init__(self, f: Function, static: Sequence[str | int], *, fast: bool) -> None:
        functools.update_wrapper(self, f)
        self._f: Final = f
        self._fast: Final = fast
        self.name: Final[str] = getattr(f, "__name__", "function")
        self._static: Final = _static_names(f, static)
        self._variants: Final[dict[Hashable, list[Variant]]] = {}
        self._latest: Variant | None = None

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
            result = self._latest.quick(args)
            if result is not _MISSED:
                return result
        if current is not None and (current.trace is not None or current.transforms):
            return self._f(*args, **settings)
        call = _Call(self, args, settings)
        if call.is_differentiated:
            return self._f(*args, **settings)
        variant = self._variant(call)
        found = variant(call.numbers)
        if found is None:
            return self._f(*args, **settings)
        if call.is_plain:
            self._latest = variant
        return call.returned(variant, found)

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
        found = list(self.steps(order, *arrays))
        whole = [np.concatenate(parts) for parts in zip(*(leaves for leaves, _ in found), strict=True)]
        return found[-1][1](whole) if found else None

    def steps(self, order: Any, *arrays: Any) -> Iterator[tuple[list[Any], Callable[[list[Any]], Any]]]:
        """`epoch` in pieces of at most about a tenth of a second: results of some steps, stacked but flat, and the
        function that puts flat results into the structure that the function returns. Between pieces everything may be
        looked at, and interrupting leaves all states as after a whole step.
        """
        places, sources = _checked_order(order, arrays)
        examples = [np.empty((places.shape[1], *x.shape[1:]), x.dtype) for x in sources]
        call = _Call(self, tuple(examples), {})
        variant = self._variant(call)
        done = 0
        while done < len(places):
            for leaves in variant.steps(places[done:], sources, examples):
                count = len(leaves[0]) if leaves else len(places) - done
                done += count
                yield leaves, variant.structured
            if done < len(places):  # a check failed: the function itself says what is wrong
                self._f(*(x[places[done]] for x in sources))
                done += 1

    def _variant(self, call: _Call) -> Variant:
        """What was compiled for the signature of a call and the settings of now; traced if there is none yet."""
        known = self._variants.setdefault(call.signature, [])
        for variant in known:
            if variant.is_current():
                return variant
        traced = trace(call.function(), call.numbers)
        made = Variant(traced, lower(traced), call.function(), self.name, fast=self._fast)
        known.append(made)
        return made


class _Call:
    """The arguments of one call, taken apart: numbers, and the rest, which is part of the signature."""

    def __init__(self, compiled: Compiled, args: tuple[Any, ...], settings: Mapping[str, Any]) -> None:
        self._compiled: Final = compiled
        self._args: Final = args
        self._settings: Final = settings
        self.numbers: list[Any] = []
        self.is_differentiated = False
        self.is_plain = False
        self._recipe: Any = None
        self._leaves: Sequence[Any] = args
        if settings or compiled._static or not all(type(x) is np.ndarray for x in args):
            self._take_apart()
        else:
            self.is_plain = True
            self.numbers = [_plain_array(x) for x in args]
            self.signature: Hashable = tuple([(x.dtype, x.shape) for x in args])

    def _take_apart(self) -> None:
        import optree

        names = self._compiled._static
        args = [_Static(x) if i in names else x for i, x in enumerate(self._args)]
        settings = {k: _Static(v) if k in names else v for k, v in self._settings.items()}
        self._leaves, self._recipe = optree.tree_flatten((args, settings), is_leaf=_is_leaf)
        signature: list[Hashable] = [self._recipe]
        for x in self._leaves:
            signature.append(self._sign(x))
        self.signature = tuple(signature)

    def _sign(self, x: Any) -> Hashable:
        """What the signature says of a leaf; a number is noted for the program."""
        kind = type(x)
        if kind is float or kind is int or kind is bool:
            self.numbers.append(np.array(x))
            return kind
        if isinstance(x, Tensor) and not isinstance(x, State):
            value = x._value
            if kind is Tensor and (_mode() or PLAIN).record:
                self.is_differentiated = True
            self.numbers.append(_plain_array(np.asarray(value)))
            return (Tensor, float) if type(value) is float else (Tensor, value.dtype, value.shape)
        if isinstance(x, np.ndarray | np.generic) or (hasattr(x, "__array__") and not isinstance(x, State)):
            array = _plain_array(np.asarray(x))
            self.numbers.append(array)
            return (array.dtype, array.shape)
        content = x.content if kind is _Static else x
        try:
            hash(content)
        except TypeError:
            raise TraceError(
                f"compile: expected a hashable value for a static argument, got {type(content).__name__}{here()}; "
                "pass a tuple instead of a list, or numbers as an array that is no static argument"
            ) from None
        return ("static", content)

    def function(self) -> Function:
        """The function of the numbers alone: all other leaves are as they are."""
        if self._recipe is None:
            return self._compiled._f
        import optree

        leaves, recipe = self._leaves, self._recipe

        def filled(*numbers: Any) -> Any:
            supply = iter(numbers)
            whole = [next(supply) if _is_number(x) else x.content if type(x) is _Static else x for x in leaves]
            args, settings = optree.tree_unflatten(recipe, whole)
            return self._compiled._f(*args, **settings)

        return filled

    def returned(self, variant: Variant, found: Sequence[Any]) -> Any:
        """What the function returns, in its structure."""
        wrap = variant.wraps or any(isinstance(x, Tensor) for x in self._leaves)
        return variant.finished(self.numbers, found, wrap, record=(_mode() or PLAIN).record)


class _Static:
    """An argument that is part of the signature, whatever it holds."""

    __slots__ = ("content",)

    def __init__(self, content: Any) -> None:
        self.content = content


def _is_leaf(x: Any) -> bool:
    return isinstance(x, Tensor | Settings | _Static)


def _is_number(x: Any) -> bool:
    if isinstance(x, State):
        return False
    return isinstance(x, Tensor | float | int) or hasattr(x, "__array__")


def _plain_array(x: Any) -> Any:
    """The array as native code reads it: in C order, aligned, in the machine's byte order."""
    flags = x.flags
    if flags.c_contiguous and flags.aligned and x.dtype.isnative:
        return x
    return np.ascontiguousarray(x, x.dtype.newbyteorder("="))


def _node(kind: type[Tensor], value: Any, rule: Rule, inputs: tuple[Tensor, ...]) -> Tensor:
    """A Tensor as `record` makes it, but for the search of the line that called."""
    node: Any = new(kind)
    node._value = value
    node._rule = rule
    node._inputs = inputs
    node._params = NO_PARAMS
    node._name = node._grad = node._code = node._scope = None
    node._offset = 0
    node._id = next_id()
    return node  # type: ignore[no-any-return]


def _checked_order(order: Any, arrays: Sequence[Any]) -> tuple[Any, list[Any]]:
    """The rows of every step and the arrays they are taken from, as native code reads them."""
    places = np.asarray(order)
    if places.ndim != 2 or places.dtype.kind not in "iu":
        raise ShapeError(
            f"epoch: expected an integer array (steps, batch), got {places.dtype} of shape {places.shape} (order){here()}"
        )
    sources = [np.ascontiguousarray(x._value if isinstance(x, Tensor) else x) for x in arrays]
    rows = min((x.shape[0] if x.ndim else 0 for x in sources), default=0)
    if places.size and not 0 <= int(places.min()) <= int(places.max()) < rows:
        raise ShapeError(
            f"epoch: expected rows from 0 to {rows - 1} (the shortest array has {rows}), got rows from {places.min()} to "
            f"{places.max()} (order){here()}"
        )
    return np.ascontiguousarray(places, np.int64), sources


def _static_names(f: Function, static: Sequence[str | int]) -> frozenset[str | int]:
    """Static arguments by name and by position."""
    if not static:
        return frozenset()
    names = list(inspect.signature(f).parameters)
    found: set[str | int] = set()
    for x in static:
        if isinstance(x, int) and 0 <= x < len(names):
            found |= {x, names[x]}
        elif x in names:
            found |= {x, names.index(str(x))}
        else:
            raise TraceError(f"compile: expected static to name arguments ({', '.join(names)}), got {x!r}{here()}")
    return frozenset(found)


@overload
def compile(f: Function, *, static: Sequence[str | int] = (), fast: bool = False) -> Compiled: ...
@overload
def compile(*, static: Sequence[str | int] = (), fast: bool = False) -> Callable[[Function], Compiled]: ...
def compile(f: Function | None = None, *, static: Sequence[str | int] = (), fast: bool = False) -> Any:  # noqa: A001 (the word of the field)
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

    Returns
    -------
    Compiled
        With the arguments of `f`. Results are plain arrays if only plain arguments and no module or State took part,
        else Tensors.

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
        return functools.partial(compile, static=static, fast=fast)
    return Compiled(f, static, fast=fast)
