"""Transforms: gradients, tangents and their nestings against closed forms; containers, arguments, cuts, and errors."""

import math
import re

import numpy as np
import pytest
from scipy import linalg, optimize

import adjoint as ad

X = np.array([0.5, -1.5, 2.0])


class Net:
    """The smallest thing with named parameters."""

    def __init__(self):
        self.w = ad.Parameter([1.0, -2.0, 3.0], name="w")
        self.b = ad.Parameter(0.5, name="b")

    def parameters(self):
        return {"w": self.w, "layer.b": self.b}

    def __call__(self, x):
        return (self.w * x).sum() + self.b


# --- numbers --------------------------------------------------------------------------------------------------------


def test_orders_one_to_four_of_a_polynomial():
    f = lambda x: x**5 - 2.0 * x  # noqa: E731 (a formula)
    derivatives = []
    for _ in range(4):
        f = ad.grad(f)
        derivatives.append(f(2.0))
    assert derivatives == [78.0, 160.0, 240.0, 240.0]


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_the_kth_derivative_of_a_sine(k):
    f = np.sin
    for _ in range(k):
        f = ad.grad(f)
    assert math.isclose(f(0.7), math.sin(0.7 + k * math.pi / 2), rel_tol=1e-12)


def test_the_gradient_of_the_rosenbrock_function_is_scipys():
    def rosen(x):
        return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()

    value, gradient = ad.value_and_grad(rosen)(X)
    np.testing.assert_allclose(value, optimize.rosen(X))
    np.testing.assert_allclose(gradient, optimize.rosen_der(X))
    np.testing.assert_allclose(np.asarray(ad.hessian(rosen)(X)), optimize.rosen_hess(X))
    np.testing.assert_allclose(ad.hvp(rosen, (X,), (X,)), optimize.rosen_hess_prod(X, X))


def test_a_quadratic_form():
    A = np.arange(9.0).reshape(3, 3)
    f = lambda x: x @ A @ x  # noqa: E731
    np.testing.assert_allclose(ad.grad(f)(X), (A + A.T) @ X)
    np.testing.assert_allclose(ad.hvp(f, (X,), (np.ones(3),)), (A + A.T) @ np.ones(3))


def test_vjp_and_jvp_of_a_linear_map_are_its_matrix_and_transpose():
    A = np.arange(6.0).reshape(2, 3)
    out, pull = ad.vjp(lambda x: A @ x, X)
    np.testing.assert_allclose(out, A @ X)
    np.testing.assert_allclose(pull(np.array([1.0, 10.0]))[0], A.T @ [1.0, 10.0])
    np.testing.assert_allclose(pull(np.array([0.0, 1.0]))[0], A[1])
    out, tangent = ad.jvp(lambda x: A @ x, (X,), (np.ones(3),))
    np.testing.assert_allclose(tangent, A.sum(1))


def test_plain_arguments_give_plain_results():
    for result in (
        ad.grad(lambda x: x * x)(3.0),
        ad.jvp(lambda x: x * x, (3.0,), (1.0,))[1],
        ad.vjp(lambda x: x * x, 3.0)[1](1.0)[0],
    ):
        assert type(result) is float
    assert type(ad.grad(lambda x: (x * x).sum())(X)) is np.ndarray
    assert ad.grad(lambda x: (x * x).sum())(X.astype(np.float32)).dtype == np.float32


def test_results_are_the_callers_own():
    gradient = ad.grad(lambda x: x.sum())(X)
    gradient[:] = 7.0
    np.testing.assert_array_equal(X, [0.5, -1.5, 2.0])
    out, _ = ad.vjp(lambda x: x, X)
    out[:] = 7.0
    np.testing.assert_array_equal(X, [0.5, -1.5, 2.0])


