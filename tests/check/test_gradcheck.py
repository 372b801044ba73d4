"""The check itself: it passes what is right, finds what is wrong, and tells a kink from a mistake."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import adjoint as ad
from adjoint import nn
from adjoint.errors import DTypeError, GradientCheckError, GradientError


class Cube(ad.Gate):
    """x³, written in operators, so that it can be differentiated again; `factor` is 3 when it is right."""

    factor = 3.0

    def forward(self, x: Any) -> Any:
        self.x = x
        return x * x * x

    def backward(self, upstream: Any) -> Any:
        return self.factor * self.x * self.x * upstream


class WrongCube(Cube):
    """A mistake of a thousandth of a per cent."""

    factor = 3.00003


def test_a_right_gradient_passes() -> None:
    report = ad.gradcheck(lambda x, y: ad.sum(ad.exp(x) * y), np.ones((2, 3)), np.arange(3.0))
    assert report.checked == 6 + 3 + 1
    assert report.skipped == ()
    assert report.relative_error < 1e-8
    assert str(report).startswith("gradcheck: 10 derivatives to order 1 agree with differences, largest relative error")


def test_every_order_is_checked() -> None:
    for order in (1, 2, 3):
        assert ad.gradcheck(lambda x: ad.sum(ad.sin(x)), np.ones(2), order=order).checked == 3 * order


@pytest.mark.parametrize("x", [2.0, np.float64(2.0), np.array(2.0), np.array([1.0, -2.0]), np.zeros((0, 3))], ids=repr)
def test_inputs_of_every_shape(x: Any) -> None:
    assert ad.gradcheck(lambda x: ad.tanh(x) * 2.0, x, order=2).checked >= 2


def test_results_in_containers() -> None:
    ad.gradcheck(lambda x: {"a": x * x, "b": [ad.exp(x), 3.0]}, np.array([1.0, 2.0]), order=2)


def test_arguments_in_containers_integers_and_constants_pass_unmoved() -> None:
    seen = []

    def f(tree: Any, n: int, labels: Any, c: Any) -> Any:
        seen.append((type(n), labels.dtype, c.item()))
        return tree["w"][0] ** n * c + ad.sum(tree["b"][labels])

    ad.gradcheck(f, {"w": [2.0], "b": np.ones(3)}, 3, np.array([0, 2, 2]), ad.constant(5.0), order=2)
    assert set(seen) == {(int, np.dtype(np.int64), 5.0)}


def test_tensors_are_points_too() -> None:
    x = ad.tensor([1.0, 2.0])
    ad.gradcheck(lambda x: ad.sum(x * x), x, order=2)
    assert x.grad is None


# --- mistakes are found ---------------------------------------------------------------------------------------------


def test_message_names_place_values_and_error() -> None:
    with pytest.raises(GradientCheckError) as caught:
        ad.gradcheck(lambda d: WrongCube()(d["x"]), {"x": np.array([[0.1, 2.0]])})
    said = str(caught.value)
    assert re.search(r"^gradcheck: 2 of 2 derivatives differ, at .*test_gradcheck\.py:\d+; the worst is the grad", said)
    assert re.search(r"by argument 0\['x'\]\[0, \d\]: analytic [-.\d]+, numerical [-.\d]+ \(± .*\)", said)
    assert re.search(r"relative error (9\.\d+e-06|1e-05), allowed 1e-06$", said)


def test_a_wrong_gradient_within_a_looser_tolerance_passes() -> None:
    assert ad.gradcheck(WrongCube(), np.array([1.0]), rtol=1e-4).relative_error > 1e-6


@pytest.mark.parametrize("bad", [0, 7, 149])
def test_one_wrong_element_among_many_is_found(bad: int) -> None:
    class Hidden(ad.Gate):
        def forward(self, x: Any) -> Any:
            return 2.0 * x

        def backward(self, upstream: Any) -> Any:
            right = 2.0 * upstream
            right[bad] *= 1.001
            return right

    with pytest.raises(GradientCheckError, match=rf"1 of 150 .*by argument 0\[{bad}\]:"):
        ad.gradcheck(Hidden(), np.linspace(-1.0, 1.0, 150))
    with pytest.raises(GradientCheckError, match="along random direction"):
        ad.gradcheck(Hidden(), np.linspace(-1.0, 1.0, 2000))


def test_a_lost_gradient_is_found() -> None:
    with pytest.raises(GradientCheckError, match="2 of 2 derivatives differ"):
        ad.gradcheck(lambda x: x * ad.stop_gradient(x), 3.0)
    with pytest.raises(GradientCheckError, match="derivatives differ"):
        ad.gradcheck(lambda x: 0.0 * x + float(x.detach()) ** 2, 3.0)


@pytest.mark.usefixtures("own_ops")
def test_a_wrong_second_derivative_is_found_at_order_2_only() -> None:
    @ad.custom_vjp
    def square(x: Any) -> Any:
        return x * x

    square.defvjp(lambda x: (x * x, x), lambda x, g: 2.0 * ad.stop_gradient(x) * g)
    ad.gradcheck(square, 3.0)
    with pytest.raises(GradientCheckError, match="gradient of the gradient by argument 0"):
        ad.gradcheck(square, 3.0, order=2)


@pytest.mark.usefixtures("own_ops")
def test_a_wrong_local_shows_in_vjp_and_jvp() -> None:
    @ad.elementwise(name="off_by_half")
    def off(m: Any, x: Any) -> Any:
        return m.exp(x)

    off.local(lambda m, out, x: out + 0.5)
    with pytest.raises(GradientCheckError, match=r"^gradcheck: 4 of 4 derivatives differ"):
        ad.gradcheck(off, np.array([0.1, 0.2, 0.3]))


def test_nan_is_a_difference() -> None:
    class Nan(Cube):
        factor = float("nan")

    with pytest.raises(GradientCheckError, match="analytic nan"):
        ad.gradcheck(Nan(), np.array([1.0, 2.0]))


# --- kinks ----------------------------------------------------------------------------------------------------------

KINKED: dict[str, tuple[Any, Any]] = {
    "relu": (ad.relu, np.array([0.0, 1.0, -1.0])),
    "maximum": (lambda x: ad.maximum(x, 1.0), np.array([0.0, 1.0, 2.0])),
    "minimum": (lambda x: ad.minimum(x, 1.0), np.array([0.0, 1.0, 2.0])),
    "clip": (lambda x: ad.clip(x, -1.0, 1.0), np.array([0.0, 1.0, 2.0])),
    "leaky_relu": (ad.leaky_relu, np.array([0.0, 1.0])),
    "elu": (lambda x: ad.elu(x, 2.0), np.array([0.0, 1.0])),
    "where": (lambda x: ad.where(x > 1.0, 2.0 * x, x + 1.0), np.array([0.0, 1.0])),
    "max": (ad.max, np.array([1.0, 1.0, 1.0, 0.0])),
    "floor": (ad.floor, np.array([1.0, 1.5])),
}


@pytest.mark.parametrize("name", KINKED)
def test_a_kink_is_skipped_by_name_and_the_rest_is_checked(name: str) -> None:
    f, x = KINKED[name]
    report = ad.gradcheck(f, x)
    assert any(f"crosses the kink of {name} at node" in reason for reason in report.skipped)
    assert all("test_gradcheck.py:" in reason for reason in report.skipped)
    assert report.checked >= 1
    assert "\n  skipped: gradient by " in str(report)


def test_a_kink_nearby_is_no_excuse() -> None:
    """Steps shrink until no kink is in between: right gradients are checked there, wrong ones found."""
    for distance in (1e-2, 1e-3, 1e-5):
        assert ad.gradcheck(lambda x: ad.relu(x) ** 2.0 + ad.relu(-x), distance).skipped == ()
        with pytest.raises(GradientCheckError):
            ad.gradcheck(lambda x: ad.relu(ad.stop_gradient(x) * x), distance)


def test_a_wrong_gradient_beside_a_kink_fails() -> None:
    """Element 0 sits at a kink, element 1 is wrong."""
    with pytest.raises(GradientCheckError, match=r"1 of 1 .*argument 0\[1\]"):
        ad.gradcheck(lambda x: ad.relu(x[0]) + WrongCube()(x[1]), np.array([0.0, 1.0]))


def test_a_python_branch_is_seen() -> None:
    report = ad.gradcheck(lambda x: x * 2.0 if x.detach() > 1.0 else x + 1.0, 1.0)
    assert all("takes another branch (a Python if?)" in reason for reason in report.skipped)


def test_near_the_edge_of_a_domain() -> None:
    """A wide step would leave the domain of log and sqrt."""
    ad.gradcheck(lambda x: ad.log(x) + ad.sqrt(x), np.array([1e-3, 1e-2]), order=2)


def test_wavy_and_large_functions() -> None:
    ad.gradcheck(lambda x: ad.sin(300.0 * x), np.array([0.3, 1.0]), order=2)
    ad.gradcheck(lambda x: ad.sum(1e8 + x * x), np.array([1e4, 1.0]))


# --- modules and parameters -----------------------------------------------------------------------------------------


def _net() -> nn.Sequential:
    rng = ad.random.Generator(0)
    return nn.Sequential(nn.Linear(3, 4, rng=rng), nn.Tanh(), nn.Linear(4, 2, rng=rng))


def test_a_module_is_checked_in_float64_and_put_back() -> None:
    net, x = _net(), np.random.default_rng(0).normal(size=(5, 3))
    before = {path: p.value for path, p in net.parameters().items()}
    report = ad.gradcheck(lambda net, x: ad.sum(net(x) ** 2.0), net, x, order=2)
    assert report.checked == 2 * (3 * 4 + 4 + 4 * 2 + 2 + x.size + 1)
    for path, p in net.parameters().items():
        assert p.dtype == np.float32
        np.testing.assert_array_equal(p.value, before[path])
        assert p.grad is None


def test_a_wrong_gradient_of_a_module_names_the_path_and_parameters_are_put_back() -> None:
    net, x = _net(), np.ones((2, 3))
    before = {path: p.value for path, p in net.parameters().items()}
    with pytest.raises(GradientCheckError, match=r"argument 0\['layers\.[02]\.(weight|bias)'\]\[\d"):
        ad.gradcheck(lambda net: ad.sum(WrongCube()(net(x)) + 0.0 * x[0, 0]), net)
    for path, p in net.parameters().items():
        np.testing.assert_array_equal(p.value, before[path], strict=True)


def test_parameters_are_put_back_after_an_error_of_the_function() -> None:
    p = ad.Parameter(np.ones(3, np.float32), name="w")

    def f(p: Any) -> Any:
        if p.value.max() > 1.0:
            raise ZeroDivisionError
        return ad.sum(p * p)

    with pytest.raises(ZeroDivisionError):
        ad.gradcheck(f, p)
    np.testing.assert_array_equal(p.value, np.ones(3, np.float32), strict=True)


def test_frozen_parameters_are_not_moved() -> None:
    net = _net()
    net.freeze("*")
    assert ad.gradcheck(lambda net, x: net(x), net, np.ones((1, 3))).checked == 4
    assert {p.dtype for p in net.parameters().values()} == {np.dtype(np.float32)}


# --- refusals -------------------------------------------------------------------------------------------------------


def test_float32_inputs_are_checked_in_float64() -> None:
    seen = set()

    def f(x: Any) -> Any:
        seen.add(x.dtype)
        return x * x

    assert ad.gradcheck(f, np.ones(3, np.float32)).relative_error < 1e-9
    assert seen == {np.dtype(np.float64)}


def test_a_cast_inside_is_refused() -> None:
    with pytest.raises(GradientCheckError, match=r"expected float64 .*, got float32 from cast, .*remove the cast"):
        ad.gradcheck(lambda x: ad.sum(x.astype("float32") * 2.0), np.ones(3))


@pytest.mark.parametrize("args", [(3,), (np.arange(3),), (True,), ()], ids=str)
def test_nothing_floating_is_refused(args: tuple[Any, ...]) -> None:
    with pytest.raises(DTypeError, match="gradcheck: expected an argument of floating numbers, got none"):
        ad.gradcheck(lambda *xs: xs, *args)


def test_complex_input_is_refused() -> None:
    with pytest.raises(DTypeError, match="expected real numbers"):
        ad.gradcheck(lambda x: x, np.ones(2) * 1j)


def test_a_random_function_is_refused() -> None:
    rng = ad.random.Generator(0)
    with pytest.raises(GradientCheckError, match="two runs at one point gave different results"):
        ad.gradcheck(lambda x: x * rng.normal(), 2.0)


def test_a_point_where_the_function_is_infinite_is_refused() -> None:
    with pytest.raises(GradientCheckError, match="not finite at this point"):
        ad.gradcheck(ad.log, 0.0)


@pytest.mark.parametrize("settings", [{"order": 0}, {"rtol": 0.0}], ids=str)
def test_wrong_settings(settings: dict[str, Any]) -> None:
    with pytest.raises(GradientCheckError, match="expected order ≥ 1 and rtol > 0"):
        ad.gradcheck(ad.exp, 1.0, **settings)


def test_a_gate_in_plain_numpy_is_checked_at_order_1_and_refuses_order_2() -> None:
    class Sine(ad.Gate):
        def forward(self, x: Any) -> Any:
            self.x = x
            return np.sin(np.array(x))

        def backward(self, upstream: Any) -> Any:
            return np.cos(np.array(self.x)) * upstream

    ad.gradcheck(Sine(), np.array([1.0, 2.0]))
    with pytest.raises(GradientError, match="Sine: a second derivative"):
        ad.gradcheck(Sine(), np.array([1.0, 2.0]), order=2)


def test_same_seed_same_report() -> None:
    def f(x: Any) -> Any:
        return ad.sum(ad.sigmoid(x))

    x = np.linspace(-1.0, 1.0, 300)
    assert ad.gradcheck(f, x, seed=3) == ad.gradcheck(f, x, seed=3)
