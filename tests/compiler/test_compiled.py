"""`ad.compile`: what a compiled function returns, assigns and raises is what the function itself does."""

import numpy as np
import pytest
from tests.compiler.agreement import assert_agree, assert_bits, assert_near, both
from tests.ops.samples import COMPUTED, samples

import adjoint as ad
from adjoint import nn, optim
from adjoint.compiler.compiled import compile as compiled
from adjoint.errors import AdjointError, GradientError, LabelError, ShapeError, TraceError
from adjoint.tensor import Tensor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 4)).astype(np.float32)
LABELS = np.array([0, 2, 1, 2, 0])


def network(*, dropout=0.0, seed=1):
    rng = ad.random.Generator(seed)
    return nn.Sequential(nn.Linear(4, 6, rng=rng), nn.ReLU(), nn.Dropout(dropout, rng=rng), nn.Linear(6, 3, rng=rng))


def stepper(net, optimizer, loss=nn.cross_entropy):
    def step(x, y):
        value = loss(net(x), y)
        value.backward()
        optimizer.step()
        return value

    return step


def everything(net, optimizer):
    """All states of a network and its optimiser, copied."""
    states = {**net.parameters(), **net.states(), **optimizer.state()}
    return {path: np.array(state.value) for path, state in states.items()}


# --- the ops --------------------------------------------------------------------------------------------------------

DTYPES = ("float64", "float32", "float16", "int64", "uint8")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", COMPUTED)
def test_every_op_agrees_with_numpy(name, dtype):
    """All samples of an op (0-d, empty, broadcast) in one compiled function."""
    op = COMPUTED[name]
    drawn = [s for s in samples(op, np.dtype(dtype)) if _is_taken(s)]
    counts = [len(s.inputs) for s in drawn]

    def all_of_them(*xs):
        supply = iter(xs)
        return [s.call(*(next(supply) for _ in range(n))) for s, n in zip(drawn, counts, strict=True)]

    given = [x for s in drawn for x in s.inputs]
    with np.errstate(all="ignore"):
        got, wanted = both(all_of_them, *given)
    assert len(got) == len(drawn)
    assert_agree(got, wanted)


def _is_taken(sample):
    """Whether the op takes these numbers: some have no meaning for whole ones, such as 2 ** −1."""
    try:
        with np.errstate(all="ignore"):
            sample.call()
    except AdjointError:
        return False
    return True


# --- results --------------------------------------------------------------------------------------------------------


def test_results_in_containers():
    same = object()

    def f(x):
        y = x + 1.0
        return {"twice": (y, y), "none": None, "text": "a", "number": 3, "object": same, "known": np.arange(3), "x": x}

    own = compiled(f)
    for _ in range(2):
        got = own(X)
        assert_bits(got["twice"][0], X + 1)
        assert_bits(got["twice"][1], X + 1)
        assert_bits(got["x"], X)
        assert (got["none"], got["text"], got["number"]) == (None, "a", 3)
        assert got["object"] is same
        assert_bits(got["known"], np.arange(3))
        got["known"][...] = got["x"][...] = 7  # results belong to the caller
    assert X.max() < 7


def test_an_argument_that_is_returned_is_not_the_argument():
    f = compiled(lambda x: x)
    x = np.zeros(3)
    f(x)[...] = 1.0
    assert_bits(x, np.zeros(3))


def test_results_of_one_element_are_numpy_scalars():
    total = compiled(lambda x: x.sum())(X)
    assert type(total) is np.float32
    assert type(compiled(lambda x: x.argmax())(X)) is np.int64


def test_no_arguments_and_no_results():
    count = ad.State(0, name="count")

    @compiled
    def tick():
        count.assign(count + 1)

    assert [tick() for _ in range(3)] == [None] * 3
    assert count.item() == 3
    assert compiled(lambda: (1, "a"))() == (1, "a")


def test_a_state_that_is_returned_is_its_value():
    w = ad.Parameter(np.ones(3), name="w")
    f = compiled(lambda x: (w, x * 2.0))
    value, _ = f(np.ones(3))
    assert type(value) is Tensor
    w.assign(np.zeros(3))
    assert_bits(value.value, np.ones(3))
    assert_bits(f(np.ones(3))[0].value, np.zeros(3))


def test_modules_and_methods_are_functions():
    net = network()
    f = compiled(net)
    assert_agree(f(X), net(X))
    assert repr(f) == "<compiled Sequential: 1 variants>"

    class Scale:
        factor = 3.0

        @compiled
        def scaled(self, x):
            """Times a factor."""
            return x * self.factor

    assert_bits(Scale().scaled(X), X * 3)
    assert Scale.scaled.__doc__ == "Times a factor."


# --- states ---------------------------------------------------------------------------------------------------------