def test_a_result_that_does_not_depend_on_the_argument_has_gradient_zero():
    assert ad.grad(lambda x: 3.0)(2.0) == 0.0
    assert ad.grad(lambda x, y: y * y, argnums=0)(2.0, 3.0) == 0.0
    assert ad.jvp(lambda x: 3.0, (2.0,), (1.0,)) == (3.0, 0.0)
    assert ad.grad(ad.grad(lambda x: 2.0 * x))(1.0) == 0.0
    np.testing.assert_array_equal(ad.vjp(lambda x: np.ones(2), X)[1](np.ones(2))[0], np.zeros(3))


def test_the_identity_and_an_argument_returned_as_it_came():
    assert ad.grad(lambda x: x)(2.0) == 1.0
    assert ad.jvp(lambda x, y: (y, x), (2.0, 3.0), (1.0, 10.0)) == ((3.0, 2.0), (10.0, 1.0))


# --- containers -----------------------------------------------------------------------------------------------------


def test_dicts_lists_and_tuples_nest():
    params = {"a": 2.0, "rest": [X, (3.0, {"deep": np.ones(2)})]}

    def f(p):
        x, (c, d) = p["rest"]
        return p["a"] * (x * x).sum() + c * d["deep"].sum()

    gradient = ad.grad(f)(params)
    assert gradient["a"] == (X * X).sum()
    assert isinstance(gradient["rest"], list)
    assert isinstance(gradient["rest"][1], tuple)
    np.testing.assert_allclose(gradient["rest"][0], 4.0 * X)
    assert gradient["rest"][1][0] == 2.0
    np.testing.assert_allclose(gradient["rest"][1][1]["deep"], [3.0, 3.0])


def test_containers_in_second_order():
    f = lambda p: p["x"] ** 2 * p["y"][0]  # noqa: E731
    at = {"x": 3.0, "y": [5.0]}
    assert ad.hvp(f, (at,), ({"x": 1.0, "y": [0.0]},)) == {"x": 10.0, "y": [6.0]}
    H = ad.hessian(f)(at)
    blocks = [H["x"]["x"], H["x"]["y"][0], H["y"][0]["x"], H["y"][0]["y"][0]]
    assert [float(block.todense()) for block in blocks] == [10.0, 6.0, 6.0, 0.0]


def test_containers_as_results():
    out, pull = ad.vjp(lambda x: {"s": x.sum(), "d": [2.0 * x]}, X)
    assert out["s"] == X.sum()
    np.testing.assert_allclose(pull({"s": 1.0, "d": [np.ones(3)]})[0], [3.0, 3.0, 3.0])
    _, tangent = ad.jvp(lambda x: {"s": x.sum(), "d": [2.0 * x]}, (X,), (np.ones(3),))
    assert tangent["s"] == 3.0
    np.testing.assert_allclose(tangent["d"][0], [2.0, 2.0, 2.0])


def test_empty_containers_and_none_pass_through():
    assert ad.grad(lambda p: p["x"] * 2.0)({"x": 1.0, "none": None, "empty": []}) == {
        "x": 2.0,
        "none": None,
        "empty": [],
    }


def test_the_gradient_of_a_module_is_a_dict_by_path():
    net = Net()
    value, gradient = ad.value_and_grad(lambda n, x: n(x) ** 2)(net, X)
    assert value == net(X).item() ** 2
    assert set(gradient) == {"w", "layer.b"}
    np.testing.assert_allclose(gradient["w"], 2 * net(X).item() * X)
    assert gradient["layer.b"] == 2 * net(X).item()
    assert net.w.grad is None


def test_a_module_in_a_container_and_beside_other_arguments():
    net = Net()
    gradient = ad.grad(lambda p, x: (p["net"](x) * p["c"]).sum(), argnums=(0, 1))({"net": net, "c": 2.0}, X)
    np.testing.assert_allclose(gradient[0]["net"]["w"], 2.0 * X)
    assert gradient[0]["c"] == net(X).item()
    np.testing.assert_allclose(gradient[1], 2.0 * net.w.value)


