"""Metrics against scikit-learn's, over random data with ties, and what is no prediction."""

import math

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from adjoint.errors import AdjointError, DataError, LabelError, ShapeError
from adjoint.train.metrics import accuracy, auc, confusion_matrix, log_loss, r2, rmse


def drawn(seed, n, classes):
    """Probabilities with many ties, and labels in which every class occurs."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(1, 6, size=(n, classes)).astype(float)
    labels = rng.permutation(np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)]))
    return scores / scores.sum(axis=1, keepdims=True), labels


cases = pytest.mark.parametrize(("seed", "n", "classes"), [(0, 5, 2), (1, 40, 2), (2, 30, 3), (3, 200, 7)])


@cases
def test_accuracy_and_confusion(seed, n, classes):
    p, labels = drawn(seed, n, classes)
    predicted = p.argmax(axis=1)
    assert accuracy(p, labels) == accuracy(predicted, labels) == reference.accuracy_score(labels, predicted)
    expected = reference.confusion_matrix(labels, predicted, labels=range(classes))
    np.testing.assert_array_equal(confusion_matrix(p, labels), expected)
    np.testing.assert_array_equal(confusion_matrix(predicted, labels, classes=classes), expected)


@cases
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_log_loss(seed, n, classes, dtype):
    p, labels = drawn(seed, n, classes)
    expected = reference.log_loss(labels, p, labels=range(classes))
    assert log_loss(p.astype(dtype), labels) == pytest.approx(expected, rel=1e-6)
    if classes == 2:
        assert log_loss(p[:, 1], labels) == pytest.approx(expected, rel=1e-12)


def test_log_loss_of_a_certain_mistake_is_finite():
    p = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert log_loss(p, [1, 1]) == pytest.approx(reference.log_loss([1, 1], p, labels=[0, 1]), rel=1e-12)


@cases
def test_auc(seed, n, classes):
    p, labels = drawn(seed, n, classes)
    expected = reference.roc_auc_score(labels, p[:, 1] if classes == 2 else p, multi_class="ovr")
    assert auc(p, labels) == pytest.approx(expected, abs=1e-12)
    assert auc(np.log(p), labels) == pytest.approx(expected, abs=1e-12)
    if classes == 2:
        assert auc(p[:, 1], labels) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=40))
def test_auc_is_the_share_of_pairs_in_order(rows):
    positive = [score for score, label in rows if label]
    negative = [score for score, label in rows if not label]
    pairs = [(p > n) + (p == n) / 2 for p in positive for n in negative]
    ours = auc([score for score, _ in rows], [int(label) for _, label in rows])
    assert ours == pytest.approx(np.mean(pairs)) if pairs else math.isnan(ours)


def test_auc_leaves_a_class_without_rows_out():
    p, labels = drawn(4, 60, 3)
    wider = np.column_stack([p, np.full(60, 0.1)])
    assert auc(wider, labels) == pytest.approx(auc(p, labels), abs=1e-12)


@pytest.mark.parametrize("outputs", [None, 1, 3])
def test_rmse_and_r2(outputs):
    rng = np.random.default_rng(0)
    target = rng.normal(size=(30,) if outputs is None else (30, outputs))
    prediction = target + rng.normal(size=target.shape)
    expected = reference.root_mean_squared_error(target, prediction)
    assert rmse(prediction, target) == pytest.approx(expected, rel=1e-12)
    assert r2(prediction, target) == pytest.approx(reference.r2_score(target, prediction), rel=1e-12)


@given(arrays(float, 5, elements=st.integers(-2, 2)), arrays(float, 5, elements=st.integers(-2, 2)))
def test_r2_also_of_a_constant_target(prediction, target):
    assert r2(prediction, target) == pytest.approx(reference.r2_score(target, prediction), abs=1e-12)


def test_a_column_and_a_row_do_not_broadcast():
    assert rmse([[1.0], [2.0]], [1.0, 2.0]) == 0
    assert r2([1.0, 2.0], [[1.0], [2.0]]) == 1


def test_nan_predictions_never_look_good():
    scores = np.array([[np.nan, 0.0], [0.2, 0.8]])
    assert accuracy(scores, [0, 1]) == 0.5
    assert math.isnan(auc(scores, [0, 1]))
    assert math.isnan(log_loss(scores, [0, 1]))
    assert math.isnan(rmse([math.nan, 1], [1, 2]))
    assert math.isnan(r2([math.nan, 1], [1, 2]))
    assert math.isnan(r2([math.nan, 1], [1, 1]))
    with pytest.raises(DataError, match="confusion_matrix: expected scores, got NaN; training has diverged"):
        confusion_matrix(scores, [0, 1])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: accuracy([[1, 2]], [0, 1]), ShapeError, r"accuracy: expected shape \(2, classes\)"),
        (lambda: accuracy([0, 1, 1], [0, 1]), ShapeError, r"got shapes \(3,\) and \(2,\)"),
        (lambda: accuracy([0.3, 1], [0, 1]), DataError, r"class numbers of shape \(n,\) or scores of shape"),
        (lambda: accuracy([], []), DataError, r"accuracy: expected at least one row, got none \(labels\)"),
        (lambda: accuracy([0, 1], [[0], [1]]), ShapeError, r"class numbers of shape \(n,\), got \(2, 1\)"),
        (lambda: accuracy([[1, 2]], [2]), LabelError, r"expected labels 0 to 1, as there are columns, got 2"),
        (lambda: accuracy([[1, 2]], [-1]), LabelError, r"expected class numbers 0, 1, …, got -1"),
        (lambda: accuracy([[1, 2]], [0.5]), LabelError, r"got 0.5"),
        (lambda: accuracy([[1, 2]], ["cat"]), LabelError, r"got 'cat'"),
        (lambda: confusion_matrix([0, 3], [0, 1], classes=2), LabelError, r"expected classes 0 to 1, got 3"),
        (lambda: log_loss([[2.0, 3.0]], [0]), DataError, r"got \[2.0, 3.0\] with sum 5 \(row 0\)"),
        (lambda: log_loss([[1.5, -0.5]], [0]), DataError, r"take softmax of scores first"),
        (lambda: auc([[0.1, 0.9]], [0, 1]), ShapeError, r"auc: expected shape \(2, classes\)"),
        (lambda: rmse([1, 2, 3], [1, 2]), ShapeError, r"and target of one shape, got \(3,\) and \(2,\)"),
        (lambda: r2([], []), DataError, r"r2: expected at least one row"),
        (lambda: rmse(1.0, 1.0), ShapeError, r"expected shape \(n,\) or \(n, outputs\), got \(\)"),
    ],
)
def test_what_is_no_prediction(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert isinstance(caught.value, AdjointError)
    assert "\n" not in str(caught.value)
