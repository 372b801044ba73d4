"""Taps: what a compiled function returns of its inside is what an eager run holds there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import adjoint as ad
from adjoint import nn, optim
from adjoint.compiler.compiled import Compiled
from adjoint.compiler.compiled import compile as compiled
from adjoint.compiler.segments import Segmented
from adjoint.compiler.taps import Statistics, Tap, tapped
from adjoint.errors import AdjointError, LabelError

X = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
Y = np.array([0, 2, 1, 2, 0, 1, 1, 0])
LAYERS = [f"net.layers.{i}" for i in range(4)]


class Stepper:
    """A small network with dropout, and a step that trains it."""

    def __init__(self) -> None:
        first, last = (nn.Linear(n, m, rng=ad.random.Generator(n)) for n, m in ((4, 6), (6, 3)))
        self.layers = [first, nn.ReLU(), nn.Dropout(0.5, rng=ad.random.Generator(3)), last]
        self.net = nn.Sequential(*self.layers)
        self.opt = optim.SGD(self.net, lr=0.1, momentum=0.9)

    def __call__(self, x: Any, y: Any) -> Any:
        """A step; its loss."""
        loss = nn.cross_entropy(self.net(x), y)
        loss.backward()
        self.opt.step()
        return loss

    def eagerly(self, x: Any, y: Any) -> dict[str, tuple[Any, Any]]:
        """A step layer by layer: values and gradients of each."""
        held = []
        for layer in self.layers:
            x = layer(x)
            held.append(x)
        nn.cross_entropy(x, y).backward()
        self.opt.step()
        return {name: (t.value, t.grad) for name, t in zip(LAYERS, held, strict=True)}

    def arrays(self) -> dict[str, Any]:
        """All that a step changes."""
        return self.net.arrays() | {path: s.value for path, s in self.opt.state().items()}


def assert_statistics(found: Statistics, array: Any) -> None:
    """The four numbers are NumPy's."""
    wide = np.asarray(array, np.float64)
    np.testing.assert_allclose(float(found.mean), np.mean(wide), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(float(found.spread), np.std(wide), rtol=1e-5, atol=1e-8)
    assert float(found.zeros) == np.mean(wide == 0.0)
    assert int(found.nonfinite) == np.sum(~np.isfinite(wide))


# --- statistics -------------------------------------------------------------------------------------------------------


def test_statistics_of_every_module_call_are_those_of_an_eager_step() -> None:
    """Values and gradients, with dropout inside: draws are the same in both engines."""
    step, eager = Stepper(), Stepper()
    run = tapped(step)
    for _ in range(3):
        _, taps = run(X, Y)
        expected = eager.eagerly(X, Y)
        assert list(taps) == LAYERS
        for name, (value, gradient) in expected.items():
            assert_statistics(taps[name].value, value)
            assert_statistics(taps[name].gradient, gradient)
    assert len(run.variants) == 1


def test_a_tapped_step_does_what_a_plain_one_does() -> None:
    step, plain = Stepper(), Stepper()
    run, expected = tapped(step), compiled(plain)
    for _ in range(3):
        loss, _ = run(X, Y)
        np.testing.assert_allclose(loss.value, expected(X, Y).value, rtol=1e-6)
    for path, array in step.arrays().items():
        np.testing.assert_allclose(array, plain.arrays()[path], rtol=1e-5, atol=1e-7, err_msg=path)
    assert step.opt.steps.item() == 3


def test_plain_and_tapped_steps_take_turns() -> None:
    step, eager = Stepper(), Stepper()
    plain, run = compiled(step), tapped(step)
    for i in range(6):
        loss = run(X, Y)[0] if i % 3 == 0 else plain(X, Y)
        np.testing.assert_allclose(loss.value, eager(X, Y).value, rtol=1e-5)
    assert not isinstance(run.variants[0].native, Segmented)


def test_a_tap_has_arrays_if_asked() -> None:
    step, eager = Stepper(), Stepper()
    _, taps = tapped(step, statistics=False)(X, Y)
    for name, (value, gradient) in eager.eagerly(X, Y).items():
        np.testing.assert_allclose(taps[name].value, value, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(taps[name].gradient, gradient, rtol=1e-5, atol=1e-6)
        assert np.asarray(taps[name].value).dtype == np.float32


def test_without_a_backward_pass_there_are_no_gradients() -> None:
    net = nn.Sequential(nn.Linear(4, 3))
    scores, taps = tapped(net)(X)
    assert taps["net.layers.0"].gradient is None
    assert_statistics(taps["net.layers.0"].value, scores.value)


def test_numbers_that_are_not_finite_are_counted() -> None:
    def f(x: Any) -> Any:
        return ad.log(ad.constant(x, name="data") if isinstance(x, np.ndarray) else x.named("data"))

    x = np.array([[1.0, 0.0], [-1.0, 2.0]])
    _, taps = tapped(f, "log")(x)
    assert int(taps["log"].value.nonfinite) == 2
    assert np.isnan(float(taps["log"].value.mean))


def test_whole_numbers_and_booleans() -> None:
    def f(x: Any) -> Any:
        return ad.argmax(x, axis=1), x > 0.0

    (best, positive), taps = tapped(f, lambda node: True)(X)
    assert_statistics(taps["argmax"].value, best)
    assert_statistics(taps["greater"].value, positive)
    _, arrays = tapped(f, "argmax", statistics=False)(X)
    np.testing.assert_array_equal(arrays["argmax"].value, best)


def test_a_scalar_and_its_seed() -> None:
    w = ad.Parameter(2.0, name="w")

    def f(x: Any) -> Any:
        loss = (w * x).named("loss")
        loss.backward()
        return loss

    _, taps = tapped(f, "loss")(np.array(3.0))
    assert [float(x) for x in taps["loss"].value] == [6.0, 0.0, 0.0, 0.0]
    assert [float(x) for x in taps["loss"].gradient] == [1.0, 0.0, 0.0, 0.0]


# --- what is selected -------------------------------------------------------------------------------------------------


class Normalised(nn.Module):
    """Running means beside the result: the assignment comes last, and is not the result of the call."""

    def __init__(self) -> None:
        self.running = ad.State(np.zeros(4), name="running")

    def forward(self, x: Any) -> Any:
        """x without its mean."""
        middle = x.mean(axis=0)
        shifted = x - middle
        self.running.assign(self.running * 0.9 + middle * 0.1)
        return shifted


def test_what_a_module_assigns_is_not_its_result() -> None:
    layer = Normalised()
    result, taps = tapped(layer, statistics=False)(X.astype(np.float64))
    assert list(taps) == ["normalised"]
    np.testing.assert_array_equal(np.asarray(taps["normalised"].value), np.asarray(result))
    assert layer.running.value.any()


def test_a_module_that_is_called_twice_has_two_taps() -> None:
    layer = nn.Linear(4, 4)
    result, taps = tapped(lambda x: layer(layer(x)), statistics=False)(X)
    assert list(taps) == ["linear", "linear 2"]
    np.testing.assert_array_equal(np.asarray(taps["linear 2"].value), result.value)


@pytest.mark.parametrize(
    ("select", "names"),
    [
        ("net.layers.1", ["net.layers.1"]),
        ("net.layers.[03]", ["net.layers.0", "net.layers.3"]),
        (["relu", "loss"], ["net.layers.1", "loss"]),
        ("matmul", ["net.layers.0.matmul", "net.layers.3.matmul"]),
        (lambda node: node.shape == (8, 6) and node.scope == "net.layers.0", ["net.layers.0.matmul", "net.layers.0"]),
    ],
)
def test_selection(select: Any, names: list[str]) -> None:
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 3))
    _, taps = tapped(lambda x, y: nn.cross_entropy(net(x), y).named("loss"), select)(X, Y)
    assert list(taps) == names