def test_second_derivatives_of_a_module():
    net = Net()
    loss = lambda n: n(X) ** 2  # noqa: E731
    tangent = {"w": np.ones(3), "layer.b": 1.0}
    product = ad.hvp(loss, (net,), (tangent,))
    np.testing.assert_allclose(product["w"], 2.0 * X * (X.sum() + 1.0))
    np.testing.assert_allclose(product["layer.b"], 2.0 * (X.sum() + 1.0))
    norm = lambda n: sum((g * g).sum() for g in ad.grad(loss)(n).values())  # noqa: E731
    np.testing.assert_allclose(ad.grad(norm)(net)["layer.b"], 8.0 * net(X).item() * ((X * X).sum() + 1.0))


def test_a_frozen_parameter_is_left_out_of_a_modules_gradient():
    net = Net()
    net.b.trainable = False
    assert set(ad.grad(lambda n: n(X))(net)) == {"w"}


def test_a_parameter_as_an_argument():
    w = ad.Parameter(3.0)
    assert ad.grad(lambda p: p * p)(w) == 6.0
    assert ad.grad(lambda p: w * p)(w) == 6.0
    assert ad.grad(lambda p: p)(w) == 1.0
    assert ad.jvp(lambda p: p * 1.0, (w,), (2.0,)) == (3.0, 2.0)


def test_a_parameter_that_is_closed_over_is_a_constant_of_the_transform():
    w = ad.Parameter(3.0)
    assert ad.grad(lambda x: w * x * x)(2.0) == 12.0
    assert w.grad is None


def test_networks_of_the_library_are_modules_too():
    net = ad.nn.Sequential(
        ad.nn.Linear(3, 4, rng=ad.random.Generator(0)), ad.nn.Tanh(), ad.nn.Linear(4, 1, rng=ad.random.Generator(1))
    )
    x = np.ones((2, 3), np.float32)
    gradient = ad.grad(lambda n: n(x).sum())(net)
    assert set(gradient) == set(net.parameters())
    net(x).sum().backward()
    for path, parameter in net.parameters().items():
        np.testing.assert_allclose(gradient[path], parameter.grad, rtol=1e-6)


# --- arguments ------------------------------------------------------------------------------------------------------


def f3(x, y, z=1.0, *, scale=1.0):
    return scale * x * y**2 * z**3


def test_argnums_chooses_and_a_sequence_gives_a_tuple():
    assert ad.grad(f3)(2.0, 3.0, 1.0) == 9.0
    assert ad.grad(f3, 1)(2.0, 3.0, 1.0) == 12.0
    assert ad.grad(f3, -1)(2.0, 3.0, 1.0) == 54.0
    assert ad.grad(f3, argnums=(0, 2))(2.0, 3.0, 1.0) == (9.0, 54.0)
    assert ad.grad(f3, argnums=[2, 0])(2.0, 3.0, 1.0) == (54.0, 9.0)
    assert ad.grad(f3, argnums=(1,))(2.0, 3.0, 1.0) == (12.0,)


def test_other_arguments_may_be_anything():
    f = lambda x, mode, labels: x * (2.0 if mode == "double" else 1.0) * labels.sum()  # noqa: E731
    assert ad.grad(f)(3.0, "double", np.array([1, 2])) == 6.0


def test_settings_by_keyword_are_passed_on():
    assert ad.grad(f3)(2.0, 3.0, z=2.0, scale=10.0) == 720.0
    assert ad.value_and_grad(f3)(2.0, 3.0, scale=10.0) == (180.0, 90.0)
    assert ad.jacobian(f3)(2.0, 3.0, scale=10.0).todense() == 90.0


def test_argnums_out_of_range_is_said():
    with pytest.raises(TypeError, match=re.escape("grad: expected an argument at position 2 (argnums), got 1 of them")):
        ad.grad(lambda x: x, argnums=2)(1.0)


