"""What `train.fit` refuses before training starts, word by word (FILE:LINE stands for the place)."""

import re

import numpy as np
import pytest

import adjoint as ad
from adjoint import nn, optim, train
from adjoint.errors import AdjointError, DataError, DTypeError, LabelError, ShapeError

X = np.arange(24.0).reshape(8, 3) / 24
LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1])


def changed(array, place, value):
    array = array.astype(type(value)) if isinstance(value, float) else array.copy()
    array[place] = value
    return array


def message_of(error, x=X, y=LABELS, *, net=None, loss=nn.cross_entropy, **settings):
    """The message, after a look whether the network is as it was."""
    net = net or nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
    before = net.arrays()
    with pytest.raises(AdjointError) as caught:
        train.fit(net, loss, x, y, **{"optimizer": optim.SGD(net, 0.1), "progress": False} | settings)
    assert type(caught.value) is error
    assert all(np.array_equal(before[path], array) for path, array in net.arrays().items())
    return re.sub(r"at \S*test_checks\.py:\d+", "at FILE:LINE", str(caught.value))


ADVICE = "leave such rows out, or fill them in, with the column's mean for example"
NOT_FINITE = {
    "NaN in data": (
        {"x": changed(X, (4, 1), np.nan)},
        "nan at row 4, column 1 of x, counted from 0, at FILE:LINE",
    ),
    "several of them": (
        {"x": changed(X, (slice(2, 4), 0), np.inf)},
        "inf at row 2, column 0 of x, counted from 0, and 1 more, at FILE:LINE",
    ),
    "in pictures": (
        {"x": changed(np.zeros((8, 2, 2)), (1, 0, 1), -np.inf)},
        "-inf at row 1, index (0, 1) of x, counted from 0, at FILE:LINE",
    ),
    "NaN in targets": (
        {"y": changed(LABELS, 7, np.nan), "loss": nn.squared_loss},
        "nan at row 7 of y, counted from 0, at FILE:LINE",
    ),
    "in the validation part": (
        {"validation": (changed(X, (0, 2), np.nan), LABELS)},
        "nan at row 0, column 2 of x of validation, counted from 0, at FILE:LINE",
    ),
}


@pytest.mark.parametrize("name", NOT_FINITE)
def test_numbers_that_are_not_finite(name):
    data, expected = NOT_FINITE[name]
    assert message_of(DataError, **data) == f"fit: expected finite numbers, got {expected}; {ADVICE}"


def test_numbers_whose_sum_alone_is_not_finite_are_accepted():
    x = np.full((8, 3), 3e38, np.float32)
    net = nn.Sequential(nn.Linear(3, 3))
    net.load_arrays({"layers.0.weight": np.zeros((3, 3)), "layers.0.bias": np.zeros(3)})
    history = train.fit(net, nn.cross_entropy, x, LABELS, optimizer=optim.SGD(net, 1e-30), epochs=1, progress=False)
    assert history["loss"] == [pytest.approx(np.log(3))]


@pytest.mark.parametrize(("row", "label"), [(5, 3), (2, -1)])
@pytest.mark.parametrize("loss", [nn.cross_entropy, nn.hinge_loss])
def test_a_label_out_of_range(row, label, loss):
    """Anywhere in the data, not only in the first batch."""
    assert message_of(LabelError, y=changed(LABELS, row, label), loss=loss, batch_size=1) == (
        f"fit: expected labels from 0 to 2, as the network gives 3 scores, got {label} at row {row} of y, counted from "
        "0, at FILE:LINE"
    )


def test_a_label_out_of_range_of_a_weighted_loss():
    message = message_of(
        LabelError, y=changed(LABELS, 7, 9), loss=lambda s, y: nn.cross_entropy(s, y, weight=[1, 2, 1])
    )
    assert "got 9 at row 7 of y" in message


def test_integers_that_are_no_labels():
    net = nn.Linear(3, 2)
    counts = np.arange(16).reshape(8, 2)
    history = train.fit(net, nn.squared_loss, X, counts, optimizer=optim.SGD(net, 1e-3), epochs=1, progress=False)
    assert history.epochs == 1


@pytest.mark.parametrize("name", ["epochs", "batch_size", "accumulate"])
@pytest.mark.parametrize("count", [0, -3, 2.5, True, "4"])
def test_counts(name, count):
    expected = f"fit: expected a whole number of at least 1, got {count!r} ({name}), at FILE:LINE"
    assert message_of(DataError, **{name: count}) == expected


def test_mistakes_in_the_validation_part_say_so():
    assert message_of(LabelError, validation=(X, changed(LABELS, 5, 7))) == (
        "fit: expected labels from 0 to 2, as the network gives 3 scores, got 7 at row 5 of y of validation, counted "
        "from 0, at FILE:LINE"
    )
    message = message_of(ShapeError, validation=(X[:, :2], LABELS))
    assert message.startswith("fit: expected rows that the network takes, got rows of shape (2,) (x of validation): ")


