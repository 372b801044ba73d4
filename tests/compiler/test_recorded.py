"""Results of compiled functions get gradients: those that the function itself would give, of any order."""

import numpy as np
import pytest
from tests.compiler.agreement import assert_agree, assert_bits, assert_near

import adjoint as ad
from adjoint import nn, optim
from adjoint.compiler.compiled import compile as compiled
from adjoint.errors import GradientError
from adjoint.tensor import Constant, Tensor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 4))
LABELS = np.array([0, 2, 1, 2, 0])


def network(*, dropout=0.0):
    rng = ad.random.Generator(1)
    layers = [nn.Linear(4, 6, dtype="float64", rng=rng), nn.Tanh(), nn.Dropout(dropout, rng=rng)]
    return nn.Sequential(*layers, nn.Linear(6, 3, dtype="float64", rng=rng))


def gradients(net):
    return {path: np.array(p.grad) for path, p in net.parameters().items()}


def assert_same_gradients(net, twin):
    got, wanted = gradients(net), gradients(twin)
    assert got.keys() == wanted.keys()
    for path, g in wanted.items():
        assert_near(got[path], g, ulps=1e3)


def test_backward_outside_reaches_the_parameters():
    net, twin = network(), network()
    loss = compiled(lambda x, y: nn.cross_entropy(net(x), y))(X, LABELS)
    assert type(loss) is Tensor
    loss.backward()
    nn.cross_entropy(twin(X), LABELS).backward()
    assert_same_gradients(net, twin)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_the_forward_pass_compiled_and_the_rest_eager(dropout):
    """Training: the network is compiled, loss and update are not; masks of dropout are those of the forward pass."""
    net, twin = network(dropout=dropout), network(dropout=dropout)
    first, second = optim.Adam(net, lr=0.01), optim.Adam(twin, lr=0.01)
    f = compiled(lambda x: net(x))
    for _ in range(3):
        for scores, optimizer in ((f(X), first), (twin(X), second)):
            nn.cross_entropy(scores, LABELS).backward()
            optimizer.step()
        assert_same_gradients(net, twin)
    assert len(f.variants) == 1


def test_several_results_and_results_used_twice():
    net, twin = network(), network()

    def both(net, x):
        scores = net(x)
        return {"scores": scores, "size": (scores**2).sum(), "best": scores.argmax(axis=1)}

    f = compiled(lambda x: both(net, x))
    for found in (f(X), f(X)):
        assert type(found["best"]) is Constant
        (found["size"] * found["size"] + (found["scores"] * found["scores"]).sum()).backward()
        wanted = both(twin, X)
        (wanted["size"] * wanted["size"] + (wanted["scores"] * wanted["scores"]).sum()).backward()
        assert_same_gradients(net, twin)


def test_backward_twice_and_accumulated():
    net, twin = network(), network()
    loss, wanted = compiled(lambda x: (net(x) ** 2).mean())(X), (twin(X) ** 2).mean()
    for settings in ({}, {}, {"accumulate": True}, {"accumulate": True}):
        loss.backward(**settings)
        wanted.backward(**settings)
        assert_same_gradients(net, twin)


def test_what_is_assigned_between_call_and_backward_does_not_count():
    net, twin = network(), network()
    x = X.copy()
    f = compiled(lambda x: (net(x) ** 2).mean())
    loss, wanted = f(x), (twin(X) ** 2).mean()
    x[...] = 0.0
    for p in net.parameters().values():
        p.assign(p.value * 3.0)
    net.layers[1], net.training = nn.ReLU(), False
    loss.backward()
    wanted.backward()
    assert_same_gradients(net, twin)


def test_settings_changed_between_call_and_backward_do_not_count():
    net, twin = network(dropout=0.5), network(dropout=0.5)
    loss, wanted = compiled(lambda x: (net(x) ** 2).mean())(X), (twin(X) ** 2).mean()
    net.eval()
    loss.backward()
    wanted.backward()
    assert_same_gradients(net, twin)


def test_a_step_between_call_and_backward_does_not_count():
    net, twin = network(), network()
    optimizer = optim.SGD(net, lr=0.5)

    @compiled
    def step(x, y):
        loss = nn.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()

    f = compiled(lambda x: (net(x) ** 2).mean())
    step(X, LABELS)
    for path, p in twin.parameters().items():
        p.assign(net.parameters()[path].value)
    loss, wanted = f(X), (twin(X) ** 2).mean()
    for _ in range(3):
        step(X, LABELS)
    loss.backward()
    wanted.backward()
    assert_same_gradients(net, twin)


@pytest.mark.parametrize("value", [2.0, np.float32(2.0), [2.0, 3.0]])
def test_parameters_of_every_kind(value):
    w, twin = ad.Parameter(value, name="w"), ad.Parameter(value, name="w")
    unused = ad.Parameter(np.ones(3))
    result = compiled(lambda x: (w * x, unused * 1.0))(3.0)[0]
    result.sum().backward()
    (twin * 3.0).sum().backward()
    assert_bits(w.grad, twin.grad)
    assert unused.grad is None


