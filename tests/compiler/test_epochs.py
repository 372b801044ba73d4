"""`epoch`: many steps in one call are the steps of a Python loop, also where one of them fails or is interrupted."""

import itertools
import os
import signal
import threading
import time

import numpy as np
import pytest
from tests.compiler.agreement import assert_bits

import adjoint as ad
from adjoint import nn, optim
from adjoint.compiler import epochs
from adjoint.compiler.compiled import compile as compiled
from adjoint.errors import LabelError, ShapeError, TraceError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(70, 4)).astype(np.float32)
LABELS = RNG.integers(0, 3, 70)
ORDER = RNG.permutation(70)[:64].reshape(8, 8)


class Training:
    """A small network, its optimiser, and a step."""

    def __init__(self, *, dropout=0.0, seed=1):
        rng = ad.random.Generator(seed)
        layers = [nn.Linear(4, 6, rng=rng), nn.ReLU(), nn.Dropout(dropout, rng=rng), nn.Linear(6, 3, rng=rng)]
        self.net = nn.Sequential(*layers)
        self.optimizer = optim.SGD(self.net, lr=0.1, momentum=0.9)
        self.rng = rng

    def step(self, x, y):
        loss = nn.cross_entropy(self.net(x), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def states(self):
        found = {**self.net.parameters(), **self.optimizer.state(), "draws": self.rng.counter}
        return {path: np.array(state.value) for path, state in found.items()}


def assert_same_states(one, other):
    first, second = one.states(), other.states()
    assert first.keys() == second.keys()
    for path, value in first.items():
        assert_bits(second[path], value)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_an_epoch_is_a_loop(dropout):
    """The same bits as compiled steps one by one, of losses and of states."""
    one, other = Training(dropout=dropout), Training(dropout=dropout)
    loop, many = compiled(one.step), compiled(other.step)
    for _ in range(3):
        losses = np.array([loop(X[rows], LABELS[rows]).value for rows in ORDER])
        assert_bits(many.epoch(ORDER, X, LABELS), losses)
        assert_same_states(one, other)
    assert len(many.variants) == 1


def test_pieces_make_up_the_whole(monkeypatch):
    monkeypatch.setattr(epochs, "TURN", 1e-9)  # every piece is a single step
    one, other = Training(), Training()
    pieces = [float(loss) for (losses,), _ in compiled(one.step).steps(ORDER, X, LABELS) for loss in losses]
    assert len(pieces) == len(ORDER)
    monkeypatch.undo()
    assert compiled(other.step).epoch(ORDER, X, LABELS).tolist() == pieces


def test_rows_of_any_kind():
    total = ad.State(np.zeros(()))

    @compiled
    def f(a, b, c, d):
        total.assign(total + a.sum())
        return a.sum(), b, c[:, 0].max(), d

    a, b = np.arange(6.0).astype(">f8"), np.array([[True], [False]] * 3)
    c, d = np.arange(24, dtype=np.int16).reshape(12, 2)[::2], ad.constant(np.arange(6.0))
    order = np.array([[5, 0], [1, 1], [2, 3]], np.uint8)
    sums, rows, most, last = f.epoch(order, a, b, c, d)
    assert_bits(sums, np.array([5.0, 2.0, 5.0]))
    assert_bits(rows, b[order])
    assert_bits(most, c[order][:, :, 0].max(axis=1))
    assert_bits(last, order.astype(float))
    assert total.item() == 12.0


def test_results_in_containers():
    f = compiled(lambda x: {"sum": x.sum(), "pair": (x * 2.0, None), "known": "a", "number": 3})
    found = f.epoch([[0, 1], [2, 3], [4, 5]], np.arange(6.0))
    assert found.keys() == {"sum", "pair", "known", "number"}
    assert_bits(found["sum"], np.array([1.0, 5.0, 9.0]))
    assert_bits(found["pair"][0], np.arange(6.0).reshape(3, 2) * 2)
    assert (found["pair"][1], found["known"], found["number"]) == (None, "a", 3)


def test_no_results():
    count = ad.State(0)
    tick = compiled(lambda x: count.assign(count + x.sum()))
    assert tick.epoch([[0], [1], [2]], np.arange(3)) is None
    assert count.item() == 3


@pytest.mark.parametrize("order", [np.zeros((0, 4), int), np.zeros((0, 0), int)])
def test_an_empty_order(order):
    training = Training()
    before = training.states()
    losses = compiled(training.step).epoch(order, X, LABELS)
    assert_bits(losses, np.zeros(0, np.float32))
    assert all(np.array_equal(before[path], value) for path, value in training.states().items())


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ([0, 1], r"expected an integer array \(steps, batch\), got int64 of shape \(2,\)"),
        ([[0.0, 1.0]], "got float64"),
        ([[True]], "got bool"),
        ([[0, 70]], "expected rows from 0 to 69 .* got rows from 0 to 70"),
        ([[0, -1]], "got rows from -1 to 0"),
    ],
)
def test_wrong_orders(order, says):
    training = Training()
    with pytest.raises(ShapeError, match=rf"epoch: .*{says}.*test_epochs\.py"):
        compiled(training.step).epoch(order, X, LABELS)
    assert training.optimizer.steps.item() == 0


def test_the_shortest_array_counts():
    with pytest.raises(ShapeError, match="expected rows from 0 to 2"):
        compiled(lambda x, y: x + y).epoch([[3]], np.arange(9.0), np.arange(3.0))


