"""`train.fit`: what training does to a network, how it ends, and what it leaves behind."""

import gc
import re
import weakref

import numpy as np
import pytest

import adjoint as ad
from adjoint import nn, optim, train
from adjoint.errors import GradientError, NumericalError
from adjoint.train.step import accumulating_step, single_step

RNG = np.random.default_rng(0)
X = RNG.normal(size=(70, 3)).astype(np.float32)
LABELS = (X[:, 0] + 0.5 * X[:, 1] > 0).astype(np.int64)
Y = (X @ np.array([[1.0], [-2.0], [0.5]], np.float32)) + 0.25


def network(*, dropout=0.0, outputs=2, seed=1):
    rng = ad.random.Generator(seed)
    return nn.Sequential(
        nn.Linear(3, 8, rng=rng), nn.Tanh(), nn.Dropout(dropout, rng=rng), nn.Linear(8, outputs, rng=rng)
    )


def fit(net, *, loss=nn.cross_entropy, x=X, y=LABELS, lr=0.1, optimizer=None, **settings):
    settings = {"epochs": 3, "progress": False} | settings
    return train.fit(net, loss, x, y, optimizer=optimizer or optim.SGD(net, lr), **settings)


def same(first, second):
    return first.keys() == second.keys() and all(np.array_equal(first[path], second[path]) for path in first)


# --- what it computes -----------------------------------------------------------------------------------------------


def test_one_epoch_is_gradient_descent_by_hand():
    """Against NumPy: a linear network, squared loss, batches in the order that the seed gives, a short last one."""
    net = nn.Linear(3, 1, dtype="float64", rng=ad.random.Generator(0))
    w, b = net.weight.value.copy(), net.bias.value.copy()
    x, y = X.astype(float), Y.astype(float)
    history = fit(net, loss=nn.squared_loss, x=x, y=y, epochs=1, seed=5)
    order, total = np.random.default_rng(5).permutation(70), 0.0
    for rows in (order[:32], order[32:64], order[64:]):
        error = x[rows] @ w + b - y[rows]
        total += float((error**2).sum())
        w, b = w - 0.1 * 2 * x[rows].T @ error / len(rows), b - 0.1 * 2 * error.mean(axis=0)
    np.testing.assert_allclose(net.weight.value, w, rtol=1e-12)
    np.testing.assert_allclose(net.bias.value, b, rtol=1e-12)
    assert history["loss"] == [pytest.approx(total / 70, rel=1e-12)]


def test_it_learns():
    net = network()
    history = fit(net, epochs=30, metrics={"accuracy": train.accuracy})
    assert history["accuracy"][-1] >= 0.95
    assert history["loss"][-1] < 0.5 * history["loss"][0]


def test_it_reads_digits():
    """97 % of a fifth that was held out; the demo's test does this for several seeds."""
    data = ad.data.digits()
    centre, spread = data.x_train.mean(axis=0), data.x_train.std(axis=0) + np.float32(0.1)
    rng = ad.random.Generator(0)
    hidden, last = nn.Linear(64, 100, rng=rng), nn.Linear(100, 10, init="xavier", rng=rng)
    net = nn.Sequential(nn.Dropout(0.2, rng=rng), hidden, nn.ReLU(), nn.Dropout(0.3, rng=rng), last)
    optimizer = optim.SGD(net, lr=0.05, momentum=0.9)
    fit(net, x=(data.x_train - centre) / spread, y=data.y_train, optimizer=optimizer, epochs=60, batch_size=64)
    assert train.accuracy(train.predict(net, (data.x_test - centre) / spread), data.y_test) >= 0.97


def test_a_seed_settles_everything():
    first, second, other = network(dropout=0.3), network(dropout=0.3), network(dropout=0.3)
    assert fit(first, seed=4)["loss"] == fit(second, seed=4)["loss"]
    assert same(first.arrays(), second.arrays())
    fit(other, seed=5)
    assert not same(first.arrays(), other.arrays())


@pytest.mark.parametrize("make", [optim.SGD, optim.RMSprop, optim.Adam])
def test_accumulated_batches_are_one_batch(make):
    """Also with a short last batch: 70 rows in batches of 8, four at a time, against batches of 32."""
    small, large = network(), network()
    one = fit(small, batch_size=8, accumulate=4, optimizer=make(small, 0.01), regularizer=lambda net: 0.1 * nn.l2(net))
    two = fit(large, batch_size=32, optimizer=make(large, 0.01), regularizer=lambda net: 0.1 * nn.l2(net))
    np.testing.assert_allclose(one["loss"], two["loss"], rtol=1e-5)
    for path, array in small.arrays().items():
        np.testing.assert_allclose(array, large.arrays()[path], rtol=2e-3, atol=2e-5)


