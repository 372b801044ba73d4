"""`train.fit` with compiled steps is `train.fit` without: the same order of rows, losses and parameters to rounding."""

import re

import numpy as np
import pytest

import adjoint as ad
from adjoint import nn, optim, train
from adjoint.errors import GradientError, LabelError, NumericalError
from adjoint.train.fit import FEWEST_STEPS
from adjoint.train.step import CompiledSteps, EagerSteps, single_step

RNG = np.random.default_rng(0)
X = RNG.normal(size=(70, 3))
LABELS = (X[:, 0] + 0.5 * X[:, 1] > 0).astype(np.int64)
ENOUGH = 26  # epochs of 8 whole batches of 8 rows, and one of 6


def network(*, dropout=0.0):
    rng = ad.random.Generator(1)
    layers = [nn.Linear(3, 8, dtype="float64", rng=rng), nn.Tanh(), nn.Dropout(dropout, rng=rng)]
    return nn.Sequential(*layers, nn.Linear(8, 2, dtype="float64", rng=rng))


def fit(net, *, loss=nn.cross_entropy, optimizer=None, **settings):
    settings = {"epochs": ENOUGH, "batch_size": 8, "progress": False, "seed": 4} | settings
    return train.fit(net, loss, X, LABELS, optimizer=optimizer or optim.SGD(net, lr=0.1), **settings)


@pytest.fixture
def made(monkeypatch):
    """The compiled steps that trainings have made."""
    found, original = [], CompiledSteps.__init__

    def noted(self, step):
        original(self, step)
        found.append(self)

    monkeypatch.setattr(CompiledSteps, "__init__", noted)
    return found


def trained_both_ways(make, **settings):
    """The network, its optimiser and the history of a training with and one without the compiler."""
    found = []
    for compile in (True, False):
        net = network(dropout=settings.get("dropout", 0.0))
        optimizer = make(net)
        others = {name: value for name, value in settings.items() if name != "dropout"}
        found.append((net, optimizer, fit(net, optimizer=optimizer, compile=compile, **others)))
    return found


def assert_same_training(one, other, rtol=1e-9):
    (net, optimizer, history), (twin, twins_optimizer, wanted) = one, other
    assert (history.epochs, history.stopped, list(history)) == (wanted.epochs, wanted.stopped, list(wanted))
    for name in wanted:
        if name != "seconds":
            np.testing.assert_allclose(history[name], wanted[name], rtol=rtol)
    for path, array in twin.arrays().items():
        np.testing.assert_allclose(net.arrays()[path], array, rtol=rtol, atol=rtol)
    for path, state in twins_optimizer.state().items():
        np.testing.assert_allclose(optimizer.state()[path].value, state.value, rtol=rtol, atol=rtol)


MAKERS = {
    "sgd": lambda net: optim.SGD(net, lr=0.1),
    "momentum": lambda net: optim.SGD(net, lr=0.05, momentum=0.9, weight_decay=1e-3),
    "rmsprop": lambda net: optim.RMSprop(net, lr=0.005),
    "adam": lambda net: optim.Adam(net, lr=0.01),
}


@pytest.mark.parametrize("name", MAKERS)
def test_history_and_parameters(name, made):
    assert_same_training(*trained_both_ways(MAKERS[name]))
    (steps,) = made
    assert len(steps.compiled.variants) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"dropout": 0.4},
        {"loss": nn.hinge_loss},
        {"regularizer": lambda net: 1e-2 * nn.l2(net)},
        {"validation": (X[:20], LABELS[:20]), "metrics": {"accuracy": train.accuracy}},
        {"validation": (X[:20], LABELS[:20]), "early_stopping": 2, "dropout": 0.5},
        {"batch_size": 7, "epochs": 20},
        {"batch_size": 70, "epochs": FEWEST_STEPS},
    ],
    ids=["dropout", "hinge", "regularizer", "validation", "early stopping", "no rest", "whole"],
)
def test_settings(settings, made):
    assert_same_training(*trained_both_ways(MAKERS["momentum"], **settings))
    assert len(made) == 1


