"""The mistakes that a newcomer makes, each with the exact words it is met with (FILE:LINE stands for the place).

NaN in data is among the tests of `train`, a label out of range among those of `nn`.
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import adjoint as ad
from adjoint import errors

x = ad.tensor([1.0, 2.0, 3.0])
X = ad.tensor(np.zeros((3, 4)))
W = ad.tensor(np.zeros((5, 4)))
w = ad.Parameter([1.0, 2.0], name="w")
NO_SMOOTH = "which does not change smoothly"
LOST = (
    "inside grad, jvp or jacobian a Tensor that carries a gradient cannot become a plain number or array, its gradient "
    "would be lost, at FILE:LINE; use the functions of adjoint or of NumPy that are known to it, or say so with "
    "ad.stop_gradient(x)"
)
Z = np.ones(3)


def message_of(mistake: Callable[[], Any], error: type[Exception]) -> str:
    with pytest.raises(error) as caught:
        mistake()
    assert type(caught.value) is error
    return re.sub(r"[^\s(]*test_mistakes\.py:\d+", "FILE:LINE", str(caught.value))


def assign(t, key, value):
    t[key] = value


def augmented(t):
    t += 1.0


def loss_of_accuracy():
    return (ad.argmax(X * 2.0, axis=1) == np.array([0, 1, 2])).astype(float).mean()


SHAPES = {
    "a row for each column": (
        lambda: X + x,
        "add: expected shapes that broadcast, got x (3, 4) and y (3,), at FILE:LINE; to combine it with each column, make (3,) "
        "into (3, 1) with x[:, None]",
    ),
    "transposed": (
        lambda: X * X.T,
        "multiply: expected shapes that broadcast, got x (3, 4) and y (4, 3), at FILE:LINE; one of them looks transposed: "
        "try x.T",
    ),
    "neither": (
        lambda: np.maximum(X, np.zeros(5)),
        "maximum: expected shapes that broadcast, got x (3, 4) and y (5,), at FILE:LINE; axes are matched from the last one; "
        "each must be equal or 1",
    ),
    "three of them": (
        lambda: ad.where(X > 0.0, X, W),
        "where: expected shapes that broadcast, got condition (3, 4) and x (3, 4) and y (5, 4), at FILE:LINE; axes are matched "
        "from the last one; each must be equal or 1",
    ),
    "matrices": (
        lambda: X @ W,
        "matmul: expected x (…, n) @ y (n, …), got (3, 4) @ (5, 4): 4 columns meet 5 rows, at FILE:LINE; the second one looks "
        "transposed: try x @ y.T",
    ),
    "a matrix and a vector": (
        lambda: X @ x,
        "matmul: expected x (…, n) @ y (n, …), got (3, 4) @ (3,): 4 columns meet 3 rows, at FILE:LINE; the first one looks "
        "transposed: try x.T @ y",
    ),
    "a matrix and a number": (
        lambda: X @ 2.0,
        "matmul: expected at least one axis each, got (3, 4) @ (), at FILE:LINE; scale with * instead",
    ),
    "a reshape": (
        lambda: X.reshape(5, 2),
        "reshape: expected a shape of 12 elements, got (5, 2) with 10 (from shape (3, 4)), at FILE:LINE; one size may be -1 "
        "and is then worked out",
    ),
    "an axis": (lambda: X.sum(axis=2), "sum: expected an axis from -2 to 1, got axis=2 (shape (3, 4)), at FILE:LINE"),
    "a maximum over nothing": (
        lambda: ad.max(X[:0]),
        "max: expected at least one element along the axis, got shape (0, 4), at FILE:LINE",
    ),
    "joining": (
        lambda: ad.concatenate([X, x]),
        "concatenate: expected shapes that agree except along axis 0, got (3, 4) and (3,), at FILE:LINE; to join along a new "
        "axis use ad.stack",
    ),
    "stacking": (
        lambda: np.stack([X, W]),
        "stack: expected tensors of one shape and an axis of the result, got shapes [(3, 4), (5, 4)], axis=0, at FILE:LINE; to "
        "join along an axis that they have use ad.concatenate",
    ),
    "an assigned value": (lambda: w.assign([1.0]), "assign: expected shape (2,), got (1,) (w), at FILE:LINE"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_that_do_not_fit(name):
    mistake, expected = SHAPES[name]
    assert message_of(mistake, errors.ShapeError) == expected


INTEGERS = "make them floating: ad.tensor([1.0, 2.0]), or ad.tensor(data, dtype=float)"


@pytest.mark.parametrize("mistake", [
    lambda: ad.tensor([1, 2]).sum().backward(),
    lambda: ad.tensor(3).backward(),
    lambda: (ad.tensor(3) * 2.0).backward(),
])  # fmt: skip
def test_integer_tensors_asked_for_gradients(mistake):
    expected = f"backward: int64 tensors have no gradients, at FILE:LINE; {INTEGERS}"
    assert message_of(mistake, errors.GradientError) == expected


def test_integer_arguments_asked_for_gradients():
    assert message_of(lambda: ad.grad(lambda x: x * x)(3), errors.DTypeError) == (
        "grad: expected floating numbers to differentiate, got int64, at FILE:LINE; integers and booleans have no gradient: "
        "write 3.0 for 3, or pass x.astype(float), or choose other arguments with argnums"
    )


def test_an_integer_parameter():
    assert message_of(lambda: ad.Parameter([1, 2]), errors.DTypeError) == (
        "Parameter: expected floating numbers, got int64, at FILE:LINE; integers have no gradients: write 1.0 for 1, or "
        "dtype='float32'"
    )


def test_backward_from_something_that_is_no_scalar():
    assert message_of(lambda: (x * 2.0).backward(), errors.GradientError) == (
        "backward: expected a scalar, got shape (3,), at FILE:LINE; reduce it to a loss first (.sum() or .mean()), or say which "
        "upstream gradient arrives: t.backward(upstream of shape (3,))"
    )
    assert message_of(lambda: (x * 2.0).backward([1.0]), errors.GradientError) == (
        "backward: expected an upstream gradient of shape (3,), got (1,), at FILE:LINE"
    )


def test_grad_of_something_that_is_no_scalar():
    assert message_of(lambda: ad.grad(lambda x: x * 2.0)(Z), errors.GradientError) == (
        "grad: expected a function with one scalar result, got shape (3,), at FILE:LINE; reduce it to a loss (.sum(), .mean()), "
        "or use ad.jacobian or ad.vjp"
    )


def test_assignment_in_place():
    expected = (
        "tensor[…] = …: tensors cannot be changed in place, their history would no longer be true, at FILE:LINE; write "
        "ad.where(mask, new, x), or for a Parameter p.assign(array)"
    )
    assert message_of(lambda: assign(x, 0, 5.0), errors.ImmutableError) == expected
    assert message_of(lambda: assign(w, slice(None), 5.0), errors.ImmutableError) == expected


def test_a_parameter_updated_in_place():
    assert message_of(lambda: augmented(w), errors.ImmutableError) == (
        "Parameter w += …: would make a new Tensor and leave the Parameter as it is, at FILE:LINE; write "
        "p.assign(p.value - rate * p.grad), or use an optimiser"
    )


WITHOUT_GRADIENT = {
    "argmax": (lambda: ad.argmax(x), f"argmax has no gradient: its result is an index, {NO_SMOOTH}, at FILE:LINE"),
    "a comparison": (
        lambda: x[0] > 1.0,
        f"greater has no gradient: its result is yes or no, {NO_SMOOTH}, at FILE:LINE",
    ),
    "a conversion": (
        lambda: x[0].astype(int),
        "to_whole has no gradient: integers and booleans do not change smoothly, at FILE:LINE",
    ),
    "a cut": (
        lambda: ad.stop_gradient(x[0]),
        "stop_gradient has no gradient: it was stopped by stop_gradient, at FILE:LINE",
    ),
    "an accuracy": (
        loss_of_accuracy,
        f"argmax has no gradient: its result is an index, {NO_SMOOTH}, and this tensor was computed from it "
        "(FILE:LINE), at FILE:LINE",
    ),
    "a constant": (
        lambda: ad.constant(3.0) * 2.0,
        "this tensor depends on no tensor that gets a gradient, at FILE:LINE; it was made by ad.constant, detach, "
        "stop_gradient, or inside ad.no_grad, or its parameters are frozen",
    ),
}


@pytest.mark.parametrize("name", WITHOUT_GRADIENT)
def test_gradient_of_an_op_without_one(name):
    make, expected = WITHOUT_GRADIENT[name]
    assert message_of(lambda: make().backward(), errors.GradientError) == f"backward: {expected}"


def test_grad_of_an_op_without_one():
    assert message_of(lambda: ad.grad(lambda x: ad.argmax(x))(Z), errors.GradientError) == (
        f"grad: argmax has no gradient: its result is an index, {NO_SMOOTH}, at FILE:LINE"
    )


LEAVING = {
    "float": lambda x: float(x[0]),
    "item": lambda x: x[0].item(),
    "np.asarray": lambda x: np.asarray(x).sum(),
}


@pytest.mark.parametrize("name", LEAVING)
def test_leaving_the_graph_inside_a_transform(name):
    assert message_of(lambda: ad.grad(LEAVING[name])(Z), errors.GradientError) == f"{name}: {LOST}"


def test_a_numpy_function_that_is_not_known_inside_a_transform():
    assert message_of(lambda: ad.grad(lambda x: np.cumsum(x)[-1])(Z), errors.GradientError) == (
        "numpy.cumsum: not known to adjoint (or not with these arguments), so its gradient would be lost, at FILE:LINE; use "
        "functions of adjoint, or ad.stop_gradient(x)"
    )


def test_a_number_wanted_of_many():
    assert message_of(lambda: x.item(), errors.GradientError) == (
        "item: expected a tensor of one element, got shape (3,), at FILE:LINE; index it, or use .value"
    )
    assert message_of(lambda: bool(x > 0.0), errors.GradientError) == (
        "bool: expected a tensor of one element, got shape (3,), at FILE:LINE; reduce it first (.sum(), .mean(), ad.any, ad.all)"
    )


COMPLEX = (
    "expected real numbers, got complex128; gradients here are of real functions: pass the real and the imaginary part as two "
    "tensors (z.real, z.imag), at FILE:LINE"
)


@pytest.mark.parametrize(
    ("mistake", "expected"),
    [
        (lambda: ad.tensor(1j), f"tensor: {COMPLEX}"),
        (lambda: ad.grad(lambda x: x)(1j), f"grad: {COMPLEX}"),
        (lambda: x * np.array(1j), f"multiply: {COMPLEX}"),
        (lambda: x * 1j, f"multiply: {COMPLEX}"),
        (lambda: ad.tensor("1.0"), "tensor: expected real numbers or booleans, got a str of dtype <U3; convert it to numbers "
         "first, at FILE:LINE"),
        (lambda: ad.tensor([[1.0], [2.0, 3.0]]), "tensor: expected numbers in a regular array, got a list with rows of different "
         "lengths, at FILE:LINE"),
        (lambda: x * [x[0], 1.0, 1.0], "multiply: expected a tensor, array or number, got a list of tensors, at FILE:LINE; join "
         "them with ad.stack or ad.concatenate first"),
        (lambda: x[0.5], "index: expected integers, slices or booleans, got float64, at FILE:LINE"),
    ],
)  # fmt: skip
def test_values_that_are_no_real_numbers(mistake, expected):
    assert message_of(mistake, errors.DTypeError) == expected


def test_arguments_of_an_op():
    assert message_of(lambda: ad.exp(), TypeError) == "exp(x): expected x, which is missing, at FILE:LINE"
    assert message_of(lambda: ad.sum(x, axes=0), TypeError) == (
        "sum(x, axis=None, keepdims=False): got unexpected arguments: ['axes'], at FILE:LINE"
    )


def test_the_place_is_the_users_line_and_its_module():
    net = ad.nn.Linear(4, 2)
    with pytest.raises(errors.ShapeError) as caught:
        net(ad.tensor(np.zeros((1, 3), np.float32)))
    assert re.search(r"at \S*test_mistakes\.py:\d+", str(caught.value))