@pytest.mark.parametrize("place", [0, 1, 5, 7])
def test_a_label_out_of_range_ends_the_epoch_after_whole_steps(place):
    one, other = Training(), Training()
    labels = LABELS.copy()
    labels[ORDER[place, 3]] = 3
    many, loop = compiled(one.step), compiled(other.step)
    with pytest.raises(LabelError) as native:
        many.epoch(ORDER, X, labels)
    for rows in ORDER[:place]:
        loop(X[rows], labels[rows])
    with pytest.raises(LabelError) as eager:
        other.step(X[ORDER[place]], labels[ORDER[place]])
    message = "expected labels from 0 to 2 (scores have 3 classes), got 3 at row 3"
    assert message in str(native.value)
    assert message in str(eager.value)
    assert_same_states(one, other)


def test_a_label_out_of_range_where_nothing_is_returned():
    count = ad.State(0)

    @compiled
    def g(x, y):
        count.assign(count + nn.cross_entropy(x, y) * 0.0 + 1)

    labels = np.array([0, 1, 2, 3])
    with pytest.raises(LabelError):
        g.epoch([[0], [1], [3], [2]], X[:4, :3], labels)
    assert count.item() == 2


def test_states_may_be_looked_at_and_assigned_between_pieces(monkeypatch):
    monkeypatch.setattr(epochs, "TURN", 1e-9)
    total = ad.State(np.zeros(3), name="total")

    @compiled
    def add(x):
        total.assign(total + x.sum(axis=0))
        return total * 1.0

    seen, copies, losses = [], [], []
    for (sums,), _ in add.steps(np.arange(6).reshape(6, 1), np.ones((6, 3))):
        losses += sums.tolist()
        seen.append(total.value)
        copies.append(total.value.copy())
        if len(seen) == 3:
            total.assign(np.full(3, 10.0))
    assert losses == [[x] * 3 for x in (1.0, 2.0, 3.0, 11.0, 12.0, 13.0)]
    for value, copy in zip(seen, copies, strict=True):
        assert_bits(value, copy)


def test_settings_may_change_between_pieces(monkeypatch):
    monkeypatch.setattr(epochs, "TURN", 1e-9)
    layer = nn.Dropout(0.5)
    f = compiled(lambda x: layer(x))
    results = []
    for (x,), _ in f.steps(np.zeros((6, 1), int), np.ones((1, 64))):
        results += list(x)
        if len(results) == 3:
            layer.eval()
    assert [float(x.max()) for x in results] == [2.0] * 3 + [1.0] * 3


def test_steps_that_are_not_taken_change_nothing():
    one, other = Training(), Training()
    steps = compiled(one.step).steps(ORDER, X, LABELS)
    (losses,), _ = next(steps)
    steps.close()
    loop = compiled(other.step)
    for rows in ORDER[: len(losses)]:
        loop(X[rows], LABELS[rows])
    assert_same_states(one, other)


def test_gradients_are_dropped_as_after_a_step():
    training = Training()
    compiled(training.step).epoch(ORDER, X, LABELS)
    with pytest.raises(ad.errors.GradientError, match="a compiled function computed no gradient"):
        training.net.layers[0].weight.grad


def test_inside_a_trace_or_transform_it_is_refused():
    f = compiled(lambda x: x.sum())
    with pytest.raises(TraceError, match="epoch: runs native code"):
        compiled(lambda x: f.epoch([[0]], x))(np.ones(3))
    with pytest.raises(TraceError, match="epoch: runs native code"):
        ad.grad(lambda x: f.epoch([[0]], x)[0])(np.ones(3))


@pytest.fixture
def interruptible():
    """Ctrl-C raises, also where a shell has started the tests in the background, which then ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="a signal to a thread is sent in POSIX alone")
def test_ctrl_c_leaves_whole_steps(interruptible):
    """Interrupted in the middle of native code, the states are those after some number of steps."""
    one, other = Training(), Training()
    many, loop = compiled(one.step), compiled(other.step)
    many.epoch(ORDER[:1], X, LABELS)
    loop.epoch(ORDER[:1], X, LABELS)
    order = np.tile(ORDER, (500_000, 1))  # far more than there is time for
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    begin = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        many.epoch(order, X, LABELS)
    assert time.monotonic() - begin < 5.0
    done = int(one.optimizer.steps.value) - 1
    assert done > 0
    for rows in itertools.islice(itertools.cycle(ORDER), done % 100_000):
        loop(X[rows], LABELS[rows])
    if done < 100_000:
        assert_same_states(one, other)
    many.epoch(ORDER, X, LABELS)
    assert int(one.optimizer.steps.value) == done + 1 + len(ORDER)


@pytest.mark.timing
def test_control_comes_back_ten_times_a_second():
    """Between pieces Python may draw, stop or listen; what counts is the time of this thread, native code included."""
    training = Training()
    pieces = compiled(training.step).steps(np.tile(ORDER, (100_000, 1)), X, LABELS)
    next(pieces)  # compiles
    begin, spans = time.thread_time(), []
    while len(spans) < 12:
        next(pieces)
        spans.append(time.thread_time() - begin)
        begin = time.thread_time()
    assert max(spans) < 0.1
    assert spans[-1] > 0.02  # and not for every single step, which would cost as much as it
