"""Products of vectors, matrices and stacks of matrices. Linear in each argument; each states its transposes."""

from __future__ import annotations

from typing import Any

import numpy as np

from adjoint.op import case, shape_error
from adjoint.ops.shape import reshape
from adjoint.shaped import linear
from adjoint.tensor import Tensor


def _product_shape(x, y):
    if not x.shape or not y.shape:
        raise shape_error(matmul, f"expected at least one axis each, got {x.shape} @ {y.shape}", "scale with * instead")
    rows = x.shape[-2:-1]
    columns = y.shape[-1:] if len(y.shape) > 1 else ()
    inner = y.shape[-2] if len(y.shape) > 1 else y.shape[0]
    if x.shape[-1] != inner:
        raise shape_error(
            matmul,
            f"expected x (…, n) @ y (n, …), got {x.shape} @ {y.shape}: {x.shape[-1]} columns meet {inner} rows",
            _transposed_fix(x.shape, y.shape),
        )
    try:
        batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    except ValueError:
        raise shape_error(matmul, f"expected batch axes that broadcast, got {x.shape} @ {y.shape}") from None
    return batch + rows + columns


def _transposed_fix(x, y):
    if len(y) > 1 and x[-1] == y[-1]:
        return "the second one looks transposed: try x @ y.T"
    if len(x) > 1 and x[-2] == (y[-2] if len(y) > 1 else y[0]):
        return "the first one looks transposed: try x.T @ y"
    if len(y) > 1 and y[-1] == x[-2:-1]:
        return "the order looks reversed: try y @ x"
    return "the last axis of the first must be as long as the first matrix axis of the second"


def _for_x(m, g, x, y):
    """g · yᵀ, with the axes that matmul adds to vectors."""
    if len(x.shape) > 1 and len(y.shape) > 1:
        return m.matmul(g, m.mT(y))
    if len(x.shape) == 1 and len(y.shape) == 1:
        return g * y
    if len(y.shape) == 1:  # the columns of the result were dropped
        return m.reshape(g, shape=(*g.shape, 1)) * y
    product = m.matmul(m.reshape(g, shape=(*g.shape[:-1], 1, g.shape[-1])), m.mT(y))
    return m.reshape(product, shape=(*product.shape[:-2], product.shape[-1]))


def _for_y(m, g, x, y):
    """xᵀ · g, with the axes that matmul adds to vectors."""
    if len(x.shape) > 1 and len(y.shape) > 1:
        return m.matmul(m.mT(x), g)
    if len(x.shape) == 1 and len(y.shape) == 1:
        return g * x
    if len(x.shape) == 1:
        return m.reshape(x, shape=(x.shape[0], 1)) * m.reshape(g, shape=(*g.shape[:-1], 1, g.shape[-1]))
    product = m.matmul(m.mT(x), m.reshape(g, shape=(*g.shape, 1)))
    return m.reshape(product, shape=product.shape[:-1])


@linear(symbol="@")
def matmul(m, x, y, /):
    """Matrix product; vectors and stacks of matrices as in NumPy.

    out[…, i, j] = Σₖ x[…, i, k] · y[…, k, j]

    Gradient: dX = dY · yᵀ and dY = xᵀ · g, summed over broadcast batch axes.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.matmul([[0.1, 0.5], [-0.3, 0.8]], [0.2, 0.4])
    array([0.22, 0.26])

    Source: CS231n 2017, lecture 4, "a vectorized example: f = ‖W·x‖²".
    """
    return m.matmul(x, y)


matmul.shape(_product_shape).transpose(_for_x, _for_y).samples(
    case((2, 3), (3, 4)), case((3,), (3,)), case((2, 3), (3,)), case((3,), (3, 2)), case((5, 2, 3), (3, 4)),
    case((5, 1, 2, 3), (4, 3, 2)), case((2, 3), (5, 3, 2)), case((3,), (5, 3, 2)), case((5, 2, 3), (3,)),
    case((0, 3), (3, 2)), case((2, 0), (0, 2)),
)  # fmt: skip


@linear(reference="adjoint.ops.linalg.mt_reference")
def mT(m, x, /):  # noqa: N802 (the array API's name)
    """The last two axes exchanged: each matrix of a stack transposed.

    out[…, i, j] = x[…, j, i]

    Gradient: the upstream gradient, transposed.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.mT([[1.0, 2.0]])
    array([[1.],
           [2.]])

    Source: Python array API 2024.12.
    """
    return m.mT(x)


mT.shape(lambda x: (*x.shape[:-2], x.shape[-1], x.shape[-2])).transpose(lambda m, g, x: m.mT(g)).samples(
    case((2, 3)), case((4, 2, 3)), case((0, 2))
)


def mt_reference(x):
    """NumPy's exchange of two axes."""
    return np.swapaxes(x, -1, -2)


def dot(x: Any, y: Any) -> Any:
    """The product of two vectors, of matrices, or of anything with a number (NumPy's dot, up to two axes).

    Parameters
    ----------
    x, y : number, array or Tensor

    Returns
    -------
    A Tensor if an input is one, else an array or a number.

    Gradient: that of the matrix product: dX = g · yᵀ and dY = xᵀ · g.

    Raises
    ------
    ShapeError
        If the sizes do not meet, or y has more than two axes.

    Example
    -------
    >>> import adjoint as ad
    >>> float(ad.dot([1.0, 2.0], [3.0, 4.0]))
    11.0

    Source: NumPy.
    """
    ranks = [z.ndim if isinstance(z, Tensor) else np.ndim(z) for z in (x, y)]
    if 0 in ranks:
        from adjoint.ops.elementwise.arithmetic import multiply

        return multiply(x, y)
    if ranks[1] > 2:
        raise shape_error(matmul, f"dot: expected at most two axes in the second value, got {ranks[1]}", "use matmul")
    return matmul(x, y)


