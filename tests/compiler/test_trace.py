"""Functions run without data: a trace computes the same as the function itself, and leaves nothing behind."""

import itertools

import numpy as np
import pytest

import adjoint as ad
from adjoint import nn, optim
from adjoint.abstract import Abstract
from adjoint.compiler.trace import Traced, trace
from adjoint.errors import GradientError, ImmutableError, ShapeError, TraceError
from adjoint.leaves import State
from adjoint.tensor import Tensor

X = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
Y = np.array([0, 2, 1, 2, 0])


def computed(traced: Traced, args):
    """The outputs and the new values of states, node by node with each op's own forward, in order of id."""
    held = {}
    for node, x in zip(traced.inputs, args, strict=True):
        held[node] = x
    for state, node in traced.states.items():
        held[node] = state._value
    ends = [*traced.outputs, *traced.assigned.values()]
    for node in sorted(below(ends), key=lambda t: t._id):
        if node not in held:
            held[node] = valued(node, held)
    return [held.get(x, x) if isinstance(x, Tensor) else x for x in ends]


def valued(node, held):
    if type(node._value) is not Abstract:
        return node._value
    if node._rule.op is None:  # a detached value, or a read after an assignment
        return held[node._inputs[-1]]
    values = [held[x] if isinstance(x, Tensor) else x for x in node._inputs]
    with np.errstate(all="ignore"):
        return node._rule.op.evaluate(values, node._params)


def below(ends):
    seen, stack = set(), [x for x in ends if isinstance(x, Tensor)]
    while stack:
        node = stack.pop()
        if node not in seen and not isinstance(node, State):
            seen.add(node)
            stack += [x for x in node._inputs if isinstance(x, Tensor)]
    return seen


