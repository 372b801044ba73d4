"""A choice between two functions."""

from __future__ import annotations

from typing import Any

from adjoint.control.guarded import Function, guarded, joined, running
from adjoint.control.values import condition
from adjoint.vocabulary import TENSORS


def cond(predicate: Any, true_fn: Function, false_fn: Function, *operands: Any) -> Any:
    """One of two functions, as a condition says.

    out = true_fn(*operands) if predicate else false_fn(*operands)

    Run eagerly, only the chosen function runs. In a function that is being compiled the condition is not known: both
    are computed, states that one of them assigns included, and the chosen results are taken. The functions must then
    return the same structure, shapes and dtypes; the gradient of the one that is not taken is 0, even where its own is
    infinite or NaN. For a choice element by element use `where`.

    Parameters
    ----------
    predicate : bool, or boolean array or Tensor of shape ()
    true_fn, false_fn : function
        Of the operands; they may close over parameters and Tensors.
    *operands : anything

    Returns
    -------
    What the chosen function returns.

    Gradient: that of the chosen function, with respect to all that it uses; none for the predicate.

    Raises
    ------
    DTypeError, ShapeError
        If the predicate is no boolean of shape (); while compiling also if the two results do not fit together.
    TraceError
        While compiling, for a backward pass inside one of the functions.

    Example
    -------
    >>> import adjoint as ad
    >>> root = lambda x: ad.cond(x > 0.0, ad.sqrt, lambda x: 0.0 * x, x)
    >>> ad.value_and_grad(root)(4.0), ad.value_and_grad(root)(0.0)
    ((2.0, 0.25), (0.0, 0.0))

    Source: the interface is that of JAX.
    """
    chosen, outer = condition("cond", predicate), running()
    if outer is None or isinstance(chosen, bool):
        return (true_fn if chosen else false_fn)(*operands)
    yes = guarded(outer, chosen, true_fn, operands)
    no = guarded(outer, TENSORS.logical_not(chosen), false_fn, operands)
    no.results.check(yes.results, "cond", "result", "a result of false_fn like that of true_fn,")
    return joined(outer, chosen, yes, no)