OPTIMIZERS = {
    "sgd": lambda net: optim.SGD(net, lr=0.1),
    "momentum": lambda net: optim.SGD(net, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "rmsprop": lambda net: optim.RMSprop(net, lr=0.01),
    "adam": lambda net: optim.Adam(net, lr=0.01),
}


@pytest.mark.parametrize("loss", [nn.cross_entropy, nn.hinge_loss])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_steps(name, loss):
    """Ten steps: losses, parameters, buffers and counters are those of the eager steps."""
    eager, native = network(dropout=0.3), network(dropout=0.3)
    first, second = OPTIMIZERS[name](eager), OPTIMIZERS[name](native)
    step, own = stepper(eager, first, loss), compiled(stepper(native, second, loss))
    for _ in range(10):
        assert_near(own(X, LABELS).value, step(X, LABELS).value, ulps=1e3)
    wanted, got = everything(eager, first), everything(native, second)
    assert got.keys() == wanted.keys()
    for path, value in wanted.items():
        assert_near(got[path], value, ulps=1e4)
    assert len(own.variants) == 1


def address(state):
    return state.value.__array_interface__["data"][0]


def counter(value, **settings):
    state = ad.State(value, **settings)

    @compiled
    def add(x):
        state.assign(state + x)
        return state * 1.0

    return state, add


def test_a_state_is_updated_in_place_if_nobody_holds_its_value():
    state, add = counter(np.zeros(100))
    for _ in range(3):
        add(np.ones(100))
    first = address(state)
    add(np.ones(100))
    assert address(state) == first
    assert_bits(state.value, np.full(100, 4.0))


def test_functions_of_the_same_states_take_turns_without_copies():
    """A step for whole batches and for the last one, a look inside, a prediction."""
    net = network()
    optimizer = optim.SGD(net, lr=0.1, momentum=0.9)
    step = compiled(stepper(net, optimizer))
    look, predict = step.taps(), compiled(lambda x: net(x))
    states = [*net.parameters().values(), *optimizer.state().values()]

    def turn():
        for rows in (5, 3):
            step(X[:rows], LABELS[:rows])
            look(X[:rows], LABELS[:rows])
        return predict(X).value

    turn()
    before = turn()
    arrays = {state: address(state) for state in states if state.shape}
    assert len(arrays) == 8
    after = turn()
    assert {state: address(state) for state in arrays} == arrays
    assert not np.array_equal(before, after)


@pytest.mark.parametrize(
    "held", [lambda s: s.value, lambda s: s.value[2:], lambda s: s.read(), lambda s: memoryview(s.value)]
)
def test_a_value_that_somebody_holds_never_changes(held):
    state, add = counter(np.arange(5.0))
    for _ in range(3):
        add(np.ones(5))
    value = held(state)
    before = np.array(value)
    for _ in range(3):
        add(np.ones(5))
    assert_bits(np.asarray(value), before)
    assert_bits(state.value, np.arange(5.0) + 6.0)


def test_results_and_recorded_nodes_keep_their_values():
    _, add = counter(np.zeros(3))
    results = [add(np.ones(3)) for _ in range(4)]
    assert [float(r.value[0]) for r in results] == [1.0, 2.0, 3.0, 4.0]
    w = ad.Parameter(np.ones(3))
    y = ad.exp(w)
    shrink = compiled(lambda: w.assign(w * 0.5))
    for _ in range(3):
        shrink()
    y.backward(np.ones(3))
    assert_near(w.grad, np.full(3, np.e))
    assert_bits(w.value, np.full(3, 0.125))


def test_a_read_after_a_step_is_not_the_one_before():
    state, add = counter(np.zeros(3))
    add(np.ones(3))
    before = state.read()
    add(np.ones(3))
    assert state.read() is not before
    assert (before.value[0], state.read().value[0]) == (1.0, 2.0)


def test_states_that_are_assigned_from_outside():
    state, add = counter(np.zeros(3))
    add(np.ones(3))
    given = np.full(3, 10.0)
    state.assign(given)
    assert_bits(add(np.ones(3)).value, np.full(3, 11.0))
    assert_bits(given, np.full(3, 10.0))
    state.replace(given)  # given away, but still in our hand
    add(np.ones(3))
    assert_bits(given, np.full(3, 10.0))
    for odd in (np.arange(6.0)[::2], np.arange(3.0, dtype=">f8"), np.broadcast_to(1.0, (3,))):
        state.replace(odd)
        before = odd.copy()
        assert_bits(add(np.ones(3)).value, before.astype(float) + 1.0)
        assert_bits(odd, before)


@pytest.mark.parametrize(
    ("value", "dtype"), [(0.0, None), (0, None), (0.0, "float32"), (0.0, "float16"), ([0, 0], "uint8")]
)
def test_states_of_every_kind(value, dtype):
    state, add = counter(value, dtype=dtype)
    twin = ad.State(value, dtype=dtype)
    for _ in range(3):
        add(2.0)
        twin.assign(twin + 2.0)
        assert type(state._value) is float or state._value.dtype == twin.dtype
        assert_bits(state.value, twin.value)


def test_states_exchange_their_values():
    a, b = ad.State(np.zeros(3)), ad.State(np.ones(3))

    @compiled
    def exchange():
        old = a.read()
        a.assign(b.read())
        b.assign(old)

    for turn in range(4):
        exchange()
        assert_bits(a.value, np.full(3, float(turn % 2 == 0)))
        assert_bits(b.value, np.full(3, float(turn % 2)))


def test_two_functions_share_states():
    net = network()
    optimizer = optim.SGD(net, lr=0.1, momentum=0.9)
    step, score = compiled(stepper(net, optimizer)), compiled(net)
    twin = network()
    eager = stepper(twin, optim.SGD(twin, lr=0.1, momentum=0.9))
    for _ in range(4):
        assert_near(score(X).value, twin(X).value, ulps=1e3)
        step(X, LABELS)
        eager(X, LABELS)
    assert_near(score(X).value, twin(X).value, ulps=1e3)


def test_two_states_of_one_array():
    a, b = ad.State(np.zeros(3)), ad.State(np.zeros(3))
    shared = np.zeros(3)
    a.replace(shared)
    b.replace(shared)
    add = compiled(lambda: a.assign(a + 1.0))
    for _ in range(3):
        add()
    assert_bits(a.value, np.full(3, 3.0))
    assert_bits(b.value, np.zeros(3))


def test_frozen_parameters():
    net = network()
    layers = net.layers
    step = compiled(stepper(net, optim.SGD(net, lr=0.1)))
    step(X, LABELS)
    layers[0].weight.trainable = False
    before = layers[0].weight.value.copy(), layers[3].weight.value.copy()
    step(X, LABELS)
    assert_bits(layers[0].weight.value, before[0])
    assert not np.array_equal(layers[3].weight.value, before[1])
    layers[0].weight.trainable = True
    step(X, LABELS)
    assert not np.array_equal(layers[0].weight.value, before[0])
    assert len(step.variants) == 2


def test_learning_rates_are_states():
    w = ad.Parameter(1.0)
    opt = optim.SGD([w], lr=0.25)

    @compiled
    def step():
        loss = w * w
        loss.backward()
        opt.step()

    step()
    assert w.item() == 0.5
    opt.lr.assign(0.5)
    step()
    assert w.item() == 0.0
    assert opt.steps.item() == 2
    assert len(step.variants) == 1


def test_settings_of_modules_are_noticed():
    net = network(dropout=0.5)
    f = compiled(net)
    assert not np.array_equal(f(X).value, f(X).value)
    net.eval()
    assert_agree(f(X), net(X))
    assert_bits(f(X).value, f(X).value)
    net.train()
    net.layers[2].p = 0.0
    assert_agree(f(X), net(X))
    net.layers[2].p = 0.5
    f(X)
    before = len(f.variants)
    for _ in range(3):  # what was compiled for other settings is kept
        f(X)
        net.eval()
        f(X)
        net.train()
    assert len(f.variants) == before


def test_gradients_are_dropped_or_returned():
    net = network()
    opt = optim.SGD(net, lr=0.1)
    compiled(stepper(net, opt))(X, LABELS)
    with pytest.raises(GradientError, match="a compiled function computed no gradient for weight"):
        net.layers[0].weight.grad

    @compiled
    def gradient(x, y):
        loss = nn.cross_entropy(net(x), y)
        loss.backward()
        return loss, net.layers[0].weight.grad

    _, g = gradient(X, LABELS)
    nn.cross_entropy(net(X), LABELS).backward()
    assert_near(g.value, net.layers[0].weight.grad)


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "says"),
    [
        (lambda x: x if x.sum() > 0 else -x, "bool: this value is not known"),
        (lambda x: float(x.sum()), "float: this value is not known"),
        (lambda x: x.item(), "item: this value is not known"),
        (lambda x: x.value, "value: this value is not known"),
        (lambda x: np.asarray(x), "np.asarray: this value is not known"),
        (lambda x: [0, 1][x.argmax()], "index: this value is not known"),
    ],
)
def test_what_depends_on_data_is_refused_with_the_line(f, says):
    with pytest.raises(TraceError, match=rf"{says}.*test_compiled\.py:\d+"):
        compiled(f)(np.ones(1))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x @ np.ones((3, 3)),
        lambda x: x + np.ones(3),
        lambda x: x.reshape((3, 3)),
        lambda x: ad.sum(x, axis=5),
        lambda x: x[7],
        lambda x: nn.cross_entropy(x, np.zeros(3, int)),
        lambda x: nn.cross_entropy(x, np.zeros(5)),
    ],
)
def test_errors_are_those_of_the_function_itself(f):
    x = ad.constant(X)
    with pytest.raises(AdjointError) as eager:
        f(x)
    with pytest.raises(AdjointError) as native:
        compiled(f)(x)
    assert native.type is eager.type
    assert str(native.value) == str(eager.value)