def outer(x: Any, y: Any) -> Any:
    """Every product of an element of one vector with an element of another.

    out[i, j] = x[i] · y[j]

    Parameters
    ----------
    x : array or Tensor of n elements
    y : array or Tensor of m elements

    Returns
    -------
    A Tensor of shape (n, m) if an input is one, else an array.

    Gradient: dX = g · y and dY = xᵀ · g.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.outer([1.0, 2.0], [3.0, 4.0])
    array([[3., 4.],
           [6., 8.]])

    Source: NumPy.
    """
    return matmul(reshape(x, (-1, 1)), reshape(y, (1, -1)))


# --- einsum ---------------------------------------------------------------------------------------------------------


def _terms(subscripts, count):
    """Input terms and output term of subscripts such as "ij,jk->ik"."""
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    inputs = left.split(",")
    if not arrow:
        letters = sorted(set(left) - {","})
        right = "".join(c for c in letters if left.count(c) == 1)
    if len(inputs) != count or "." in subscripts or not all(t.isalpha() or not t for t in [*inputs, right]):
        raise shape_error(
            einsum_op, f"expected one term of letters per operand, got {subscripts!r} for {count} operands",
            'write it as "ij,jk->ik"; an ellipsis is not supported, name the axes',
        )  # fmt: skip
    return inputs, right


def _einsum_shape(*xs, subscripts):
    inputs, right = _terms(subscripts, len(xs))
    sizes: dict[str, int] = {}
    for term, x in zip(inputs, xs, strict=True):
        if len(term) != len(x.shape):
            raise shape_error(einsum_op, f"expected {len(term)} axes for {term!r} of {subscripts!r}, got {x.shape}")
        for letter, n in zip(term, x.shape, strict=True):
            if sizes.setdefault(letter, n) != n:
                both = f"{sizes[letter]} and {n}"
                raise shape_error(einsum_op, f"expected one size for {letter!r} in {subscripts!r}, got {both}")
    if not set(right) <= sizes.keys() or len(set(right)) < len(right):
        raise shape_error(einsum_op, f"expected each letter of the result once and in an operand, got {subscripts!r}")
    return tuple(sizes[letter] for letter in right)


def _einsum_transpose(m, position, g, *xs, subscripts):
    """The gradient of one operand: the other operands and g, summed to its letters."""
    inputs, right = _terms(subscripts, len(xs))
    wanted = inputs[position]
    others = [(t, x) for i, (t, x) in enumerate(zip(inputs, xs, strict=True)) if i != position]
    present = set(right).union(*(t for t, _ in others))
    kept = "".join(c for c in wanted if c in present)
    product = m.einsum(*(x for _, x in others), g, subscripts=",".join([*(t for t, _ in others), right]) + "->" + kept)
    shape = xs[position].shape  # letters that only this operand has were summed: its gradient repeats along them
    product = m.reshape(product, shape=tuple(n if c in present else 1 for c, n in zip(wanted, shape, strict=True)))
    return m.broadcast_to(product, shape=shape)


@linear(name="einsum", reference="adjoint.ops.linalg.einsum_reference")
def einsum_op(m, *xs, subscripts):
    """Sum of products over named axes.

    out[right] = Σ over the other letters of x₁[t₁] · x₂[t₂] · …

    Gradient: for each operand, the einsum of the other operands with the upstream gradient.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.einsum("ij,j->i", [[0.1, 0.5], [-0.3, 0.8]], [0.2, 0.4])
    array([0.22, 0.26])

    Source: A. Einstein, 1916; D. Smith and J. Gray, opt_einsum, 2018, finds the order of the products.
    """
    return m.einsum(*xs, subscripts=subscripts)


einsum_op.shape(_einsum_shape).transpose(_einsum_transpose).samples(
    case((2, 3), (3, 4), subscripts="ij,jk->ik"), case((2, 3), subscripts="ij->j"),
    case((3,), (4,), subscripts="i,j->ij"), case((2, 3), (3,), subscripts="ij,j->"),
    case((2, 3), (3, 4), (4, 2), subscripts="ij,jk,kl->il"),
    case((0, 3), (3, 2), subscripts="ij,jk->ik"),
)  # fmt: skip


def einsum_reference(*xs, subscripts):
    """NumPy's einsum."""
    return np.einsum(subscripts, *xs)


def einsum(subscripts: str, *operands: Any) -> Any:
    """Sum of products over named axes, as in `numpy.einsum`: "ij,jk->ik".

    out[right] = Σ over the other letters of x₁[t₁] · x₂[t₂] · …

    Parameters
    ----------
    subscripts : str such as "ij,jk->ik"
    *operands : array or Tensor

    Returns
    -------
    A Tensor if an operand is one, else an array or a number.

    Gradient: for each operand, the einsum of the other operands with the upstream gradient. An operand may not repeat
    a letter (take its diagonal first), and axes are named one by one, without an ellipsis.

    Raises
    ------
    ShapeError
        If terms and operands do not match, or a letter has two sizes, or stands twice in one operand.

    Example
    -------
    >>> import adjoint as ad
    >>> ad.einsum("ij,j->i", [[0.1, 0.5], [-0.3, 0.8]], [0.2, 0.4])
    array([0.22, 0.26])

    Source: D. Smith and J. Gray, opt_einsum, 2018, which finds the order of the products.
    """
    inputs, right = _terms(subscripts, len(operands))
    if any(len(set(t)) < len(t) for t in inputs):
        raise shape_error(einsum_op, f"expected different letters within an operand, got {subscripts!r}")
    return einsum_op.apply(*operands, subscripts=",".join(inputs) + "->" + right)