def test_aux_comes_back_as_plain_values():
    f = lambda x: ((x * x).sum(), {"doubled": 2.0 * x, "text": "as it is"})  # noqa: E731
    gradient, aux = ad.grad(f, has_aux=True)(X)
    np.testing.assert_allclose(gradient, 2 * X)
    np.testing.assert_allclose(aux["doubled"], 2 * X)
    assert type(aux["doubled"]) is np.ndarray
    assert aux["text"] == "as it is"
    (value, aux), gradient = ad.value_and_grad(f, has_aux=True)(X)
    assert value == (X * X).sum()


def test_aux_without_a_pair_is_said():
    with pytest.raises(TypeError, match=re.escape("expected (output, aux) from the function because has_aux=True")):
        ad.grad(lambda x: x * x, has_aux=True)(1.0)


# --- Tensors in, Tensors out ----------------------------------------------------------------------------------------


def test_a_tensor_argument_gives_a_gradient_with_a_history():
    x = ad.tensor(3.0)
    gradient = ad.grad(lambda t: t**3)(x)
    assert isinstance(gradient, ad.Tensor)
    gradient.backward()
    assert (gradient.item(), x.grad) == (27.0, 18.0)


def test_a_constant_gradient_of_a_tensor_is_a_tensor_too():
    x = ad.tensor(3.0)
    tangent = ad.jvp(lambda t: 2.0 * t, (x,), (1.0,))[1]
    for gradient in (ad.grad(lambda t: 2.0 * t)(x), ad.grad(lambda t: 5.0)(x), tangent):
        assert isinstance(gradient, ad.Tensor)
        assert not gradient.active
    assert ad.grad(lambda x: (x * ad.grad(lambda y: 2.0 * y)(x)).sum())(3.0) == 2.0


def test_a_tensor_that_is_closed_over_is_not_lost_in_a_nested_gradient():
    outer = lambda y: ad.grad(lambda x: x * x * y)(2.0)  # noqa: E731
    assert ad.grad(outer)(3.0) == 4.0
    y = ad.tensor(3.0)
    x = ad.tensor(2.0)
    ad.grad(lambda t: t * t * y)(x).backward()
    assert y.grad == 4.0


def test_a_tensor_closed_over_in_eager_code_is_a_constant_of_a_plain_gradient():
    y = ad.tensor(3.0)
    assert ad.grad(lambda x: x * x * y)(2.0) == 12.0
    assert y.grad is None


def test_a_pull_made_outside_can_be_differentiated_by_its_cotangent():
    _, pull = ad.vjp(lambda x: x * x, 2.0)
    assert ad.grad(lambda g: pull(g)[0])(1.0) == 4.0
    g = ad.tensor(1.0)
    pull(g)[0].backward()
    assert g.grad == 4.0


def test_a_tangent_that_is_a_tensor_keeps_its_history():
    t = ad.tensor(5.0)
    _, tangent = ad.jvp(lambda x: x * x, (3.0,), (t,))
    tangent.backward()
    assert (tangent.item(), t.grad) == (30.0, 6.0)


# --- mixed modes ----------------------------------------------------------------------------------------------------


def cubic(x):
    return (x**3).sum() + x[0] * x[1]


H = np.diag(6.0 * X) + np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
V = np.array([1.0, -1.0, 0.5])


def test_forward_over_reverse():
    np.testing.assert_allclose(ad.jvp(ad.grad(cubic), (X,), (V,))[1], H @ V)
    np.testing.assert_allclose(ad.hvp(cubic, (X,), (V,)), H @ V)


def test_reverse_over_forward():
    np.testing.assert_allclose(ad.grad(lambda x: ad.jvp(cubic, (x,), (V,))[1])(X), H @ V)


def test_reverse_over_reverse():
    np.testing.assert_allclose(ad.grad(lambda x: (ad.grad(cubic)(x) * V).sum())(X), H @ V)


