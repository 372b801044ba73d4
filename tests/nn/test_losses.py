"""Losses against NumPy by hand and figures of the lecture, with their gradients; and labels that are none."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

import adjoint as ad
from adjoint import nn

RNG = np.random.default_rng(0)
S = RNG.standard_normal((6, 4))
Y = np.array([0, 3, 1, 1, 2, 0])
ROWS = np.arange(6)


def by_hand(reduction, losses):
    return {"mean": losses.mean(), "sum": losses.sum(), "none": losses}[reduction]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy(reduction):
    value = nn.cross_entropy(ad.tensor(S), Y, reduction=reduction)
    np.testing.assert_allclose(value.value, by_hand(reduction, -log_softmax(S, axis=1)[ROWS, Y]), rtol=1e-12)


def test_cross_entropy_has_the_gradient_of_the_lecture():
    onehot = np.eye(4)[Y]
    np.testing.assert_allclose(
        ad.grad(lambda s: nn.cross_entropy(s, Y))(S), (softmax(S, axis=1) - onehot) / 6, rtol=1e-9
    )
    ad.gradcheck(lambda s: nn.cross_entropy(s, Y), S, order=2)


def test_cross_entropy_of_large_scores_is_finite():
    scores = ad.tensor(np.array([[1e4, 0.0], [0.0, 1e4]]))
    loss = nn.cross_entropy(scores, [0, 0])
    loss.backward()
    assert loss.item() == 5000.0
    np.testing.assert_array_equal(scores.grad, [[0.0, 0.0], [-0.5, 0.5]])


def test_class_weights_make_a_weighted_mean():
    weight = np.array([1.0, 2.0, 0.0, 4.0])
    losses, w = -log_softmax(S, axis=1)[ROWS, Y], weight[Y]
    np.testing.assert_allclose(nn.cross_entropy(ad.tensor(S), Y, weight=weight).item(), (losses * w).sum() / w.sum())
    np.testing.assert_allclose(
        nn.cross_entropy(ad.tensor(S), Y, weight=weight, reduction="sum").item(), (losses * w).sum()
    )
    assert nn.cross_entropy(ad.tensor(S.astype(np.float32)), Y, weight=weight).dtype == np.float32


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_hinge_loss(reduction):
    margins = np.maximum(0, S - S[ROWS, Y][:, None] + 0.5)
    margins[ROWS, Y] = 0
    value = nn.hinge_loss(ad.tensor(S), Y, margin=0.5, reduction=reduction)
    np.testing.assert_allclose(value.value, by_hand(reduction, margins.sum(axis=1)), rtol=1e-12)


def test_hinge_loss_has_the_figures_of_the_lecture():
    # lecture 3: cat, car and frog, the losses 2.9, 0 and 12.9, their mean 5.27
    scores = np.array([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]])
    losses = nn.hinge_loss(scores, [0, 1, 2], reduction="none")
    np.testing.assert_allclose(losses, [2.9, 0.0, 12.9], atol=1e-12)
    assert round(float(nn.hinge_loss(scores, [0, 1, 2])), 2) == 5.27


def test_hinge_loss_counts_the_classes_inside_the_margin():
    g = ad.grad(lambda s: nn.hinge_loss(s, [0], reduction="sum"))(np.array([[3.2, 5.1, -1.7, 2.9]]))
    np.testing.assert_array_equal(g, [[-2.0, 1.0, 0.0, 1.0]])
    ad.gradcheck(lambda s: nn.hinge_loss(s, Y), S)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_squared_loss(reduction):
    t = RNG.standard_normal((6, 4))
    value = nn.squared_loss(ad.tensor(S), t, reduction=reduction)
    np.testing.assert_allclose(value.value, by_hand(reduction, (S - t) ** 2))
    ad.gradcheck(lambda s: nn.squared_loss(s, t), S)


def test_squared_loss_does_not_broadcast_in_silence():
    with pytest.raises(ad.errors.ShapeError, match=r"got \(6, 1\) and \(6,\).*target.reshape\(prediction.shape\)"):
        nn.squared_loss(np.zeros((6, 1)), np.zeros(6))


def test_penalties():
    net = nn.Linear(3, 2, dtype="float64")
    w = net.weight.value
    assert nn.l2(net).item() == pytest.approx((w**2).sum())
    assert nn.l1(net).item() == pytest.approx(np.abs(w).sum())
    assert nn.l2(net.parameters()).item() == nn.l2([net.weight, net.bias]).item() == nn.l2(net).item()
    np.testing.assert_allclose(ad.grad(nn.l1)(net)["weight"], np.sign(w))
    assert nn.l2([]) == 0.0


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_equal_scores_cost_what_guessing_costs(classes):
    scores, labels = np.zeros((3, classes)), [0, 1, classes - 1]
    assert float(nn.cross_entropy(scores, labels)) == pytest.approx(np.log(classes), rel=1e-14)
    assert float(nn.hinge_loss(scores, labels)) == pytest.approx(classes - 1, rel=1e-14)


def test_gradients_of_hinge_at_its_kink_and_of_l1_at_zero_are_zero():
    scores = ad.tensor([[2.0, 1.0], [0.0, 1.0]])
    nn.hinge_loss(scores, [0, 0], reduction="sum").backward()
    np.testing.assert_array_equal(scores.grad, [[0, 0], [-1, 1]])
    w = ad.Parameter([-2.0, 0.0, 3.0])
    nn.l1(w).backward()
    np.testing.assert_array_equal(w.grad, [-1.0, 0.0, 1.0])


def test_gradient_of_squared_loss_in_closed_form_on_both_sides():
    prediction, target = ad.tensor(S), ad.tensor(np.ones((6, 4)))
    nn.squared_loss(prediction, target).backward()
    np.testing.assert_allclose(prediction.grad, 2 * (S - 1) / 24, rtol=1e-14)
    np.testing.assert_allclose(target.grad, -2 * (S - 1) / 24, rtol=1e-14)


GRADCHECKED = {
    "cross_entropy, weighted": lambda s: nn.cross_entropy(s, Y, weight=[0.5, 2.0, 1.0, 4.0]),
    "cross_entropy, row by row": lambda s: nn.cross_entropy(s, Y, weight=[0.5, 2.0, 1.0, 4.0], reduction="none"),
    "hinge with a margin": lambda s: nn.hinge_loss(s, Y, margin=0.3, reduction="none"),
    "squared, both sides": lambda s: nn.squared_loss(s[:, :2], s[:, 2:], reduction="none"),
    "l2": lambda s: nn.l2([s, s[0]]),
    "l1": nn.l1,
}


@pytest.mark.parametrize("name", GRADCHECKED)
def test_gradients_against_differences(name):
    ad.gradcheck(GRADCHECKED[name], S, order=2)


def test_a_weight_of_two_is_a_row_twice():
    twice = np.concatenate([S, S[4:5]]), np.append(Y, Y[4])
    weighted = nn.cross_entropy(S, Y, weight=[1.0, 1.0, 2.0, 1.0])
    assert float(weighted) == pytest.approx(float(nn.cross_entropy(*twice)), rel=1e-13)
    plain = float(nn.cross_entropy(S, Y))
    assert float(nn.cross_entropy(S, Y, weight=[3] * 4)) == pytest.approx(plain, rel=1e-14)


@pytest.mark.parametrize("loss", [nn.cross_entropy, nn.hinge_loss])
def test_labels_of_any_integer_kind_and_scores_of_any_dtype(loss):
    for labels in (Y.astype(np.int8), Y.astype(np.uint8), Y.tolist(), ad.tensor(Y)):
        assert float(loss(S, labels)) == float(loss(S, Y))
    scores = ad.tensor(S.astype(np.float32))
    result = loss(scores, Y)
    result.backward()
    assert result.dtype == scores.grad.dtype == np.float32


# --- labels as a tensor: an input of the graph -----------------------------------------------------------------------


LABELLED = {
    "cross_entropy": nn.cross_entropy,
    "cross_entropy, weighted": lambda s, y: nn.cross_entropy(s, y, weight=[0.5, 2.0, 1.0, 4.0]),
    "cross_entropy, row by row": lambda s, y: nn.cross_entropy(s, y, weight=[0.5, 2.0, 1.0, 4.0], reduction="none"),
    "hinge_loss": nn.hinge_loss,
    "hinge_loss, row by row": lambda s, y: nn.hinge_loss(s, y, margin=0.25, reduction="none"),
}


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize("kind", [ad.constant, ad.State])
def test_a_tensor_of_labels_gives_the_same_numbers(name, kind):
    plain, recorded = ad.tensor(S), ad.tensor(S)
    losses = [LABELLED[name](plain, Y), LABELLED[name](recorded, kind(Y))]
    for loss in losses:
        loss.sum().backward()
    np.testing.assert_array_equal(losses[1].value, losses[0].value, strict=True)
    np.testing.assert_array_equal(recorded.grad, plain.grad, strict=True)
    ad.gradcheck(lambda s: LABELLED[name](s, kind(Y)), S, order=2)


def test_a_tensor_of_labels_is_part_of_the_graph():
    labels = ad.constant(Y, name="y")
    for loss in (nn.cross_entropy, nn.hinge_loss):
        nodes = loss(ad.tensor(S), labels).graph.nodes
        assert any(node is labels for node in nodes)


@pytest.mark.parametrize("loss", [nn.cross_entropy, nn.hinge_loss])
def test_a_tensor_of_labels_is_checked(loss):
    with pytest.raises(ad.errors.LabelError, match=rf"^{loss.__name__}: .*got 4 at row 2, at .*test_losses"):
        loss(ad.tensor(S), ad.constant([0, 1, 4, 0, 0, 0]))
    with pytest.raises(ad.errors.DTypeError, match=rf"^{loss.__name__}: expected integer labels, got float64"):
        loss(ad.tensor(S), ad.tensor(Y * 1.0))


def test_the_hinge_is_the_sum_over_a_loop_also_at_its_kinks():
    scores = RNG.integers(-3, 4, (40, 5)).astype(float)  # whole numbers: many margins are exactly 0
    labels, expected, gradient = RNG.integers(0, 5, 40), 0.0, np.zeros((40, 5))
    for i, y in enumerate(labels):
        for j in range(5):
            if j != y and (margin := scores[i, j] - scores[i, y] + 1.0) > 0:
                expected += margin
                gradient[i, [j, y]] += [1.0, -1.0]
    s = ad.tensor(scores)
    loss = nn.hinge_loss(s, labels, reduction="sum")
    loss.backward()
    assert loss.item() == expected
    np.testing.assert_array_equal(s.grad, gradient)


def test_softmax_cross_entropy_wants_a_label_for_each_row():
    for labels in (Y[:1], Y[:, None], Y[:5]):
        with pytest.raises(ad.errors.ShapeError, match=r"^softmax_cross_entropy: expected scores \(n, classes\)"):
            ad.softmax_cross_entropy(S, labels)


def test_check_labels_refuses_what_is_no_class():
    assert ad.check_labels([1, 0], 2, "mine").dtype == np.intp
    with pytest.raises(ad.errors.LabelError, match=r"^mine: expected labels from 0 to 1 .*, got -1 at row 1"):
        ad.check_labels([0, -1], 2, "mine")
    with pytest.raises(ad.errors.DTypeError, match=r"^mine: expected integer labels, got float64.*astype\(int\)"):
        ad.check_labels([0.0, 1.0], 2, "mine")


# --- labels that are none ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [nn.cross_entropy, nn.hinge_loss])
@pytest.mark.parametrize(("label", "row"), [(4, 2), (-1, 0)])
def test_a_label_out_of_range_is_named_with_its_row(loss, label, row):
    wrong = Y.copy()
    wrong[row] = label
    with pytest.raises(ad.errors.LabelError) as error:
        loss(ad.tensor(S), wrong)
    assert str(error.value).partition(", at ")[0] == (
        f"{loss.__name__}: expected labels from 0 to 3 (scores have 4 classes), got {label} at row {row}"
    )


@pytest.mark.parametrize("loss", [nn.cross_entropy, nn.hinge_loss])
def test_labels_of_another_kind_or_shape(loss):
    with pytest.raises(ad.errors.DTypeError, match=r"expected integer labels, got float64.*labels.astype\(int\)"):
        loss(S, Y.astype(float))
    with pytest.raises(ad.errors.ShapeError, match=r"got \(6, 4\) and \(5,\)"):
        loss(S, Y[:5])
    with pytest.raises(ad.errors.ShapeError, match=r"one-hot rows into labels with .argmax\(axis=1\)"):
        loss(S, np.eye(4, dtype=int)[Y])
    with pytest.raises(ad.errors.ShapeError, match="expected reduction='mean', 'sum' or 'none', got 'max'"):
        loss(S, Y, reduction="max")


def test_labels_that_change_afterwards_do_not_change_the_gradient():
    scores, labels = ad.tensor(S), Y.copy()
    loss = nn.cross_entropy(scores, labels)
    labels[:] = 0
    loss.backward()
    np.testing.assert_allclose(scores.grad, (softmax(S, axis=1) - np.eye(4)[Y]) / 6, rtol=1e-9)


SCORES = ad.tensor(S)
MESSAGES = {
    "a label": (
        lambda: nn.cross_entropy(SCORES, [0, 1, 2, 3, 2**40, 0]),
        "cross_entropy: expected labels from 0 to 3 (scores have 4 classes), got 1099511627776 at row 4, at FILE:LINE",
    ),
    "a length": (
        lambda: nn.hinge_loss(SCORES, Y[:5]),
        "hinge_loss: expected scores (n, classes) and labels (n,), got (6, 4) and (5,), at FILE:LINE",
    ),
    "one-hot rows": (
        lambda: nn.cross_entropy(SCORES, np.eye(4)[Y]),
        "cross_entropy: expected scores (n, classes) and labels (n,), got (6, 4) and (6, 4), at FILE:LINE; turn "
        "one-hot rows into labels with .argmax(axis=1)",
    ),
    "a kind": (
        lambda: nn.hinge_loss(SCORES, Y + 0.0),
        "hinge_loss: expected integer labels, got float64, at FILE:LINE; convert with labels.astype(int)",
    ),
    "targets": (
        lambda: nn.squared_loss(ad.tensor(np.zeros((6, 1))), np.zeros(6)),
        "squared_loss: expected prediction and target of one shape, got (6, 1) and (6,), at FILE:LINE; reshape one of "
        "them, for example target.reshape(prediction.shape)",
    ),
    "a reduction": (
        lambda: nn.squared_loss(SCORES, S, reduction="average"),
        "squared_loss: expected reduction='mean', 'sum' or 'none', got 'average', at FILE:LINE",
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_word_by_word(name):
    call, expected = MESSAGES[name]
    with pytest.raises(ad.AdjointError) as caught:
        call()
    assert re.sub(r"\S*test_losses\.py:\d+", "FILE:LINE", str(caught.value)) == expected


@pytest.mark.parametrize(
    "weight", [[1.0, 2.0], np.ones((4, 1)), [0.0] * 4, [1.0, -1.0, 1.0, 1.0], [1.0, np.nan, 1.0, 1.0]]
)
def test_class_weights_that_are_none(weight):
    with pytest.raises(ad.errors.ShapeError, match="expected a weight for each of the 4 classes"):
        nn.cross_entropy(np.zeros((2, 4)), [0, 1], weight=weight)