@pytest.mark.parametrize("bad", [-1, 3, 2**40])
def test_labels_out_of_range_change_nothing(bad):
    net = network()
    opt = optim.Adam(net, lr=0.01)
    step = compiled(stepper(net, opt))
    for _ in range(2):
        step(X, LABELS)
    before = everything(net, opt)
    labels = LABELS.copy()
    labels[3] = bad
    with pytest.raises(LabelError, match=f"expected labels from 0 to 2 .*got {bad} at row 3") as native:
        step(X, labels)
    with pytest.raises(LabelError) as eager:
        stepper(net, opt)(X, labels)
    assert str(native.value) == str(eager.value)
    after = everything(net, opt)
    assert all(np.array_equal(after[path], value) for path, value in before.items())
    step(X, LABELS)
    assert opt.steps.item() == 3


def test_states_assigned_before_a_check_fails_keep_their_values():
    count = ad.State(np.zeros(3))

    @compiled
    def f(x, y):
        count.assign(count + 1.0)
        return nn.cross_entropy(x, y)

    f(X[:, :3], LABELS)
    with pytest.raises(LabelError):
        f(X[:, :3], np.full(5, 3))
    # The function itself runs to say what is wrong, and has assigned by then, as it does without the compiler.
    assert count.value[0] in (1.0, 2.0)