def test_forward_over_forward():
    inner = lambda x: ad.jvp(cubic, (x,), (V,))[1]  # noqa: E731
    np.testing.assert_allclose(ad.jvp(inner, (X,), (V,))[1], V @ H @ V)


def test_vjp_of_a_gradient_and_gradient_of_a_vjp():
    np.testing.assert_allclose(ad.vjp(ad.grad(cubic), X)[1](V)[0], H @ V)
    np.testing.assert_allclose(ad.grad(lambda x: (ad.vjp(cubic, x)[1](1.0)[0] * V).sum())(X), H @ V)


def test_perturbations_are_not_confused():
    """d/dx x·(d/dy (x + y)) is 1 (J. Siskind and B. Pearlmutter, "Perturbation confusion", 2005)."""
    assert ad.grad(lambda x: x * ad.grad(lambda y: x + y)(1.0))(1.0) == 1.0
    forward = lambda f, x: ad.jvp(f, (x,), (1.0,))[1]  # noqa: E731
    assert forward(lambda x: x * forward(lambda y: x + y, 1.0), 1.0) == 1.0
    assert ad.grad(lambda x: x * forward(lambda y: x + y, 1.0))(1.0) == 1.0
    assert forward(lambda x: x * ad.grad(lambda y: x + y)(1.0), 1.0) == 1.0


def test_perturbations_are_not_confused_at_the_same_point():
    assert ad.grad(lambda x: x * ad.grad(lambda y: x * y)(x))(3.0) == 6.0
    assert ad.grad(lambda x: ad.grad(lambda x: x**3)(x) * x)(2.0) == 36.0


# --- cuts -----------------------------------------------------------------------------------------------------------


def test_stop_gradient_and_detach_cut_in_every_mode():
    for cut in (ad.stop_gradient, lambda t: t.detach()):
        f = lambda x, cut=cut: x * cut(x * x)  # noqa: E731
        assert ad.grad(f)(3.0) == 9.0
        assert ad.jvp(f, (3.0,), (1.0,))[1] == 9.0
        assert ad.grad(ad.grad(f))(3.0) == 0.0


def test_control_flow_may_look_at_comparisons_and_cut_values():
    def f(x):
        steps = 0
        while x < 100.0:
            x = x * x
            steps += 1
        assert steps == 3
        return x if float(ad.stop_gradient(x)) > 0 else -x

    assert ad.grad(f)(3.0) == 8 * 3.0**7


def test_random_draws_are_constants_and_scaling_them_is_not():
    def f(mu, sigma):
        return (mu + sigma * ad.random.Generator(3).normal((4,))).sum()

    draws = ad.random.Generator(3).normal((4,)).value
    mu, sigma = ad.grad(f, (0, 1))(0.0, 1.0)
    assert mu == 4.0
    np.testing.assert_allclose(sigma, draws.sum())


# --- what would lose a gradient raises ------------------------------------------------------------------------------

LOST = {
    "asarray": lambda x: np.asarray(x).sum(),
    "array": lambda x: np.array(x).sum(),
    "float": lambda x: float(x[0]),
    "int": lambda x: int(x[0]),
    "item": lambda x: x[0].item(),
    "numpy": lambda x: x.numpy().sum(),
    "tolist": lambda x: x.tolist()[0],
    "bool": lambda x: 1.0 if x[0] else 0.0,
    "format": lambda x: float(f"{x[0]:.3f}"),
    "a function that is not known": lambda x: np.cumsum(x)[0],
    "a ufunc that is not known": lambda x: np.spacing(x).sum(),
    "a method that is not known": lambda x: np.multiply.outer(x, x).sum(),
    "out": lambda x: np.multiply(x, x, out=np.zeros(3)).sum(),
    "scipy": lambda x: linalg.inv(np.eye(3) * x[0])[0, 0],
    "scipy of the array": lambda x: linalg.norm(x),
    "tensor": lambda x: ad.tensor(x).sum(),
    "constant": lambda x: ad.constant(x).sum(),
    "tensor of a list": lambda x: ad.tensor([x[0], 1.0]).sum(),
    "Parameter": lambda x: ad.Parameter(x).sum(),
    "DLPack": lambda x: np.from_dlpack(x).sum(),
}


