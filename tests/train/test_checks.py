"""What `fit` refuses before it starts, each mistake with its message, and the network untouched."""

import numpy as np
import pytest

import adjoint as ad
from adjoint import nn, optim, train
from adjoint.errors import DataError, DTypeError, LabelError, ShapeError

X = np.random.default_rng(0).normal(size=(20, 3))
Y = np.arange(20) % 2


def refused(error, x=X, y=Y, *, loss=nn.cross_entropy, **settings):
    """The message, without file and line."""
    net = nn.Sequential(nn.Linear(3, 2))
    before = net.arrays()
    with pytest.raises(error) as caught:
        train.fit(net, loss, x, y, optimizer=optim.SGD(net, 0.1), progress=False, **settings)
    assert all(np.array_equal(before[path], array) for path, array in net.arrays().items())
    assert "test_checks.py:" in str(caught.value), "the message says where fit was called"
    start, end = str(caught.value).split(", at ", 1)
    return start + "".join(end.partition(";")[1:])


def with_bad(array, place, value):
    bad = array.astype(float)
    bad[place] = value
    return bad


def test_not_a_number_in_x():
    message = refused(DataError, with_bad(X, ([4, 7], [1, 0]), np.nan))
    assert message.startswith(
        "fit: expected finite numbers, got nan at row 4, column 1 of x, counted from 0 and 1 more; leave such rows out"
    )


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_in_y(value):
    y = with_bad(np.ones((20, 2)), (9, 1), value)
    assert f"got {value} at row 9, column 1 of y" in refused(DataError, y=y, loss=nn.squared_loss)


def test_places_in_one_and_more_dimensions():
    assert "got nan at row 3 of y," in refused(DataError, y=with_bad(Y, 3, np.nan), loss=nn.squared_loss)
    images = with_bad(np.zeros((20, 2, 3)), (5, 1, 2), np.nan)
    assert "got nan at row 5, index (1, 2) of x," in refused(DataError, images)


def test_finite_numbers_whose_sum_overflows_are_fine():
    net = nn.Sequential(nn.Linear(3, 2))
    big = np.full((20, 3), 1e38, np.float32)
    train.fit(
        net,
        lambda s, y: nn.cross_entropy(s * 1e-38, y),
        big,
        Y,
        optimizer=optim.SGD(net, 1e-40),
        epochs=1,
        progress=False,
    )


def test_not_a_number_in_the_validation_part():
    message = refused(DataError, validation=(with_bad(X, (2, 2), np.nan), Y))
    assert "at row 2, column 2 of x of validation" in message


def test_lengths():
    assert refused(DataError, X[:5]) == "fit: expected as many rows in x as in y, got 5 and 20"
    assert "rows in x of validation as in y of validation, got 20 and 3" in refused(DataError, validation=(X, Y[:3]))


def test_no_rows_and_no_numbers():
    assert refused(DataError, X[:0], Y[:0]) == "fit: expected at least one row, got shape (0, 3) (x)"
    assert refused(DataError, 3.0) == "fit: expected at least one row, got shape () (x)"
    assert "expected real numbers, got <U1 (y); adjoint.data.Encoder" in refused(DataError, y=np.array(["a", "b"] * 10))
    assert "expected real numbers, got complex128 (x)" in refused(DataError, X * 1j)
    assert "expected rows of one length" in refused(DataError, [[1.0, 2.0], [3.0]])


@pytest.mark.parametrize("loss", [nn.cross_entropy, nn.hinge_loss, lambda s, y: nn.cross_entropy(s, y, weight=[1, 2])])
def test_a_label_out_of_range_is_named_with_its_row(loss):
    labels = Y.copy()
    labels[[11, 17]] = 7, -1
    assert refused(LabelError, y=labels, loss=loss) == (
        "fit: expected labels from 0 to 1, as the network gives 2 scores, got 7 at row 11 of y, counted from 0"
    )


def test_labels_that_are_no_integers():
    assert "integer labels" in refused(DTypeError, y=Y.astype(float))


def test_integers_that_are_no_labels():
    net = nn.Linear(3, 2)
    counts = np.arange(40).reshape(20, 2)
    history = train.fit(net, nn.squared_loss, X, counts, optimizer=optim.SGD(net, 1e-3), epochs=1, progress=False)
    assert history.epochs == 1


def test_shapes_of_x_and_y():
    assert "(" in refused(ShapeError, X[:, :2])
    assert "one shape" in refused(ShapeError, y=np.ones((20, 1)), loss=nn.squared_loss)
    assert "argmax" in refused(ShapeError, y=np.eye(2, dtype=int)[Y])


def test_a_loss_that_is_no_number():
    message = refused(DataError, loss=lambda s, y: nn.cross_entropy(s, y, reduction="none"))
    assert message == "fit: expected a loss of one number, got shape (20,); take its mean"


@pytest.mark.parametrize("name", ["epochs", "batch_size", "accumulate"])
@pytest.mark.parametrize("count", [0, -3, 2.5, True, "4"])
def test_counts(name, count):
    assert refused(DataError, **{name: count}) == f"fit: expected a whole number of at least 1, got {count!r} ({name})"


def test_wishes_that_do_not_fit():
    assert "early_stopping watches the validation loss; give" in refused(DataError, early_stopping=3)
    assert "got 0 (early_stopping)" in refused(DataError, early_stopping=0, validation=(X, Y))
    assert "expected validation=(x, y), got a ndarray" in refused(DataError, validation=X)
    assert "other names than loss, val_loss, seconds, got 'loss'" in refused(
        DataError, metrics={"loss": train.accuracy}
    )


def test_predict_refuses_too():
    net = nn.Linear(3, 2)
    with pytest.raises(DataError, match="predict: expected an array with rows"):
        train.predict(net, 1.0)
    with pytest.raises(DataError, match="predict: expected a batch size of at least 1, got 0"):
        train.predict(net, X, batch_size=0)
    assert train.predict(net, X[:0]).shape == (0, 2)
    assert ad.tensor(1.0).node.op is None  # recording is on again