def test_nothing_selected() -> None:
    step = Stepper()
    with pytest.raises(AdjointError, match=r"taps: expected to select a node, got none for \('conv\*',\)") as caught:
        tapped(step, "conv*")(X, Y)
    assert f"module calls: {', '.join(LAYERS)}; names: none; ops: add, " in str(caught.value)
    with pytest.raises(AdjointError, match="module calls: none; names: none; ops: exp"):
        tapped(lambda x: ad.exp(x))(X)
    assert step.opt.steps.item() == 0


# --- the function as it is --------------------------------------------------------------------------------------------


def test_a_compiled_function_keeps_its_settings() -> None:
    @compiled(static=("n",))
    def power(x: Any, n: int) -> Any:
        for _ in range(n):
            x = x * x
        return x

    run = tapped(power, "multiply")
    assert isinstance(run, Compiled)
    result, taps = run(X, n=3)
    assert list(taps) == ["multiply", "multiply 2", "multiply 3"]
    np.testing.assert_allclose(result, X**8, rtol=1e-5)
    assert run.name == "power"
    assert power.variants == []


def test_results_keep_their_structure() -> None:
    result, taps = tapped(lambda x: {"a": [ad.exp(x), 2.0], "b": None}, "exp")(X)
    assert result["a"][1] == 2.0
    assert result["b"] is None
    assert isinstance(taps["exp"], Tap)


def test_errors_are_those_of_the_function() -> None:
    step = Stepper()
    run = tapped(step)
    before = step.arrays()
    with pytest.raises(LabelError, match="expected labels from 0 to 2"):
        run(X, Y + 5)
    for path in ("layers.0.weight", "layers.3.bias"):
        np.testing.assert_array_equal(step.arrays()[path], before[path])


def test_an_eager_run_has_taps_too() -> None:
    """A Tensor that gets a gradient: the function itself runs."""
    net, x = nn.Sequential(nn.Linear(4, 3), nn.ReLU()), ad.tensor(X)
    result, taps = tapped(net)(x)
    result.sum().backward()
    assert x.grad is not None
    assert_statistics(taps["net.layers.1"].value, result.value)