def test_accumulated_gradients_are_exact():
    """One step, float64: the gradients themselves, before an optimiser blurs them."""
    x, y = X.astype(float)[:7], LABELS[:7]
    gradients = []
    for make, extra in ((single_step, ()), (accumulating_step, (3,))):
        net = nn.Linear(3, 2, dtype="float64", rng=ad.random.Generator(0))
        make(net, nn.cross_entropy, optim.SGD(net, 0.1), lambda net: nn.l1(net), *extra)(x, y)
        gradients.append(net.weight.grad)
    np.testing.assert_allclose(*gradients, rtol=1e-12)


class Either(nn.Module):
    """A network that uses its second parameter only where the first row says so."""

    def __init__(self):
        self.first, self.second = ad.Parameter(np.ones(1)), ad.Parameter(np.ones(1))

    def forward(self, x):
        return x * self.first + (self.second if x[0, 0] > 0 else 0.0)


def test_accumulated_gradients_of_a_parameter_that_only_a_later_micro_batch_uses():
    """What it got in the step before must not be added to."""
    net = Either()
    optimizer = optim.SGD(net, 1e-12)
    step = accumulating_step(net, nn.squared_loss, optimizer, None, 1)
    for _ in range(3):
        step(np.array([[-1.0], [1.0]]), np.zeros((2, 1)))
        np.testing.assert_allclose([net.first.grad, net.second.grad], [[3.0], [2.0]])


def test_the_regularizer_shrinks_weights_and_is_no_part_of_the_losses():
    free, held = network(), network()
    fit(free, epochs=20)
    history = fit(held, epochs=20, regularizer=lambda net: 0.1 * nn.l2(net))
    assert nn.l2(held).item() < 0.5 * nn.l2(free).item()
    assert history["loss"][-1] < np.log(2) < history["loss"][-1] + 0.1 * nn.l2(held).item()


def test_frozen_parameters_stay():
    net = network()
    net.freeze("layers.0.*")
    before = net.arrays()
    fit(net)
    assert np.array_equal(net.arrays()["layers.0.weight"], before["layers.0.weight"])
    assert not np.array_equal(net.arrays()["layers.3.weight"], before["layers.3.weight"])


def test_float64_data_do_not_make_a_float32_network_compute_in_float64():
    seen = []

    def loss(output, target):
        if isinstance(output, ad.Tensor):
            seen.append((output.dtype, target.dtype))
        return nn.squared_loss(output, target)

    fit(network(outputs=1), loss=loss, x=X.astype(float), y=Y.astype(float))
    assert set(seen) == {(np.dtype("float32"), np.dtype("float32"))}


def test_what_was_given_is_left_as_it_was():
    x, y = X.copy(), LABELS.copy()
    fit(network(), x=x, y=y)
    assert np.array_equal(x, X)
    assert np.array_equal(y, LABELS)


# --- modes, validation, metrics -------------------------------------------------------------------------------------


class Watched(nn.Module):
    """Passes on what it gets, and notes rows and mode."""

    def __init__(self):
        self.seen = []

    def forward(self, x):
        self.seen.append((len(x), self.training))
        return x


def test_modes_batches_and_validation():
    watched = Watched()
    net = nn.Sequential(watched, nn.Linear(3, 2))
    fit(net, epochs=1, validation=(X[:5], LABELS[:5]))
    assert watched.seen[-4:] == [(32, True), (32, True), (6, True), (5, False)]


@pytest.mark.parametrize("training", [True, False])
def test_every_module_is_afterwards_in_the_mode_it_came_in(training):
    net = network(dropout=0.5)
    net.train() if training else net.eval()
    net.layers[2].training = True
    fit(net, validation=(X, LABELS))
    assert net.training is training
    assert net.layers[2].training is True


def test_modes_are_restored_after_an_error_too():
    net = network().eval()

    def fails(output, labels):
        if isinstance(output, ad.Tensor) and net.training:
            raise ValueError("mine")
        return nn.cross_entropy(output, labels)

    with pytest.raises(ValueError, match="mine"):
        fit(net, loss=fails)
    assert not net.training


def test_validation_figures_are_those_of_the_network_without_dropout():
    net = network(dropout=0.5)
    history = fit(net, validation=(X[:20], LABELS[:20]), metrics={"accuracy": train.accuracy})
    output = train.predict(net, X[:20])
    assert history["val_loss"][-1] == pytest.approx(float(nn.cross_entropy(output, LABELS[:20])))
    assert history["accuracy"][-1] == train.accuracy(output, LABELS[:20])


def test_without_a_validation_part_metrics_are_of_the_training_part():
    net = network()
    history = fit(net, metrics={"accuracy": train.accuracy})
    assert history["accuracy"][-1] == train.accuracy(train.predict(net, X), LABELS)
    assert "val_loss" not in history


# --- history --------------------------------------------------------------------------------------------------------