def network(*hidden):
    sizes = [4, *hidden, 3]
    layers = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [nn.Linear(n_in, n_out, rng=ad.random.Generator(n_in)), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def stepper(make_optimizer, loss=nn.cross_entropy, penalty=0.0):
    net = network(6)
    opt = make_optimizer(net)

    def step(x, y):
        value = loss(net(x), y)
        objective = value + penalty * nn.l2(net) if penalty else value
        objective.backward()
        opt.step()
        return value

    return net, opt, step


OPTIMIZERS = {
    "sgd": lambda net: optim.SGD(net, lr=0.1),
    "momentum": lambda net: optim.SGD(net, lr=0.1, momentum=0.9),
    "nesterov": lambda net: optim.SGD(net, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "rmsprop": lambda net: optim.RMSprop(net, lr=0.01),
    "adam": lambda net: optim.Adam(net, lr=0.01),
}


@pytest.mark.parametrize("loss", [nn.cross_entropy, nn.hinge_loss])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_training_step_is_traced_whole(name, loss):
    """Forward, backward and update: what the trace computes is what the eager step does, to the last bit but sums."""
    _, _, step = stepper(OPTIMIZERS[name], loss, penalty=1e-3)
    traced = trace(step, (X, Y))
    loss_value, *after = computed(traced, (X, Y))
    expected = step(X, Y)
    np.testing.assert_allclose(loss_value, expected.value, rtol=1e-6)
    assert len(after) == len(traced.assigned)
    for state, value in zip(traced.assigned, after, strict=True):
        np.testing.assert_allclose(value, state.value, rtol=1e-5, atol=1e-7, err_msg=str(state.name))
        assert np.asarray(value).dtype == state.dtype


def test_a_trace_assigns_parameters_buffers_and_the_counter():
    net, opt, step = stepper(OPTIMIZERS["momentum"])
    traced = trace(step, (X, Y))
    expected = {*net.parameters().values(), opt.steps, *(s for held in opt.buffers.values() for s in held.values())}
    assert set(traced.assigned) == expected
    assert opt.lr in traced.states


def test_nothing_is_left_behind():
    net, opt, step = stepper(OPTIMIZERS["adam"])
    step(X, Y)
    before = net.arrays()
    gradients = {path: p.grad for path, p in net.parameters().items()}
    used = dict(opt._used)
    trace(step, (X, Y))
    assert all(np.array_equal(before[path], value) for path, value in net.arrays().items())
    for path, p in net.parameters().items():
        np.testing.assert_array_equal(p.grad, gradients[path])
    assert opt._used == used
    assert opt.steps.item() == 1
    with pytest.raises(GradientError, match="no parameter has a new gradient"):
        opt.step()


def test_an_error_leaves_nothing_behind_either():
    net, _, step = stepper(OPTIMIZERS["sgd"])
    step(X, Y)
    gradients = [p.grad for p in net.parameters().values()]

    def broken(x, y):
        step(x, y)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        trace(broken, (X, Y))
    for p, g in zip(net.parameters().values(), gradients, strict=True):
        np.testing.assert_array_equal(p.grad, g)
    assert step(X, Y).value < 10.0


def test_the_later_step_sees_what_the_earlier_one_assigned():
    _, _, step = stepper(OPTIMIZERS["momentum"])

    def twice(x, y):
        step(x, y)
        return step(x, y)

    traced = trace(twice, (X, Y))
    second, *after = computed(traced, (X, Y))
    np.testing.assert_allclose(second, twice(X, Y).value, rtol=1e-6)
    for state, value in zip(traced.assigned, after, strict=True):
        np.testing.assert_allclose(value, state.value, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: ad.grad(lambda v: ad.sum(ad.tanh(v) ** 3.0))(x),
        lambda x: ad.grad(lambda v: ad.sum(ad.grad(lambda u: ad.sum(ad.sin(u) * u))(v) ** 2.0))(x),
        lambda x: ad.jvp(lambda v: ad.exp(v).sum(axis=0), (x,), (np.ones_like(X),))[1],
        lambda x: ad.softmax(x[:, ::2] @ np.ones((2, 3), np.float32)).T,
    ],
    ids=["gradient", "gradient of a gradient", "tangent", "shapes"],
)
def test_transforms_inside_a_trace(f):
    (value,) = computed(trace(f, (X,)), (X,))
    expected = f(ad.constant(X))
    np.testing.assert_allclose(value, expected.value if isinstance(expected, Tensor) else expected, rtol=2e-5)


def test_random_draws_advance_their_counter():
    rng = ad.random.Generator(3)
    traced = trace(lambda x: x * rng.uniform((5, 4), dtype="float32") + rng.uniform((4,), dtype="float32"), (X,))
    value, counter = computed(traced, (X,))
    assert (int(counter), int(rng.counter.value)) == (2, 0)
    expected = X * rng.uniform((5, 4), dtype="float32").value + rng.uniform((4,), dtype="float32").value
    np.testing.assert_array_equal(value, expected)


def test_gradients_can_be_returned():
    w = ad.Parameter([1.0, 2.0, 3.0])

    def f(x):
        (w * w * x).sum().backward()
        return w.grad

    assert trace(f, (2.0,)).outputs[0].shape == (3,)
    (value,) = computed(trace(f, (2.0,)), (2.0,))
    np.testing.assert_array_equal(value, [4.0, 8.0, 12.0])
    assert w.grad is None


def test_a_tensor_from_outside_says_that_it_got_no_gradient():
    outside = ad.tensor([1.0, 2.0], name="outside")

    def f(x):
        w = ad.Parameter([1.0, 1.0])
        (outside * x * w).sum().backward()
        return x

    trace(f, (np.ones(2),))
    with pytest.raises(GradientError, match=r"computed no gradient for outside.*return it from the function"):
        _ = outside.grad


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda x: x if x.sum() > 0 else -x, "bool: this value is not known .*test_trace.py:.*ad.where"),
        (lambda x: x * float(x.sum()), "float: this value is not known"),
        (lambda x: ad.zeros(int(x.sum())), "int: .*a size or count must be known"),
        (lambda x: x.sum().item() * x, "item: this value is not known"),
        (lambda x: np.linalg.inv(np.asarray(x)), "np.asarray: this value is not known"),
        (lambda x: print(x), "str: .*print it outside"),
        (lambda x: f"{x.sum():.2f}", "item: this value"),
        (lambda x: x.value, "value: this value is not known"),
        (lambda x: trace(lambda y: y, (x,)), "compile: a trace is running already"),
    ],
)
def test_what_needs_a_value_says_what_to_write(f, message):
    with pytest.raises(TraceError, match=message):
        trace(f, (X,))