LENGTHS = {
    "more rows than labels": (
        {"y": LABELS[:7]}, "fit: expected as many rows in x as in y, got 8 and 7, at FILE:LINE",
    ),
    "of validation": (
        {"validation": (X[:3], LABELS[:2])},
        "fit: expected as many rows in x of validation as in y of validation, got 3 and 2, at FILE:LINE",
    ),
    "no rows": ({"x": X[:0], "y": LABELS[:0]}, "fit: expected at least one row, got shape (0, 3) (x), at FILE:LINE"),
    "a single number": ({"y": 1}, "fit: expected at least one row, got shape () (y), at FILE:LINE"),
    "texts": (
        {"y": ["cat"] * 8},
        "fit: expected real numbers, got <U3 (y), at FILE:LINE; adjoint.data.Encoder encodes tables",
    ),
    "a loss for each row": (
        {"loss": lambda scores, labels: nn.cross_entropy(scores, labels, reduction="none")},
        "fit: expected a loss of one number, got shape (8,), at FILE:LINE; take its mean",
    ),
    "complex numbers": (
        {"x": X * 1j},
        "fit: expected real numbers, got complex128 (x), at FILE:LINE; adjoint.data.Encoder encodes tables",
    ),
    "a share to validate": (
        {"validation": 0.2}, "fit: expected validation=(x, y), got a float, at FILE:LINE",
    ),
    "early stopping alone": (
        {"early_stopping": 5},
        "fit: early_stopping watches the validation loss, at FILE:LINE; give validation=(x, y)",
    ),
    "no patience": (
        {"early_stopping": 0, "validation": (X, LABELS)},
        "fit: expected a whole number of at least 1, got 0 (early_stopping), at FILE:LINE",
    ),
    "a metric called loss": (
        {"metrics": {"loss": train.accuracy}},
        "fit: expected metrics of other names than loss, val_loss, seconds, got 'loss', at FILE:LINE",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LENGTHS)
def test_data_and_settings_that_cannot_be_used(name):
    mistake, expected = LENGTHS[name]
    assert message_of(DataError, **mistake) == expected


def test_an_array_is_no_validation_part():
    assert "expected validation=(x, y), got a ndarray" in message_of(DataError, validation=X)


def test_ragged_rows():
    message = message_of(DataError, x=[[1.0, 2.0], [3.0]], y=[0, 1])
    assert message.startswith("fit: expected rows of one length, got ")
    assert message.endswith(" (x), at FILE:LINE")


def test_a_wrong_feature_count():
    """Said of the rows, with what the layer says of its matrices behind it."""
    message = message_of(ShapeError, x=X[:, :2])
    assert message.startswith("fit: expected rows that the network takes, got rows of shape (2,) (x): ")
    assert "2 columns meet 3 rows, at FILE:LINE in net.layers.0" in message


def test_targets_of_another_shape_than_the_output():
    """(n,) beside (n, 1) would be broadcast to (n, n) in silence."""
    message = message_of(ShapeError, y=np.zeros(8), net=nn.Linear(3, 1), loss=nn.squared_loss)
    assert message == (
        "squared_loss: expected prediction and target of one shape, got (8, 1) and (8,), at FILE:LINE; reshape one of "
        "them, for example target.reshape(prediction.shape)"
    )


def test_labels_of_another_kind():
    assert message_of(DTypeError, y=LABELS.astype(float)) == (
        "cross_entropy: expected integer labels, got float64, at FILE:LINE; convert with labels.astype(int)"
    )
    assert message_of(ShapeError, y=np.eye(3)[LABELS]) == (
        "cross_entropy: expected scores (n, classes) and labels (n,), got (8, 3) and (8, 3), at FILE:LINE; turn "
        "one-hot rows into labels with .argmax(axis=1)"
    )


class Nothing:
    """No callback."""


PARTS = {
    "a name for an optimiser": (
        {"optimizer": "adam"},
        "fit: expected an optimiser such as optim.SGD(net, lr=0.01), got 'adam' (optimizer), at FILE:LINE",
    ),
    "a class for an optimiser": (
        {"optimizer": optim.Adam},
        "fit: expected an optimiser such as optim.SGD(net, lr=0.01), got a type (optimizer), at FILE:LINE",
    ),
    "an optimiser of another network": (
        {"optimizer": optim.SGD(nn.Linear(3, 3))},
        "fit: expected an optimiser of this network's parameters, got one of others, at FILE:LINE",
    ),
    "a name for a loss": (
        {"loss": "cross_entropy"},
        "fit: expected a loss such as nn.cross_entropy, a function, got 'cross_entropy', at FILE:LINE",
    ),
    "a function for a callback": (
        {"callbacks": [Nothing()]},
        "fit: expected callbacks with a method on_epoch_end(history, net), got a Nothing, at FILE:LINE",
    ),
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_that_are_none(name):
    mistake, expected = PARTS[name]
    assert message_of(AdjointError, **mistake) == expected


def test_a_network_that_is_none():
    with pytest.raises(AdjointError, match=r"fit: expected a network, an nn\.Module, got a function, at "):
        train.fit(lambda x: x, nn.cross_entropy, X, LABELS, optimizer=optim.SGD([ad.Parameter(1.0)]))


def test_many_different_labels_are_judged_fast():
    """A regression on whole numbers, by mistake without an axis: each of 200,000 labels is not tried on its own."""
    y = np.arange(200_000)
    assert "squared_loss: expected prediction and target of one shape" in message_of(
        ShapeError, x=np.zeros((200_000, 3)), y=y, net=nn.Linear(3, 1), loss=nn.squared_loss
    )