def test_the_history_holds_plain_floats():
    history = fit(network(), validation=(X, LABELS), metrics={"accuracy": lambda output, y: np.float32(0.5)})
    assert list(history) == ["loss", "val_loss", "accuracy", "seconds"]
    assert {type(value) for name in history for value in history[name]} == {float}
    assert history.epochs == 3
    assert history.stopped is None
    assert history.last["accuracy"] == 0.5
    assert repr(history).startswith("<History of 3 epochs, loss ")


def test_a_column_that_is_not_there():
    with pytest.raises(ad.errors.DataError, match="expected one of loss, seconds, got 'val_loss'"):
        fit(network())["val_loss"]


def test_no_graph_outlives_its_step():
    graphs = []

    def loss(output, labels):
        result = nn.cross_entropy(output, labels)
        if isinstance(result, ad.Tensor):
            graphs.append(weakref.ref(result))
        return result

    history = fit(network(), loss=loss)
    gc.collect()
    assert history.epochs == 3
    assert len(graphs) == 9
    assert [ref() for ref in graphs] == [None] * 9


# --- early stopping -------------------------------------------------------------------------------------------------


class Scripted(nn.Module):
    """A network whose parameter is 1 after the first step, 2 after the second, and so on."""

    def __init__(self):
        self.w = ad.Parameter(np.zeros(1))

    def forward(self, x):
        return np.zeros((len(x), 1)) + self.w


class Counting(optim.Optimizer):
    """Adds one."""

    def update(self, m, w, g, buffers):
        return w + 1.0, buffers


def scripted(curve, **settings):
    """Fit with a validation loss that follows a curve: its value at the parameter."""
    net = Scripted()

    def loss(output, y):
        return nn.squared_loss(output, y) if isinstance(output, ad.Tensor) else float(curve[int(output[0, 0])])

    data = np.ones((4, 1)), np.full((4, 1), 9.5)
    history = train.fit(
        net, loss, *data, optimizer=Counting(net, 1.0), validation=data, progress=False, batch_size=4, **settings
    )
    return net, history


CURVE = [9, 5, 3, 4, 2, 6, 7, 8, 1, 1]


def test_early_stopping_restores_the_best_weights():
    net, history = scripted(CURVE, epochs=9, early_stopping=3)
    assert history["val_loss"] == [5.0, 3.0, 4.0, 2.0, 6.0, 7.0, 8.0]
    assert history.best_epoch == 4
    assert net.w.value.tolist() == [4.0]
    assert history.stopped == "no lower validation loss for 3 epochs"


def test_the_best_weights_are_restored_where_training_ends_by_itself():
    net, history = scripted(CURVE, epochs=5, early_stopping=3)
    assert (history.epochs, history.stopped, net.w.value.tolist()) == (5, None, [4.0])


def test_without_early_stopping_the_last_weights_stay():
    net, history = scripted(CURVE, epochs=5)
    assert (history.epochs, history.best_epoch, net.w.value.tolist()) == (5, 4, [5.0])


# --- callbacks ------------------------------------------------------------------------------------------------------


class Stop:
    """Asks for an end after an epoch, and notes what it sees."""

    def __init__(self, after):
        self.after, self.seen = after, []

    def on_epoch_end(self, history, net):
        self.seen.append((history.epochs, net))
        return history.epochs == self.after


def test_a_callback_sees_every_epoch_and_may_stop():
    net, stop = network(), Stop(2)
    history = fit(net, epochs=9, callbacks=[stop])
    assert stop.seen == [(1, net), (2, net)]
    assert (history.epochs, history.stopped) == (2, "stopped by a callback")


def test_a_callback_may_change_the_learning_rate():
    net = network()
    optimizer = optim.SGD(net, 0.1)

    class Halve:
        def on_epoch_end(self, history, net):
            optimizer.lr.assign(optimizer.lr.item() / 2)

    fit(net, optimizer=optimizer, callbacks=[Halve()])
    assert optimizer.lr.item() == 0.0125


class Interrupt:
    """Somebody presses Ctrl-C while a callback runs, after the second epoch."""

    def on_epoch_end(self, history, net):
        if history.epochs == 2:
            raise KeyboardInterrupt


def test_an_interrupt_in_a_callback_keeps_its_epoch():
    whole, cut = network(dropout=0.2), network(dropout=0.2)
    expected = fit(whole, epochs=2)
    with pytest.raises(train.Interrupted, match="interrupted after 2 complete epochs") as caught:
        fit(cut, epochs=9, callbacks=[Interrupt()])
    assert caught.value.history["loss"] == expected["loss"]
    assert same(whole.arrays(), cut.arrays())
    assert cut.training


# --- ends that nobody wanted ----------------------------------------------------------------------------------------