def test_indices_out_of_range():
    f = compiled(lambda x, i: ad.take(x, i, axis=0))
    assert_bits(f(X, np.array([4, -5])), X[[4, -5]])
    for bad in (5, -6):
        with pytest.raises(IndexError) as eager:
            f.__wrapped__(X, np.array([0, bad]))
        with pytest.raises(IndexError) as native:
            f(X, np.array([0, bad]))
        assert native.type is eager.type
        assert str(native.value) == str(eager.value)


def test_errors_while_tracing_leave_everything_as_it_was():
    net = network()
    opt = optim.SGD(net, lr=0.1, momentum=0.9)
    stepper(net, opt)(X, LABELS)
    before, gradient = everything(net, opt), net.layers[0].weight.grad.copy()

    @compiled
    def fails(x, y):
        stepper(net, opt)(x, y)
        raise KeyError("mine")

    for _ in range(2):
        with pytest.raises(KeyError, match="mine"):
            fails(X, LABELS)
    after = everything(net, opt)
    assert all(np.array_equal(after[path], value) for path, value in before.items())
    assert_bits(net.layers[0].weight.grad, gradient)
    assert fails.variants == []


@pytest.mark.parametrize("value", [0.0, np.zeros(3)])
def test_ctrl_c_comes_before_a_step_or_after_it(value, monkeypatch):
    """Where native code has ended, Python raises; by then states that hold Python numbers know the new ones, too."""
    w, count = ad.Parameter(value), ad.State(0.0)
    opt = optim.SGD([w], lr=0.5)

    @compiled
    def step():
        loss = ((w - 1.0) ** 2).sum()
        loss.backward()
        opt.step()
        count.assign(count + 1.0)

    step()
    native = step.variants[0].native
    run = native.run

    def interrupted(*arrays, **settings):
        run(*arrays, **settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(native, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        step()
    monkeypatch.undo()
    assert (count.item(), opt.steps.item()) == (2.0, 2)
    assert_bits(w.value, np.full(np.shape(value), 1.0))
    step()
    assert (count.item(), opt.steps.item()) == (3.0, 3)


def test_a_function_that_calls_itself():
    @compiled
    def power(x, n):
        return x if n == 1 else x * power(x, n - 1)

    with pytest.raises(TraceError, match="bool: this value is not known"):
        power(2.0, 3)
    whole = compiled(lambda x, n: x if n == 1 else x * whole(x, n - 1), static=("n",))
    assert whole(2.0, 5) == 32.0
    endless = compiled(lambda x: endless(x))
    with pytest.raises(RecursionError):
        endless(X)


def test_a_compiled_function_inside_a_compiled_function():
    inner = compiled(lambda x: ad.exp(x) + 1.0)
    assert_agree(compiled(lambda x: inner(x) * 2.0)(X), (np.exp(X) + 1) * 2)
    assert inner.variants == []


def test_shapes_are_traced_anew():
    f = compiled(lambda x: x.sum(axis=0) / x.shape[0])
    for n in (1, 5, 3):
        assert_near(f(X[:n]), X[:n].mean(axis=0))
    assert len(f.variants) == 3
    with pytest.raises(ShapeError):
        compiled(lambda x: x @ x)(X)
