"""What an op does not take is refused in words that name the op, the shapes, and where there is one the fix."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from tests.ops.samples import COMPUTED, ELEMENTWISE, samples

import adjoint as ad
from adjoint.vocabulary import REGISTRY

#: Ops that turn a sign or take a difference, which NumPy's booleans do not have.
SIGNED = ("negative", "subtract", "sign", "sigmoid", "softplus", "softmax_cross_entropy")

BINARY = {name: op for name, op in ELEMENTWISE.items() if len(op.signature.inputs) > 1}


def each(ops: dict[str, Any]) -> pytest.MarkDecorator:
    """A test for each op, named by it."""
    return pytest.mark.parametrize("op", ops.values(), ids=ops.keys())


@pytest.mark.parametrize("tensor", [True, False], ids=["tensors", "arrays"])
@each(BINARY)
def test_shapes_that_do_not_broadcast(op: Any, tensor: bool) -> None:
    xs = [np.ones((2, 3)), np.ones((4,)), np.ones(())][: len(op.signature.inputs)]
    with pytest.raises(ad.errors.ShapeError) as caught:
        op(*(ad.tensor(x) if tensor else x for x in xs))
    said = str(caught.value)
    assert said.startswith(f"{op.name}: expected shapes that broadcast")
    assert "(2, 3)" in said
    assert "(4,)" in said
    assert "test_refusals.py:" in said
    assert "; " in said, "the fix"


ones = np.ones
WRONG: dict[str, Any] = {
    "matmul": lambda: ad.matmul(ones((2, 3)), ones((2, 3))),
    "reshape": lambda: ad.reshape(ones((2, 3)), (4,)),
    "transpose": lambda: ad.transpose(ones((2, 3)), (0, 0)),
    "broadcast_to": lambda: ad.broadcast_to(ones((2, 3)), (3, 2)),
    "concatenate": lambda: ad.concatenate([ones((2, 3)), ones((2, 4))]),
    "stack": lambda: ad.stack([ones((2, 3)), ones((2, 4))]),
    "einsum": lambda: ad.einsum("ij,jk->ik", ones((2, 3)), ones((4, 5))),
    "mT": lambda: ad.mT(ones(3)),
    "argmax": lambda: ad.argmax(ones((2, 3)), axis=2),
    "argmin": lambda: ad.argmin(ones((2, 3)), axis=2),
    "getitem": lambda: ad.tensor(ones((2, 3)))[5],
    "max": lambda: ad.max(ones((0, 3)), axis=0),
    "min": lambda: ad.min(ones((0, 3)), axis=0),
    "logsumexp": lambda: ad.logsumexp(ones((0,))),
}
SHOWN = {
    "concatenate": r"\(2, 3\) and \(2, 4\)", "stack": r"\(2, 3\), \(2, 4\)", "matmul": r"\(2, 3\) @ \(2, 3\)",
    "einsum": r"'j'.*3 and 4", "mT": r"\(3,\)", "max": r"\(0, 3\)", "min": r"\(0, 3\)", "logsumexp": r"\(0,\)",
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_shapes(name: str) -> None:
    shapes = SHOWN.get(name, re.escape("(2, 3)"))
    with pytest.raises(ad.errors.ShapeError, match=rf"^{name}: .*{shapes}.*test_refusals"):
        WRONG[name]()


@pytest.mark.parametrize("z", [np.array([1.0 + 2.0j]), 1.0 + 2.0j, [1.0 + 2.0j, 0.0], np.complex64(1.0)], ids=repr)
@each({n: op for n, op in COMPUTED.items() if not op.signature.variadic})
def test_complex_input_is_refused(op: Any, z: Any) -> None:
    sample = samples(op)[0]
    for beside in (list(sample.inputs[1:]), [ad.tensor(x) for x in sample.inputs[1:]]):
        with pytest.raises(ad.errors.DTypeError, match=r"expected real numbers, got complex.*real.*imaginary"):
            op(z, *beside, **sample.params)


@pytest.mark.parametrize("wrong", ["text", [1.0, "x"], [[1.0], [1.0, 2.0]], {}, None], ids=str)
@pytest.mark.parametrize("op", [ad.exp, ad.sum, ad.reshape], ids=lambda op: op.name)
def test_what_is_no_number_is_refused(op: Any, wrong: Any) -> None:
    params = {"shape": (-1,)} if op is ad.reshape else {}
    with pytest.raises(ad.errors.DTypeError, match=rf"^{op.name}: expected .*numbers"):
        op(wrong, **params)


@each(COMPUTED)
def test_integers_and_booleans_get_no_gradient(op: Any) -> None:
    """They are taken, as NumPy takes them, and the result is a constant."""
    sample = next(s for s in samples(op) if all(np.size(x) for x in s.inputs))
    for dtype in (np.int64, np.bool_):
        xs = [ad.tensor(np.ones(np.shape(x), dtype)) for x in sample.inputs]
        assert not any(x.active for x in xs)
        if len(xs) > 1:  # labels and indices are integers in any case
            xs = [
                given if np.asarray(given).dtype.kind in "iu" else x for x, given in zip(xs, sample.inputs, strict=True)
            ]
        if dtype is np.bool_ and op.name in (
            "negative",
            "subtract",
            "sign",
            "sigmoid",
            "softplus",
            "softmax_cross_entropy",
            "check_labels",
        ):
            with pytest.raises(ad.errors.DTypeError, match=rf"(?i)^{op.name}: .*bool"):  # NumPy's booleans have no sign
                sample.call(*xs)
            continue
        out = sample.call(*xs)
        assert type(out) is ad.Constant
        with pytest.raises(ad.errors.GradientError, match=r"no gradient|no tensor that gets a gradient"):
            out.sum().backward()


def test_a_list_of_tensors_is_told_to_stack() -> None:
    x = ad.tensor(1.0)
    with pytest.raises(ad.errors.DTypeError, match=r"exp: .*list of tensors.*ad\.stack"):
        ad.exp([x, x])


@pytest.mark.parametrize("op", [ad.exp, ad.add, ad.sum, ad.reshape, ad.clip], ids=lambda op: op.name)
def test_wrong_arguments_name_the_signature(op: Any) -> None:
    with pytest.raises(TypeError, match=rf"{op.name}.*"):
        op(*([1.0] * len(op.signature.inputs)), colour=3)


@pytest.mark.parametrize(
    ("rule", "local", "said"),
    [
        (lambda m, x: np.tanh(x), None, r"own: its rule says numpy.tanh, .* say m.tanh"),
        (lambda m, x: x if x > 0.0 else 0.0, None, r"own: its rule asks in Python .* write m.where"),
        (lambda m, x: x**2, None, r"own: its rule says \*\*, .* say m.pow"),
        (lambda m, x: m.tanh(x), lambda m, out, x: np.exp(out), r"own: its rule says numpy.exp, .* say m.exp"),
        (lambda m, x: m.tanhh(x), None, "a rule said m.tanhh, which is neither a word .* nor the name of an op"),
    ],
)
def test_a_rule_in_other_words_is_refused(rule: Any, local: Any, said: str) -> None:
    try:
        own = ad.elementwise(name="own")(rule)
        own.local(local)
        with pytest.raises((ad.AdjointError, AttributeError), match=said):
            own(ad.tensor(1.0)).backward()
    finally:
        del REGISTRY["own"]


def test_a_new_op_is_public_without_a_list() -> None:
    assert ad.random_normal is REGISTRY["random_normal"]
    assert "random_normal" not in ad.__all__


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x: ad.swapaxes(x, 0, 5), "swapaxes: expected an axis from -2 to 1, got axis=5"),
        (lambda x: ad.moveaxis(x, 0, 9), "moveaxis: expected an axis from -2 to 1, got axis=9"),
    ],
)
def test_an_axis_that_is_none(call: Any, said: str) -> None:
    with pytest.raises(ad.errors.ShapeError, match=said):
        call(np.zeros((2, 3)))