class InterruptedInEpoch:
    """A loss during whose n-th recorded call somebody presses Ctrl-C."""

    def __init__(self, call):
        self.left = call

    def __call__(self, output, labels):
        if isinstance(output, ad.Tensor):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return nn.cross_entropy(output, labels)


@pytest.mark.parametrize("make", [lambda net: optim.SGD(net, 0.1, momentum=0.9), lambda net: optim.Adam(net, 0.01)])
def test_an_interrupt_leaves_the_last_whole_epoch(make):
    """In the middle of the third of three-step epochs: network, optimiser and dropout are those after two."""
    whole, cut = network(dropout=0.2), network(dropout=0.2)
    whole_optimizer, cut_optimizer = make(whole), make(cut)
    expected = fit(whole, optimizer=whole_optimizer, epochs=2)
    with pytest.raises(train.Interrupted, match="interrupted after 2 complete epochs") as caught:
        fit(cut, optimizer=cut_optimizer, epochs=9, loss=InterruptedInEpoch(8))
    assert isinstance(caught.value, KeyboardInterrupt)
    assert caught.value.history["loss"] == expected["loss"]
    assert caught.value.history.stopped == "interrupted"
    assert same(whole.arrays(), cut.arrays())
    states = [{path: s.value for path, s in each.state().items()} for each in (whole_optimizer, cut_optimizer)]
    assert same(*states)
    assert cut.training


def test_training_goes_on_after_an_interrupt():
    net = network()
    optimizer = optim.SGD(net, 0.1)
    with pytest.raises(train.Interrupted):
        fit(net, optimizer=optimizer, loss=InterruptedInEpoch(2))
    assert fit(net, optimizer=optimizer, epochs=1).epochs == 1


def test_a_loss_that_is_not_finite():
    net = nn.Linear(3, 1)
    before = net.arrays()
    with pytest.raises(NumericalError) as caught:
        fit(net, loss=nn.squared_loss, y=Y, lr=1e30)
    assert re.sub(r"at \S*test_fit\.py:\d+", "at FILE:LINE", str(caught.value)) == (
        "fit: the loss became inf in epoch 1, step 2, with learning rate 1e+30, at FILE:LINE; the network is left as "
        "it was before training; try a smaller learning rate, such as 0.01, or inputs scaled to -1..1"
    )
    assert same(net.arrays(), before)


def test_a_loss_that_is_not_finite_later():
    """The network is as after the epoch before, and no warning of NumPy's gets in the way (they are errors here)."""
    net, kept = network(), network()
    fit(kept, epochs=1, lr=0.05)
    after = iter(range(99))

    def loss(output, labels):
        late = isinstance(output, ad.Tensor) and next(after) >= 4
        return nn.cross_entropy(output, labels) * (np.inf if late else 1.0)

    with pytest.raises(NumericalError, match=r"became inf in epoch 2, step 2, with learning rate 0\.05"):
        fit(net, loss=loss, lr=0.05)
    assert same(net.arrays(), kept.arrays())


def test_a_loss_that_divides_by_zero_is_told_without_a_warning():
    net = nn.Linear(3, 1)
    with pytest.raises(NumericalError, match=r"became (inf|nan) in epoch 1, step 1, with learning rate 0\.1"):
        fit(net, loss=lambda output, y: -ad.log(ad.relu(output)).mean(), y=Y)


def test_a_validation_loss_that_is_not_finite():
    def loss(output, labels):
        return nn.cross_entropy(output, labels) if isinstance(output, ad.Tensor) or len(output) != 5 else float("nan")

    with pytest.raises(NumericalError, match="became nan in epoch 1, validation"):
        fit(network(), loss=loss, validation=(X[:5], LABELS[:5]))


def test_a_loss_that_left_the_graph():
    with pytest.raises(GradientError, match="expected a loss made of operations of adjoint, got a float"):
        fit(network(), loss=lambda output, y: float(np.mean(np.asarray(output)) ** 2))


# --- predict --------------------------------------------------------------------------------------------------------


def test_predict_does_not_depend_on_the_batch_and_records_nothing():
    net = network(dropout=0.5)
    whole = train.predict(net, X)
    assert type(whole) is np.ndarray
    np.testing.assert_allclose(train.predict(net, X, batch_size=7), whole, rtol=1e-6)
    assert train.predict(net, X[:0]).shape == (0, 2)
    assert net.training
    for size in (0, 2.5, True):
        with pytest.raises(ad.errors.DataError, match=f"predict: expected a batch size of at least 1, got {size}, at "):
            train.predict(net, X, batch_size=size)
    with pytest.raises(ad.errors.DataError, match="predict: expected rows of one length, got "):
        train.predict(net, [[1.0, 2.0], [3.0]])
    with pytest.raises(ad.errors.DataError, match="expected an array with rows, got a single number"):
        train.predict(net, 1.0)
