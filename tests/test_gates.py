"""Gates of the user's own: state per use, errors that name the gate, second derivatives, custom_vjp."""

import re
from typing import ClassVar

import numpy as np
import pytest

import adjoint as ad


class Multiply(ad.Gate):
    """The lecture's multiply gate, word for word."""

    def forward(self, x, y):
        z = x * y
        self.x = x
        self.y = y
        return z

    def backward(self, dz):
        dx = self.y * dz
        dy = self.x * dz
        return [dx, dy]


class Plain(ad.Gate):
    """exp, in NumPy that leaves the graph."""

    def forward(self, x):
        self.out = np.array([np.exp(v) for v in np.ravel(np.asarray(x))]).reshape(np.shape(x))
        return self.out

    def backward(self, upstream):
        return upstream * self.out


def test_the_gate_of_the_lecture():
    x, y = ad.tensor(3.0), ad.tensor(-4.0)
    z = Multiply()(x, y)
    z.backward(2.0)
    assert (z.item(), x.grad, y.grad) == (-12.0, -8.0, 6.0)


def test_a_gate_used_twice_keeps_its_state_per_use():
    gate = Multiply()
    x, y = ad.tensor(3.0), ad.tensor(-4.0)
    out = gate(gate(x, y), x)  # x² · y
    gate(ad.tensor(100.0), ad.tensor(100.0))
    out.backward()
    assert (out.item(), x.grad, y.grad) == (-36.0, 2 * 3.0 * -4.0, 9.0)
    assert vars(gate) == {}


def test_gates_on_arrays_broadcast_as_the_engine_does():
    x, row = ad.tensor(np.ones((2, 3))), ad.tensor([1.0, 2.0, 3.0])
    Multiply()(x, row).sum().backward()
    np.testing.assert_array_equal(x.grad, [[1.0, 2.0, 3.0]] * 2)
    np.testing.assert_array_equal(row.grad, [2.0, 2.0, 2.0])


def test_a_gate_on_plain_numbers_just_computes():
    assert Multiply()(3.0, -4.0) == -12.0
    assert not Multiply()(ad.constant(3.0), 2.0).active


def test_backward_of_a_gate_runs_once_per_pass():
    class Counting(Multiply):
        calls: ClassVar[list[float]] = []

        def backward(self, dz):
            self.calls.append(dz)
            return super().backward(dz)

    x, y = ad.tensor([3.0]), ad.tensor([-4.0])
    Counting()(x, y).sum().backward()
    assert len(Counting.calls) == 1
    ad.grad(lambda x, y: Counting()(x, y).sum(), (0, 1))(np.ones(2), np.ones(2))
    assert len(Counting.calls) == 2


def test_a_gate_cannot_change_what_was_recorded():
    class Careless(ad.Gate):
        def forward(self, x):
            x *= 2.0
            return x

        def backward(self, upstream):
            return upstream

    x = ad.tensor([1.0, 2.0])
    with pytest.raises(ValueError, match="read-only"):
        Careless()(x)
    np.testing.assert_array_equal(x.value, [1.0, 2.0])


def test_a_buffer_that_a_gate_uses_again_does_not_change_its_earlier_results():
    class Buffered(ad.Gate):
        buffer = np.zeros(2)

        def forward(self, x):
            np.multiply(x, 2.0, out=self.buffer)
            return self.buffer

        def backward(self, upstream):
            return 2.0 * upstream

    first = Buffered()(ad.tensor([1.0, 2.0]))
    Buffered()(ad.tensor([10.0, 20.0]))
    np.testing.assert_array_equal(first.value, [2.0, 4.0])


def test_errors_in_a_gate_are_the_users_own():
    class Broken(ad.Gate):
        def forward(self, x):
            raise ValueError("the user's own words")

        def backward(self, upstream):
            return upstream

    with pytest.raises(ValueError, match=r"^the user's own words$"):
        Broken()(ad.tensor(1.0))


@pytest.mark.parametrize(
    ("forward", "backward", "message"),
    [
        (
            lambda self, x: x,
            lambda self, g: (g, g),
            "Bad: expected backward to return one gradient per input (1), got 2",
        ),
        (
            lambda self, x: x,
            lambda self, g: np.ones(7),
            "Bad: expected backward to return shape (2,) for input 1 (the shape of",
        ),
        (
            lambda self, x: "text",
            lambda self, g: g,
            "Bad: expected forward to return one array or number, got str, at ",
        ),
        (
            lambda self, x: (x, x),
            lambda self, g: g,
            "Bad: expected forward to return one array or number, got tuple, at ",
        ),
    ],
)
def test_a_gate_that_does_not_fit_is_named(forward, backward, message):
    gate = type("Bad", (ad.Gate,), {"forward": forward, "backward": backward})()
    with pytest.raises(ad.errors.GradientError, match=re.escape(message)):
        gate(ad.tensor([1.0, 2.0])).sum().backward()


def test_a_transposed_gradient_is_not_taken_for_the_right_one():
    class Wrong(ad.Gate):
        def forward(self, W):
            return W * 1.0

        def backward(self, upstream):
            return upstream.T

    with pytest.raises(
        ad.errors.GradientError, match=re.escape("expected backward to return shape (2, 3) for input 1")
    ):
        Wrong()(ad.tensor(np.ones((2, 3)))).sum().backward()


def test_a_gate_without_methods_says_which():
    class Half(ad.Gate):
        def forward(self, x):
            return x

    with pytest.raises(
        ad.errors.GradientError, match=re.escape("Half: a gate needs a method backward(self, upstream)")
    ):
        Half()(ad.tensor(1.0)).backward()
    with pytest.raises(ad.errors.GradientError, match=re.escape("Gate: a gate needs a method forward(self, x, …)")):
        ad.Gate()(ad.tensor(1.0))