def test_parameters_that_a_result_does_not_depend_on_get_none():
    w, v = ad.Parameter(np.ones(2)), ad.Parameter(np.ones(3))
    first, second = compiled(lambda: ((w * 2.0).sum(), (v * 3.0).sum()))()
    first.backward()
    assert_bits(w.grad, np.full(2, 2.0))
    assert v.grad is None
    second.backward()
    assert_bits(v.grad, np.full(3, 3.0))


def test_frozen_parameters_get_none():
    net = network()
    net.layers[0].weight.trainable = False
    compiled(lambda x: net(x).sum())(X).backward()
    assert net.layers[0].weight.grad is None
    assert net.layers[3].weight.grad is not None


def test_without_recording():
    net = network()
    f = compiled(net)
    with ad.no_grad():
        assert type(f(X)) is Constant
    assert type(f(X)) is Tensor
    with pytest.raises(GradientError), ad.no_grad():
        f(X).sum().backward()


def test_a_training_step_has_used_its_gradients_up():
    net = network()
    optimizer = optim.SGD(net, lr=0.1)

    @compiled
    def step(x, y):
        loss = nn.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    assert type(step(X, LABELS)) is Constant


# --- transforms -----------------------------------------------------------------------------------------------------


def curve(x):
    return (ad.sin(x) * ad.exp(x * 0.5)).sum()


def derivatives(f):
    """Everything that the transforms make of a function, at one point."""
    x, v = X[0], X[1]
    return {
        "grad": ad.grad(f)(x),
        "value and grad": ad.value_and_grad(f)(x),
        "jvp": ad.jvp(f, (x,), (v,)),
        "vjp": ad.vjp(f, x)[1](2.0),
        "hvp": ad.hvp(f, (x,), (v,)),
        "second": ad.grad(lambda x: ad.grad(f)(x) @ v)(x),
        "third": ad.grad(lambda x: ad.grad(lambda x: ad.grad(f)(x) @ v)(x) @ v)(x),
    }


def test_transforms_of_a_compiled_function():
    own = compiled(curve)
    assert_agree(derivatives(own), derivatives(curve))
    own(X[0])
    assert_agree(derivatives(own), derivatives(curve))


def test_compiled_derivatives():
    x, v = X[0], X[1]
    for _ in range(2):
        assert_near(compiled(ad.grad(curve))(x), ad.grad(curve)(x))
    assert_agree(compiled(ad.value_and_grad(curve))(x), ad.value_and_grad(curve)(x))
    second = ad.grad(lambda x: ad.grad(curve)(x) @ v)
    assert_near(compiled(second)(x), second(x))
    third = ad.grad(lambda x: second(x) @ v)
    assert_near(compiled(third)(x), third(x))
    assert_near(compiled(lambda x, v: ad.hvp(curve, (x,), (v,)))(x, v), ad.hvp(curve, (x,), (v,)))
    assert_near(compiled(lambda x, v: ad.jvp(curve, (x,), (v,))[1])(x, v), ad.jvp(curve, (x,), (v,))[1])
    assert_near(compiled(ad.grad(compiled(ad.grad(lambda x: ad.sin(x) * x))))(0.5), 2 * np.cos(0.5) - 0.5 * np.sin(0.5))


def test_arguments_that_get_a_gradient():
    net, twin = network(), network()
    f = compiled(lambda x: (net(x) ** 2).sum())
    x, y = ad.tensor(X), ad.tensor(X)
    f(X)
    f(x).backward()
    (twin(y) ** 2).sum().backward()
    assert_near(x.grad, y.grad, ulps=1e3)
    assert_same_gradients(net, twin)


def test_gradients_with_respect_to_a_module():
    net, twin = network(), network()
    got = ad.grad(compiled(lambda net, x: (net(x) ** 2).sum()))(net, X)
    wanted = ad.grad(lambda net, x: (net(x) ** 2).sum())(twin, X)
    assert_agree(got, wanted)
    found = compiled(ad.grad(lambda net: (net(X) ** 2).sum()))(net)
    assert found.keys() == wanted.keys()
    for path, g in wanted.items():
        assert_near(found[path].value, g, ulps=1e3)


def test_tensors_from_outside_get_gradients():
    """Tensors that a function finds outside are constants of the trace, and sources of its results."""
    x = ad.tensor(np.array([1.0, 2.0]), name="x")
    y = ad.exp(x)
    w = ad.Parameter(np.full(2, 3.0))
    f = compiled(lambda k: (y * w * k).sum())
    for _ in range(2):
        result = f(2.0)
        assert type(result) is Tensor
        result.backward()
        assert_near(x.grad, 6.0 * np.exp(x.value))
        assert_near(w.grad, 2.0 * np.exp(x.value))
    assert type(compiled(lambda k: ad.constant(2.0) * k)(X)) is Constant


def test_kinds_of_results_are_those_of_the_function():
    w = ad.Parameter(np.ones(4))

    def f(x, y):
        return x + 1.0, y * 1.0, x * w, w > 0.5, (x * w).detach(), ad.stop_gradient(w) + x, x > 0.0, w

    x, y = X[0], ad.constant(X[1])
    for got, wanted in zip(compiled(f)(x, y), f(x, y), strict=True):
        assert isinstance(got, Tensor) == isinstance(wanted, Tensor)
        assert getattr(got, "active", None) == getattr(wanted, "active", None)
