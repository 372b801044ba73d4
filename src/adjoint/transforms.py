"""Functions of functions: `grad`, `value_and_grad`, `vjp`, `jvp`, `hvp`, and `stop_gradient`.

A transform wraps its arguments in identity nodes, runs the function once, and sweeps the recorded graph down to those
nodes (or, for `jvp`, up from them). Containers are dicts, lists and tuples of numbers, arrays and Tensors, nested as
you like, and modules, whose gradients come as a dict by path. Plain containers in, plain containers out, unless an
argument is a Tensor or an outer transform is open: then the rules run over Tensors and the results have a history,
which is how derivatives of any order and mixed modes arise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from adjoint.abstract import Abstract
from adjoint.autodiff import why_inactive
from adjoint.errors import DTypeError, GradientError
from adjoint.leaves import Parameter, State
from adjoint.paths import gradients, tangents
from adjoint.recording import MODE, PLAIN, here, mode, tracing, transforming
from adjoint.tensor import LEAF, Constant, Tensor, leaf, new, owned, plain_value, record
from adjoint.vocabulary import TENSORS

Function = Callable[..., Any]


@runtime_checkable
class Parametrised(Protocol):
    """Anything with named parameters: a module."""

    def parameters(self) -> Mapping[str, Parameter]:
        """Parameters by path."""
        ...


@runtime_checkable
class Structured(Protocol):
    """A Jacobian: its entries are what a derivative of it goes through."""

    structure: str

    def todense(self) -> Any:
        """All entries."""
        ...


# --- containers -----------------------------------------------------------------------------------------------------


def _is_leaf(x: Any) -> bool:
    return isinstance(x, Parametrised)


def flatten(tree: Any) -> tuple[list[Any], Any]:
    """Leaves of a container and the recipe to put new leaves in their places; modules become dicts of parameters."""
    import optree  # costs half as much as NumPy to import, and many programs need no containers

    plain: Any = optree.tree_map(_named_parameters, tree, is_leaf=_is_leaf)
    leaves, recipe = optree.tree_flatten(plain)
    return leaves, recipe


def _named_parameters(x: Any) -> Any:
    return {k: p for k, p in x.parameters().items() if p.trainable} if isinstance(x, Parametrised) else x


def unflatten(recipe: Any, leaves: Sequence[Any]) -> Any:
    """The container with new leaves."""
    import optree

    return optree.tree_unflatten(recipe, leaves)


# --- one recorded run -----------------------------------------------------------------------------------------------


class Run(NamedTuple):
    """A recorded run of a function: wrapped inputs (flat), outputs (flat), and the recipes of both containers."""

    inputs: list[Tensor]
    recipe: Any
    outputs: list[Any]
    output_recipe: Any
    aux: Any
    differentiable: bool

    def finished(self, x: Any) -> Any:
        """A result as the caller expects it: a Tensor if it must stay differentiable, else a plain value."""
        if not self.differentiable:
            return _plain(x)
        value = x._value if isinstance(x, Tensor) else owned(plain_value(x))  # one that nothing changes
        if tracing() is not None and type(value) is not Abstract and type(x) is not Tensor:
            return record(new(Constant), LEAF, value, tuple(self.inputs))  # known, and made of them all the same
        return x if isinstance(x, Tensor) else leaf(value, None, Constant)

    def output(self) -> Any:
        """What the function returned."""
        return unflatten(self.output_recipe, [self.finished(x) for x in self.outputs])

    def pull(self, cotangents: Sequence[Any]) -> list[Any]:
        """Gradients of Σ output · cotangent with respect to the inputs."""
        found = gradients(*self._active_outputs(cotangents), self.inputs, self.differentiable)
        return [_zero_like(x) if g is None else g for x, g in zip(self.inputs, found, strict=True)]

    def _active_outputs(self, cotangents: Sequence[Any]) -> tuple[list[Tensor], list[Any]]:
        pairs = [(x, g) for x, g in zip(self.outputs, cotangents, strict=True) if isinstance(x, Tensor)]
        return [x for x, _ in pairs], [g for _, g in pairs]

    def push(self, given: Sequence[Any]) -> list[Any]:
        """Tangents of the outputs from those of the inputs."""
        tensors = [x for x in self.outputs if isinstance(x, Tensor)]
        found = dict(zip(map(id, tensors), tangents(tensors, self.inputs, given, self.differentiable), strict=True))
        known = [found.get(id(x)) for x in self.outputs]
        return [_zero_like(x) if t is None else t for x, t in zip(self.outputs, known, strict=True)]


def _plain(x: Any) -> Any:
    value = x._value if isinstance(x, Tensor) else x
    return np.array(value)[()] if isinstance(value, np.ndarray | np.generic) else value


def _zero_like(x: Any) -> Any:
    value = x._value if isinstance(x, Tensor) else x
    return _filled_like(value, 0.0)


def _filled_like(value: Any, number: float) -> Any:
    """The same number everywhere, in the shape and dtype of a value, which may have no data."""
    if type(value) in (float, int):
        return number
    like = Abstract.of(value)
    return number if like.weak else np.full(like.shape, number, like.dtype)


def run(f: Function, args: Sequence[Any], argnums: int | Sequence[int], *, has_aux: bool = False, what: str) -> Run:
    """Run `f` once with the arguments at `argnums` wrapped, and keep what was recorded."""
    chosen = _chosen(args, argnums, what)
    leaves, recipe = flatten(chosen[0] if isinstance(argnums, int) else chosen)
    followed = transforming() or tracing() is not None
    differentiable = followed or any(isinstance(x, Tensor) and not isinstance(x, Parameter) for x in leaves)
    outer = MODE.get() or PLAIN
    wrapped = [_wrapped(x, what) for x in leaves]
    reads = {**(outer.reads or {}), **_reads(leaves, wrapped)}
    with mode(record=True, transforms=outer.transforms + 1, reads=reads or None):
        result = f(*_replaced(args, argnums, recipe, leaves, wrapped))
        result, aux = _split_aux(result, has_aux, what)
        outputs, output_recipe = flatten(result)
        outputs = [as_node(x) for x in outputs]
    for x in outputs:
        if not isinstance(x, Tensor):
            plain_value(x, what)
    aux_leaves, aux_recipe = flatten(aux)
    aux = unflatten(aux_recipe, [x if differentiable else _plain(x) for x in aux_leaves])
    return Run(wrapped, recipe, outputs, output_recipe, aux, differentiable)


def as_node(x: Any) -> Any:
    """A result as the node that it stands for: the read of a Parameter, the entries of a Jacobian."""
    if isinstance(x, State):
        return x.read()
    return x.todense() if isinstance(x, Structured) else x


def _chosen(args: Sequence[Any], argnums: int | Sequence[int], what: str) -> tuple[Any, ...]:
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for n in numbers:
        if not -len(args) <= n < len(args):
            raise TypeError(f"{what}: expected an argument at position {n} (argnums), got {len(args)} of them{here()}")
    return tuple(args[n] for n in numbers)


def _split_aux(result: Any, has_aux: bool, what: str) -> tuple[Any, Any]:
    if not has_aux:
        return result, None
    if not (isinstance(result, tuple) and len(result) == 2):
        raise TypeError(f"{what}: expected (output, aux) from the function because has_aux=True, got {type(result)}")
    return result


def _wrapped(x: Any, what: str) -> Tensor:
    if isinstance(x, Tensor):
        node: Tensor = TENSORS.identity(x)
        if type(node) is not Tensor and x.dtype.kind == "f":
            node = record(new(Tensor), node._rule, node._value, node._inputs, name=x._name)
    else:
        node = leaf(owned(plain_value(x, what)))
    if node.dtype.kind != "f":
        raise DTypeError(
            f"{what}: expected floating numbers to differentiate, got {node.dtype}{here()}; integers and booleans have "
            "no gradient: write 3.0 for 3, or pass x.astype(float), or choose other arguments with argnums"
        )
    if isinstance(x, Tensor) and x._name:
        node.named(x._name)
    return node


def _reads(leaves: Sequence[Any], wrapped: Sequence[Tensor]) -> dict[State, tuple[Any, Tensor]]:
    """While the function runs, reading a wrapped Parameter gives its wrapper, as long as its value is the same."""
    return {x: (x.token(), w) for x, w in zip(leaves, wrapped, strict=True) if isinstance(x, Parameter)}


def _replaced(
    args: Sequence[Any], argnums: int | Sequence[int], recipe: Any, leaves: Sequence[Any], wrapped: Sequence[Tensor]
) -> list[Any]:
    """The arguments with wrapped leaves; modules and Parameters stay themselves, their reads are wrapped."""
    new = list(args)
    if isinstance(argnums, int):
        new[argnums] = _filled(args[argnums], iter(wrapped))
    else:
        supply = iter(wrapped)
        for n in argnums:
            new[n] = _filled(args[n], supply)
    return new


def _filled(tree: Any, supply: Iterator[Tensor]) -> Any:
    import optree

    def replace(x: Any) -> Any:
        if isinstance(x, Parametrised):
            for _ in _named_parameters(x):
                next(supply)
            return x
        node = next(supply)
        return x if isinstance(x, Parameter) else node

    return optree.tree_map(replace, tree, is_leaf=_is_leaf)


# --- the transforms -------------------------------------------------------------------------------------------------


def _scalar_output(done: Run, what: str) -> Any:
    if len(done.outputs) != 1 or np.shape(done.outputs[0]) != ():
        got = [np.shape(x) for x in done.outputs]
        raise GradientError(
            f"{what}: expected a function with one scalar result, got "
            + (f"shape {got[0]}" if len(got) == 1 else f"{len(got)} results of shapes {got}")
            + f"{here()}; reduce it to a loss (.sum(), .mean()), or use ad.jacobian or ad.vjp"
        )
    out = done.outputs[0]
    if isinstance(out, Tensor) and out.dtype.kind != "f":
        raise GradientError(why_inactive(out, what))
    value = out._value if isinstance(out, Tensor) else out
    return _filled_like(value, 1.0)


def value_and_grad(f: Function, argnums: int | Sequence[int] = 0, *, has_aux: bool = False) -> Function:
    """A function that returns the value of `f` and its gradient.

    Parameters
    ----------
    f : function with a scalar result
    argnums : int or sequence of int
        Which arguments to differentiate; a sequence gives a tuple of gradients.
    has_aux : bool
        `f` returns (output, aux); the result is then ((output, aux), gradient).

    Returns
    -------
    function
        With the arguments of `f`; gradients have the structure of the arguments, modules give a dict by path.

    Raises
    ------
    GradientError
        If the result is no scalar.
    DTypeError
        If an argument to differentiate holds integers or complex numbers.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.value_and_grad(lambda w: (w["a"] * w["b"]) ** 2)({"a": 1.0, "b": 3.0})
    (9.0, {'a': 18.0, 'b': 6.0})

    Source: the interface is that of JAX.
    """

    def value_and_gradient(*args: Any, **settings: Any) -> Any:
        done = run(_with(f, settings), args, argnums, has_aux=has_aux, what="grad")
        seed = _scalar_output(done, "grad")
        found = [done.finished(g) for g in done.pull([seed])]
        value = done.finished(done.outputs[0])
        return (value, done.aux) if has_aux else value, unflatten(done.recipe, found)

    return value_and_gradient


def _with(f: Function, settings: Mapping[str, Any]) -> Function:
    return (lambda *args: f(*args, **settings)) if settings else f


def grad(f: Function, argnums: int | Sequence[int] = 0, *, has_aux: bool = False) -> Function:
    """A function that returns the gradient of `f`; of any order, when nested.

    grad f = (∂f/∂x₁, …, ∂f/∂xₙ)

    Parameters
    ----------
    f : function with a scalar result
    argnums : int or sequence of int
        Which arguments to differentiate; a sequence gives a tuple of gradients.
    has_aux : bool
        `f` returns (output, aux); the result is then (gradient, aux).

    Returns
    -------
    function
        With the arguments of `f`; gradients have the structure of the arguments, modules give a dict by path.

    Raises
    ------
    GradientError
        If the result is no scalar.
    DTypeError
        If an argument to differentiate holds integers or complex numbers.

    Example
    -------
    >>> import adjoint as ad
    >>> cube = lambda x: x**3
    >>> ad.grad(cube)(2.0), ad.grad(ad.grad(cube))(2.0), ad.grad(ad.grad(ad.grad(cube)))(2.0)
    (12.0, 12.0, 6.0)

    Source: the interface is that of autograd and JAX.
    """
    both = value_and_grad(f, argnums, has_aux=has_aux)

    def gradient(*args: Any, **settings: Any) -> Any:
        value, found = both(*args, **settings)
        return (found, value[1]) if has_aux else found

    return gradient


def vjp(f: Function, *primals: Any) -> tuple[Any, Function]:
    """The value of `f` and a function that pulls a cotangent of it back to the arguments: g ↦ g · J.

    Parameters
    ----------
    f : function
    primals : containers of floating numbers or arrays

    Returns
    -------
    (output, pull)
        `pull(cotangent)`, with a cotangent of the structure of the output, gives a tuple with one gradient per
        argument; it can be called again.

    Raises
    ------
    GradientError
        If a cotangent has another structure or shape than its output.
    DTypeError
        If a primal holds integers or complex numbers.

    Example
    -------
    >>> import adjoint as ad
    >>> out, pull = ad.vjp(lambda x, y: x * y, 2.0, 3.0)
    >>> out, pull(10.0)
    (6.0, (30.0, 20.0))

    Source: the interface is that of JAX; CS231n 2017, lecture 4, "gradients for vectorized code".
    """
    done = run(f, primals, range(len(primals)), what="vjp")

    def pull(cotangent: Any) -> Any:
        given = _matched(cotangent, done.outputs, done.output_recipe, "vjp: cotangent")
        # whether the result must stay differentiable depends on where `pull` is called, not on where it was made
        differentiable = done.differentiable or transforming() or any(isinstance(g, Tensor) for g in given)
        now = done._replace(differentiable=differentiable)
        return unflatten(now.recipe, [now.finished(g) for g in now.pull(given)])

    return done.output(), pull


def jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value of `f` and the tangent of it: J · t, swept forward.

    Parameters
    ----------
    f : function
    primals, tangents : sequences with one entry per argument, of the same structure and shapes

    Returns
    -------
    (output, tangent of the output)

    Raises
    ------
    GradientError
        If a tangent has another structure or shape than its primal.
    DTypeError
        If a primal holds integers or complex numbers.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.jvp(lambda x, y: x * y, (2.0, 3.0), (1.0, 0.0))
    (6.0, 3.0)

    Source: the interface is that of JAX; R. Wengert, "A simple automatic derivative evaluation program", 1964.
    """
    if len(primals) != len(tangents):
        raise GradientError(
            f"jvp: expected a tangent per primal, got {len(primals)} primals and {len(tangents)} tangents{here()}"
        )
    done = run(f, tuple(primals), range(len(primals)), what="jvp")
    given = _matched(tuple(tangents), done.inputs, done.recipe, "jvp: tangent")
    differentiable = done.differentiable or any(isinstance(t, Tensor) for t in given)
    done = done._replace(differentiable=differentiable)
    pushed = [done.finished(t) for t in done.push(given)]
    return done.output(), unflatten(done.output_recipe, pushed)