def test_none_says_that_nothing_flows():
    class Pick(ad.Gate):
        def forward(self, x, key):
            self.key = int(key)
            self.n = len(x)
            return x[self.key]

        def backward(self, upstream):
            g = np.zeros(self.n)
            g[self.key] = upstream
            return g, None

    x = ad.tensor([1.0, 2.0, 3.0])
    (Pick()(x, 1) * 5.0).backward()
    np.testing.assert_array_equal(x.grad, [0.0, 5.0, 0.0])


# --- derivatives of derivatives -------------------------------------------------------------------------------------


def test_a_gate_written_with_operators_is_differentiable_to_any_order():
    cube = lambda x: Multiply()(Multiply()(x, x), x)  # noqa: E731
    assert ad.grad(cube)(2.0) == 12.0
    assert ad.grad(ad.grad(cube))(2.0) == 12.0
    assert ad.grad(ad.grad(ad.grad(cube)))(2.0) == 6.0
    assert ad.hvp(cube, (2.0,), (1.0,)) == 12.0


def test_a_gate_written_with_numpy_functions_that_are_known_is_too():
    class Tanh(ad.Gate):
        def forward(self, x):
            self.out = np.tanh(x)
            return self.out

        def backward(self, upstream):
            return upstream * (1.0 - self.out**2)

    x = np.array([0.3, -0.7])
    H = np.asarray(ad.hessian(lambda x: Tanh()(x).sum())(x))
    np.testing.assert_allclose(H, np.diag(-2 * np.tanh(x) * (1 - np.tanh(x) ** 2)))


def test_a_second_derivative_through_plain_numpy_raises_and_names_the_gate():
    x = np.array([0.3, -0.7])
    np.testing.assert_allclose(ad.grad(lambda x: Plain()(x).sum())(x), np.exp(x))
    with pytest.raises(
        ad.errors.GradientError,
        match="Plain: a second derivative or a forward tangent needs a backward that works on Tensors",
    ):
        ad.grad(lambda x: ad.grad(lambda x: Plain()(x).sum())(x).sum())(x)
    with pytest.raises(ad.errors.GradientError, match="Plain: a second derivative"):
        ad.hvp(lambda x: Plain()(x).sum(), (x,), (x,))


def test_a_forward_tangent_goes_through_a_gate_by_the_transpose_of_its_backward():
    assert ad.jvp(lambda x, y: Multiply()(x, y), (3.0, -4.0), (1.0, 10.0)) == (-12.0, 26.0)
    x, row, t = np.ones((2, 3)), np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, -1.0])
    np.testing.assert_array_equal(ad.jvp(lambda row: Multiply()(x, row), (row,), (t,))[1], x * t)
    tall = ad.jacobian(lambda s: Multiply()(s, row))(2.0)
    np.testing.assert_array_equal(np.asarray(tall), row)
    reverse_over_forward = ad.grad(lambda x: ad.jvp(lambda x: Multiply()(x, x), (x,), (1.0,))[1])
    assert reverse_over_forward(3.0) == 2.0


def test_a_forward_tangent_needs_a_backward_on_tensors_and_says_so():
    class Deaf(Plain):
        def backward(self, upstream):
            return np.asarray(upstream) * self.out

    np.testing.assert_allclose(ad.jvp(lambda x: Plain()(x), (3.0,), (2.0,))[1], 2.0 * np.exp(3.0))
    with pytest.raises(
        ad.errors.GradientError, match="Deaf: a second derivative or a forward tangent needs a backward"
    ):
        ad.jvp(lambda x: Deaf()(x), (3.0,), (1.0,))


# --- custom_vjp -----------------------------------------------------------------------------------------------------


def make_clipped():
    @ad.custom_vjp
    def clipped(x):
        """The value itself, with a gradient held between −1 and 1."""
        return x

    clipped.defvjp(lambda x: (x * 1.0, None), lambda kept, g: np.clip(g, -1.0, 1.0))
    return clipped


def test_custom_vjp_replaces_the_gradient():
    clipped = make_clipped()
    assert ad.grad(lambda x: 10.0 * clipped(x))(3.0) == 1.0
    assert ad.grad(lambda x: 0.5 * clipped(x))(3.0) == 0.5
    assert (clipped.__name__, clipped.__doc__) == (
        "clipped",
        "The value itself, with a gradient held between −1 and 1.",
    )


def test_custom_vjp_with_several_inputs_and_kept_values():
    @ad.custom_vjp
    def product(x, y):
        return x * y

    product.defvjp(lambda x, y: (x * y, (x, y)), lambda kept, g: (g * kept[1], g * kept[0] * 100.0))
    assert ad.grad(product, (0, 1))(2.0, 3.0) == (3.0, 200.0)
    assert ad.grad(ad.grad(product, 0), 1)(2.0, 3.0) == 1.0


def test_custom_vjp_without_rules_says_what_is_missing():
    @ad.custom_vjp
    def bare(x):
        return x

    with pytest.raises(
        ad.errors.GradientError, match=re.escape("bare: custom_vjp needs its rules: bare.defvjp(forward, backward)")
    ):
        bare(ad.tensor(1.0))


# --- its name ---------------------------------------------------------------------------------------------------------


def test_a_gate_is_called_by_its_class_in_repr_and_pictures():
    z = Multiply()(ad.tensor(3.0, name="x"), ad.tensor(-4.0, name="y"))
    assert repr(z) == "tensor(-12., op=Multiply)"
    assert "(Multiply)" in z.graph.text()