@pytest.mark.parametrize("how", LOST)
@pytest.mark.parametrize("transform", [ad.grad, ad.jacobian, lambda f: lambda x: ad.jvp(f, (x,), (x,))])
def test_inside_a_transform_leaving_the_graph_raises(how, transform):
    with pytest.raises(ad.errors.GradientError, match="gradient would be lost"):
        transform(LOST[how])(X)


def test_assigning_into_an_array_inside_a_transform_raises():
    def f(x):
        y = np.zeros(3)
        y[0] = x[0]
        return y.sum()

    with pytest.raises(ValueError, match="setting an array element") as caught:  # NumPy's words, ours are the cause
        ad.grad(f)(X)
    assert "gradient would be lost" in str(caught.value.__cause__)
    assert f(ad.tensor(X)) == 0.5


@pytest.mark.parametrize("how", [h for h in LOST if h != "out"])
def test_outside_a_transform_leaving_the_graph_gives_values(how):
    np.testing.assert_allclose(float(LOST[how](ad.tensor(X))), float(LOST[how](ad.constant(X))), rtol=1e-12)


def test_inside_a_transform_constants_may_leave():
    c = ad.constant([1.0, 2.0])
    assert ad.grad(lambda x: x * float(c[0]) * np.asarray(c).sum() * np.cumsum(c)[-1])(1.0) == 9.0


def test_a_number_made_from_the_value_property_is_on_the_users_own_word():
    assert ad.grad(lambda x: x * x.value.item())(3.0) == 3.0


# --- errors ---------------------------------------------------------------------------------------------------------


def test_complex_arguments_and_results_are_refused_in_words():
    with pytest.raises(
        ad.errors.DTypeError, match="grad: expected real numbers, got complex128; gradients here are of real"
    ):
        ad.grad(lambda x: x)(1j)
    with pytest.raises(ad.errors.DTypeError, match="multiply: expected real numbers, got complex128"):
        ad.grad(lambda x: (x * np.array([1j])).sum())(2.0)
    with pytest.raises(ad.errors.DTypeError, match="expected real numbers, got complex128"):
        ad.grad(lambda x: x * 1j)(2.0)
    with pytest.raises(ad.errors.DTypeError, match="grad: expected real numbers, got complex128"):
        ad.grad(lambda x: np.array(1j))(2.0)


@pytest.mark.parametrize("bad", ["text", object(), np.array(["a"])])
def test_what_is_no_number_is_refused(bad):
    with pytest.raises(ad.errors.DTypeError, match="grad: expected real numbers or booleans, got a "):
        ad.grad(lambda x: x)(bad)


def test_several_results_are_no_scalar():
    with pytest.raises(ad.errors.GradientError, match=re.escape("got 2 results of shapes [(), (3,)]")):
        ad.grad(lambda x: (x.sum(), x))(X)


def test_cotangents_and_tangents_of_another_structure_or_shape_are_refused():
    _, pull = ad.vjp(lambda x: (x, x.sum()), X)
    with pytest.raises(ad.errors.GradientError, match="vjp: cotangent: expected the structure"):
        pull(np.ones(3))
    with pytest.raises(ad.errors.GradientError, match=re.escape("vjp: cotangent: expected shape (3,), got (2,)")):
        pull((np.ones(2), 1.0))
    with pytest.raises(ad.errors.GradientError, match=re.escape("jvp: tangent: expected shape (3,), got ()")):
        ad.jvp(lambda x: x, (X,), (1.0,))
    with pytest.raises(
        ad.errors.GradientError, match="jvp: expected a tangent per primal, got 1 primals and 2 tangents, at "
    ):
        ad.jvp(lambda x: x, (X,), (X, X))