def test_a_state_has_no_value_inside_a_trace():
    rate = ad.State(0.1, name="rate")
    with pytest.raises(TraceError, match="item: this value is not known"):
        trace(lambda x: x * rate.item(), (X,))
    with pytest.raises(TraceError, match="value: this value is not known"):
        trace(lambda x: x * rate.value, (X,))
    (value,) = computed(trace(lambda x: x * rate, (X,)), (X,))
    assert value.dtype == np.float32


def test_a_setting_is_not_changed_inside_a_trace():
    class Counting(nn.Module):
        def __init__(self):
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            return x

    net = Counting()
    with pytest.raises(ImmutableError, match=r"Counting.calls = …: it would be set once.*ad.State"):
        trace(net, (X,))
    assert net.calls == 0


def test_a_module_may_be_made_inside_a_trace():
    assert trace(lambda x: nn.Sequential(nn.Dropout(0.0), nn.ReLU())(x), (X,)).outputs[0].shape == (5, 4)


def test_a_state_keeps_its_shape():
    state = ad.State(np.zeros(3), name="total")
    with pytest.raises(ShapeError, match=r"assign: expected shape \(3,\), got \(4,\) \(total\)"):
        trace(lambda x: state.assign(x[0]), (X,))


def test_a_plain_number_is_assigned():
    rate, weight = ad.State(0.1, name="rate"), ad.Parameter(np.ones(3, np.float32), name="weight")

    def f(x):
        rate.assign(0.5)
        weight.assign(np.zeros(3))
        loss = (weight * x * rate).sum()
        loss.backward()
        return loss, weight.grad

    traced = trace(f, (np.ones(3, np.float32),))
    assert (rate.item(), set(traced.assigned)) == (0.1, {rate, weight})
    loss, g, *after = computed(traced, (np.ones(3, np.float32),))
    assert (loss.item(), loss.dtype, g.tolist()) == (0.0, np.float32, [0.5, 0.5, 0.5])
    assert {s.name: np.asarray(v).tolist() for s, v in zip(traced.assigned, after, strict=True)} == {
        "rate": 0.5,
        "weight": [0.0, 0.0, 0.0],
    }


def test_an_assigned_rate_still_promotes_weakly():
    """A learning rate that is computed from an array scalar would else make a float32 network one of float64."""
    rate = ad.State(0.1, name="rate")

    def f(x, factor):
        rate.assign(rate * factor)
        return x * rate

    (out,) = trace(f, (X, np.float64(0.5))).outputs
    assert out.dtype == np.float32


def test_a_plain_gradient_is_summed_where_its_input_was_repeated():
    w = ad.Parameter(np.ones(3), name="w")

    def f(x):
        (w + x).backward(np.ones((2, 3)))
        return w.grad

    (g,) = computed(trace(f, (np.ones((2, 3)),)), (np.ones((2, 3)),))
    np.testing.assert_array_equal(g, [2.0, 2.0, 2.0])


@pytest.mark.parametrize("how", ["no_grad", "detach", "stop_gradient"])
def test_what_gets_no_gradient_is_traced_too(how):
    w = ad.Parameter([1.0, 2.0])

    def cut(x):
        if how == "no_grad":
            with ad.no_grad():
                return x * 3.0
        return (x * 3.0).detach() if how == "detach" else ad.stop_gradient(x * 3.0)

    def f(x):
        (cut(w * x) * w).sum().backward()
        return w.grad

    (g,) = computed(trace(f, (2.0,)), (2.0,))
    f(2.0)
    np.testing.assert_array_equal(g, w.grad)
    np.testing.assert_array_equal(g, [6.0, 12.0])


def test_containers_and_settings_as_arguments():
    traced = trace(lambda batch, how: batch["x"] * 2.0 if how == "double" else batch["x"], ({"x": X}, "double"))
    assert [node is None for node in traced.inputs] == [False, True]
    assert traced.outputs[0].shape == (5, 4)
    assert traced.outputs[0].dtype == np.float32


def test_a_number_promotes_weakly():
    (out,) = trace(lambda x, s: x * s, (X, 0.5)).outputs
    assert out.dtype == np.float32
    (out,) = trace(lambda s: s * 2.0, (0.5,)).outputs
    assert out._value == Abstract((), np.dtype(float), weak=True)


def test_what_depends_on_no_argument_is_computed_at_once():
    (out,) = trace(lambda x: ad.exp(ad.constant([0.0, 0.0])), (X,)).outputs
    np.testing.assert_array_equal(out.value, [1.0, 1.0])