def test_it_pays_from_so_many_steps_on(made):
    fit(network(), epochs=ENOUGH - 2)
    fit(network(), accumulate=2)
    fit(network(), compile=False)
    assert made == []
    fit(network(), epochs=FEWEST_STEPS // 8)
    assert len(made) == 1


class Halving:
    """Halves the learning rate after every epoch, and stops after some."""

    def __init__(self, optimizer, last):
        self.optimizer, self.last = optimizer, last
        self.rates = []

    def on_epoch_end(self, history, net):
        self.rates.append(self.optimizer.lr.item())
        self.optimizer.lr.assign(self.optimizer.lr.value / 2)
        return history.epochs == self.last


def test_callbacks_change_the_rate_and_stop():
    found = []
    for compile in (True, False):
        net = network()
        optimizer = optim.Adam(net, lr=0.1)
        halving = Halving(optimizer, 6)
        found.append((net, optimizer, fit(net, optimizer=optimizer, callbacks=[halving], compile=compile)))
        assert halving.rates == [0.1 / 2**i for i in range(6)]
    assert_same_training(*found)


class Keeping:
    """Keeps what the network's values were after every epoch."""

    def __init__(self):
        self.kept, self.copies = [], []

    def on_epoch_end(self, history, net):
        self.kept.append([p.value for p in net.parameters().values()])
        self.copies.append([value.copy() for value in self.kept[-1]])


def test_what_a_callback_keeps_never_changes():
    keeping = Keeping()
    fit(network(), callbacks=[keeping])
    assert len(keeping.kept) == ENOUGH
    for values, copies in zip(keeping.kept, keeping.copies, strict=True):
        for value, copy in zip(values, copies, strict=True):
            np.testing.assert_array_equal(value, copy)


class Freezing:
    """Freezes the first layer after some epochs."""

    def __init__(self, after):
        self.after = after

    def on_epoch_end(self, history, net):
        if history.epochs == self.after:
            for p in net.layers[0].parameters().values():
                p.trainable = False
            self.before = net.layers[0].weight.value.copy()


def test_a_callback_may_freeze_parameters():
    found = []
    for compile in (True, False):
        net, freezing = network(), Freezing(5)
        optimizer = optim.SGD(net, lr=0.1)
        found.append((net, optimizer, fit(net, optimizer=optimizer, callbacks=[freezing], compile=compile)))
        np.testing.assert_array_equal(net.layers[0].weight.value, freezing.before)
    assert_same_training(*found)


class Exploding(nn.Module):
    """A network whose scores become NaN where a row says so."""

    def __init__(self):
        self.layer = nn.Linear(3, 2, dtype="float64", rng=ad.random.Generator(0))

    def forward(self, x):
        return self.layer(x) + ad.where(x[:, :1] > 2.0, ad.log(-abs(x[:, :1])), 0.0)


@pytest.mark.parametrize("compile", [True, False])
def test_a_loss_that_is_not_a_number_is_told_with_its_step(compile):
    """Every epoch meets the one bad row; the first does so at the step that the seed gives."""
    net = Exploding()
    before = net.arrays()
    x = np.clip(X, -1.5, 1.5)
    x[13, 0] = 3.0
    place = int(np.flatnonzero(np.random.default_rng(4).permutation(70) == 13)[0]) // 8 + 1
    optimizer = optim.SGD(net, lr=0.1, momentum=0.9)
    with pytest.raises(NumericalError, match=rf"the loss became nan in epoch 1, step {place}, with learning rate 0\.1"):
        train.fit(
            net, nn.cross_entropy, x, LABELS, optimizer=optimizer, epochs=ENOUGH, batch_size=8, seed=4, progress=False,
            compile=compile,
        )  # fmt: skip
    for path, array in net.arrays().items():
        np.testing.assert_array_equal(array, before[path])
    assert optimizer.steps.item() == 0
    assert not optimizer.state()["layer.weight.velocity"].value.any()


def test_a_diverging_training_is_told_alike():
    """The same epoch, step and loss; the network is that of the last whole epoch."""
    said, kept = [], []
    for compile in (True, False):
        net = network()
        with pytest.raises(NumericalError) as error:
            fit(
                net,
                loss=lambda s, y: (s**4).sum() + nn.cross_entropy(s, y),
                optimizer=optim.SGD(net, lr=0.3),
                compile=compile,
            )
        said.append(re.sub(r", at .*?;", ";", str(error.value)))
        kept.append(net.arrays())
    assert said[0] == said[1]
    for path, array in kept[1].items():
        np.testing.assert_allclose(kept[0][path], array, rtol=1e-9)


def _branching(scores, y):
    loss = nn.cross_entropy(scores, y)
    return loss * 2.0 if loss > 0.6 else loss


def test_a_loss_that_cannot_be_traced_runs_without_and_is_told_of(capsys):
    found = []
    for settings in ({"compile": True, "progress": True}, {"compile": False}):
        net = network(dropout=0.3)
        optimizer = optim.Adam(net, lr=0.01)
        found.append((net, optimizer, fit(net, loss=_branching, optimizer=optimizer, **settings)))
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("training runs without the compiler: bool: this value is not known") == 1
    assert "test_compiled_steps.py" in said.replace("\n", "")
    assert_same_training(*found, rtol=0)


def test_errors_of_the_loss_itself_are_not_hidden():
    def loss(scores, y):
        raise GradientError("mine")

    with pytest.raises(GradientError, match="mine"):
        fit(network(), loss=lambda s, y: loss(s, y) if isinstance(s, ad.Tensor) else 0.0)


def test_steps_yield_losses_and_numbers_of_rows():
    found = []
    for make in (CompiledSteps, EagerSteps):
        net = network()
        steps = make(single_step(net, nn.cross_entropy, optim.SGD(net, lr=0.1), None))
        found.append([list(steps((X, LABELS), 16, np.random.default_rng(7))) for _ in range(2)])
    for native, eager in zip(*found, strict=True):
        assert [rows for _, rows in native] == [rows for _, rows in eager] == [16, 16, 16, 16, 6]
        np.testing.assert_allclose([loss for loss, _ in native], [loss for loss, _ in eager], rtol=1e-9)


def test_a_label_out_of_range_during_steps():
    """`fit` looks at labels first; steps by themselves stop where the label is, after whole steps."""
    net = network()
    optimizer = optim.SGD(net, lr=0.1)
    steps = CompiledSteps(single_step(net, nn.cross_entropy, optimizer, None))
    labels = LABELS.copy()
    labels[np.random.default_rng(7).permutation(70)[16 * 2 + 3]] = 2
    with pytest.raises(LabelError, match=r"expected labels from 0 to 1 .*got 2 at row 3"):
        list(steps((X, labels), 16, np.random.default_rng(7)))
    assert optimizer.steps.item() == 2


def test_steps_are_interrupted_between_pieces(monkeypatch):
    """Ctrl-C in a callback or a step: the network is that of the last whole epoch."""
    net = network()

    class Interrupting:
        def on_epoch_end(self, history, net):
            if history.epochs == 3:
                self.arrays = net.arrays()
                monkeypatch.setattr(CompiledSteps, "__call__", _interrupted)

    def _interrupted(self, data, rows, rng):
        for count, step in enumerate(original(self, data, rows, rng)):
            if count == 4:
                raise KeyboardInterrupt
            yield step

    original, interrupting = CompiledSteps.__call__, Interrupting()
    with pytest.raises(train.Interrupted) as error:
        fit(net, callbacks=[interrupting])
    assert error.value.history.epochs == 3
    for path, array in net.arrays().items():
        np.testing.assert_array_equal(array, interrupting.arrays[path])


@pytest.mark.parametrize("compile", [True, False])
def test_a_callback_hears_the_loss_of_every_step(compile):
    class Listener:
        def __init__(self):
            self.losses, self.epochs = [], []

        def on_step(self, loss):
            self.losses.append(loss)

        def on_epoch_end(self, history, net):
            self.epochs.append(len(self.losses))

    listener = Listener()
    history = fit(network(), compile=compile, callbacks=[listener])
    assert listener.epochs == [9 * (i + 1) for i in range(ENOUGH)]
    rows = np.array([8] * 8 + [6])
    first = np.array(listener.losses[:9])
    np.testing.assert_allclose((first * rows).sum() / 70, history["loss"][0], rtol=1e-12)