def _matched(tree: Any, like: Sequence[Any], recipe: Any, what: str) -> list[Any]:
    """Leaves of a container that must have the structure and the shapes of another; cast to its dtypes."""
    leaves, given = flatten(tree)
    if given != recipe:
        raise GradientError(f"{what}: expected the structure {recipe}, got {given}{here()}")
    return [_cast(t, x, what) for t, x in zip(leaves, like, strict=True)]


def _cast(t: Any, like: Any, what: str) -> Any:
    if np.shape(t) != np.shape(like):
        raise GradientError(f"{what}: expected shape {np.shape(like)}, got {np.shape(t)}{here()}")
    if isinstance(t, Tensor):
        return t.read() if isinstance(t, Parameter) else t
    value = like._value if isinstance(like, Tensor) else like
    given = plain_value(t, what)
    return float(given) if type(value) is float else np.asarray(given).astype(Abstract.of(value).dtype)


def hvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Hessian of a scalar function times a vector, without the Hessian: the tangent of the gradient, H · t.

    Parameters
    ----------
    f : function with a scalar result
    primals, tangents : sequences with one entry per argument

    Returns
    -------
    Of the structure of the one argument; a tuple if there are several.

    Raises
    ------
    GradientError
        If the result is no scalar, or a tangent has another structure or shape than its primal.
    DTypeError
        If a primal holds integers or complex numbers.

    Example
    -------
    >>> import numpy as np, adjoint as ad
    >>> ad.hvp(lambda x: (x**3).sum(), (np.array([1.0, 2.0]),), (np.array([1.0, 0.0]),))
    array([6., 0.])

    Source: B. Pearlmutter, "Fast exact multiplication by the Hessian", 1994.
    """
    argnums = 0 if len(primals) == 1 else tuple(range(len(primals)))
    return jvp(grad(f, argnums), primals, tangents)[1]
