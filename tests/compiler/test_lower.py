"""Every op of the registry as primitives: the same numbers, shapes and dtypes as the op itself."""

import numpy as np
import pytest
from tests.ops.samples import COMPUTED, DRAWS, ELEMENTWISE, abstract, samples

import adjoint as ad
from adjoint import nn, optim
from adjoint.abstract import Abstract
from adjoint.compiler.lower import UnloweredError, lower, lowered
from adjoint.compiler.program import Builder, evaluate, verify
from adjoint.compiler.trace import trace
from adjoint.errors import LabelError

#: Ops that run between native segments: their draws cannot be split, each number depends on those before.
EAGER = sorted(set(DRAWS) - {"random_uniform"})
LOWERED = sorted(set(COMPUTED) - set(EAGER))
SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-40, 800.0, -800.0])


def run(op, inputs, params):
    """The primitives of an op, checked and run by NumPy."""
    defaults = {n: v for n, v in op.signature.defaults.items() if n in op.signature.params}
    settings = defaults | params
    builder = Builder()
    given = [builder.input(Abstract.of(x)) for x in inputs]
    with np.errstate(all="ignore"):
        result = op.abstract([Abstract.of(x) for x in inputs], settings)
        program = builder.program(given, [lowered(builder, op, given, settings, result)])
        verify(program)
        (value,) = evaluate(program, inputs)
        expected = op.evaluate(list(inputs), settings)
    assert (value.shape, value.dtype) == (result.shape, result.dtype)
    return value, np.asarray(expected)


@pytest.mark.parametrize("name", LOWERED)
def test_an_op_is_lowered(name):
    op = COMPUTED[name]
    for dtype in (np.float64, np.float32):
        for sample in samples(op, dtype):
            value, expected = run(op, sample.inputs, sample.params)
            assert (value.shape, value.dtype) == (abstract(sample).shape, expected.dtype), sample
            np.testing.assert_allclose(
                value, expected, rtol=1e-6 if dtype == np.float32 else 1e-13, err_msg=str(sample)
            )


@pytest.mark.parametrize("name", sorted(ELEMENTWISE))
def test_special_values(name):
    """NaN, infinities and signed zeros: the same bits as the op, NaN aside."""
    op = ELEMENTWISE[name]
    count = len(op.signature.inputs)
    grid = np.meshgrid(*[SPECIAL] * count, indexing="ij")
    value, expected = run(op, grid, {})
    np.testing.assert_array_equal(value, expected)
    if value.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(value) & (value == 0), np.signbit(expected) & (expected == 0))


@pytest.mark.parametrize("name", EAGER)
def test_what_is_not_lowered_says_so(name):
    op = DRAWS[name]
    inputs, params = [np.uint64(0)], {n: (2,) if n == "shape" else 2 for n in op.signature.params}
    builder = Builder()
    given = [builder.input(Abstract.of(x)) for x in inputs]
    with pytest.raises(UnloweredError, match=r"its rule says m\."):
        lowered(builder, op, given, params, op.abstract([Abstract.of(x) for x in inputs], params))


@pytest.mark.parametrize("name", sorted(DRAWS))
def test_a_draw_is_that_of_the_op(name):
    """Lowered or not: a traced draw has the same bits, and the generator goes on."""
    rng = ad.random.Generator(2**63 + 5)
    draw = {
        "random_uniform": lambda: rng.uniform((3, 5)),
        "random_normal": lambda: rng.normal((3, 5)),
        "random_integers": lambda: rng.integers(-4, 9, (7,)),
        "random_permutation": lambda: rng.permutation(11),
    }[name]
    traced = trace(lambda: draw(), ())
    program = lower(traced)
    verify(program)
    assert any(v.kind == "eager" for v in program.values) == (name in EAGER)
    found, counter = evaluate(program, [np.uint64(0)])
    np.testing.assert_array_equal(found, draw().value)
    assert counter == rng.counter.value == 1


def test_a_weak_number_does_not_widen():
    builder = Builder()
    x, s = builder.input(Abstract((3,), np.dtype("float32"))), builder.input(Abstract((), np.dtype(float), True))
    product = builder.elementwise("multiply", x, s)
    assert product.dtype == np.float32
    assert builder.elementwise("multiply", s, builder.constant(2.0)).abstract == Abstract((), np.dtype(float), True)
    assert builder.elementwise("multiply", x, builder.constant(np.float64(2.0))).dtype == np.float64


def test_the_same_is_made_once_and_constants_are_folded():
    builder = Builder()
    x = builder.input(Abstract((3,), np.dtype(float)))
    assert builder.elementwise("exp", x) is builder.elementwise("exp", x)
    assert builder.elementwise("add", x, builder.constant(1.0)) is builder.elementwise("add", x, builder.constant(1.0))
    folded = builder.elementwise("add", builder.constant(1.0), builder.constant(2.0))
    assert (folded.kind, folded.content.item(), folded.abstract.weak) == ("constant", 3.0, True)
    assert builder.constant(0.0) is not builder.constant(-0.0)


def test_a_large_constant_is_known_by_itself():
    """Two arrays that lie at one address, one after the other, are two constants."""
    builder = Builder()
    values = [builder.constant(np.full(1000, float(i))) for i in range(20)]
    assert [v.content[0] for v in values] == list(range(20))
    kept = np.zeros(1000)
    assert builder.constant(kept) is builder.constant(kept)


def test_large_shapes_cost_nothing():
    """Shapes come from shapes: building a product of a billion numbers computes none of them."""
    builder = Builder()
    x = builder.input(Abstract((10**6, 10**6), np.dtype(float)))
    product = builder.shaped("matmul", x, builder.shaped("transpose", x, axes=(1, 0)))
    assert builder.shaped("concatenate", product, product, axis=1).shape == (10**6, 2 * 10**6)


def test_states_that_are_assigned_keep_their_kind_in_a_program():
    rate = ad.State(0.1, name="rate")

    def f(x):
        rate.assign(np.float64(0.25))
        with ad.no_grad():
            scaled = x * rate
        return scaled.detach()

    x = np.ones(3, np.float32)
    program = lower(trace(f, (x,)))
    verify(program)
    out, after = evaluate(program, [x, 0.1])
    assert (out.tolist(), out.dtype, float(after)) == ([0.25] * 3, np.float32, 0.25)


def test_dead_code_stays_behind():
    builder = Builder()
    x = builder.input(Abstract((3,), np.dtype(float)))
    used, _unused = builder.elementwise("exp", x), builder.elementwise("log", x)
    program = builder.program([x], [used])
    assert [v.kind for v in program.values] == ["input", "exp"]
    assert str(program) == "%0 : float64[3] = input()\n%1 : float64[3] = exp(%0)\nreturn %1"


def test_a_wrong_program_is_found():
    builder = Builder()
    x = builder.input(Abstract((3,), np.dtype(float)))
    wrong = builder.make("add", (x, builder.cast(x, "float32")), {}, x.abstract)
    with pytest.raises(AssertionError, match="expected operands of one dtype"):
        verify(builder.program([x], [wrong]))
    with pytest.raises(AssertionError, match="comes later or is missing"):
        verify(builder.program([x], [wrong])._replace(values=(wrong,)))


@pytest.mark.parametrize("make", [lambda n: optim.SGD(n, lr=0.1, momentum=0.9), lambda n: optim.Adam(n, lr=0.01)])
def test_the_program_of_a_training_step(make):
    """Forward, backward and update as one program: twenty of its steps train as twenty eager ones do."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(8, 4)).astype(np.float32), rng.integers(0, 3, 8)
    net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    opt = make(net)

    def step(x, y):
        loss = nn.cross_entropy(net(x), y) + 1e-3 * nn.l2(net)
        loss.backward()
        opt.step()
        return loss

    traced = trace(step, (x, y))
    program = lower(traced)
    verify(program)
    states = {state: state._value for state in traced.states}
    losses = []
    for _ in range(20):
        loss, *after = evaluate(program, [x, y, *states.values()])
        states |= dict(zip(traced.assigned, after, strict=True))
        losses.append(float(loss))
    eager = [step(x, y).item() for _ in range(20)]
    np.testing.assert_allclose(losses, eager, rtol=2e-5)
    assert losses[-1] < losses[0]
    for state in traced.assigned:
        np.testing.assert_allclose(states[state], state.value, rtol=1e-4, atol=1e-6)


def test_a_wrong_label_is_found_when_the_program_runs():
    scores, labels = np.zeros((2, 3)), np.array([0, 1])
    program = lower(trace(nn.cross_entropy, (scores, labels)))
    assert evaluate(program, [scores, labels])[0] == pytest.approx(np.log(3.0))
    with pytest.raises(LabelError, match="expected labels from 0 to 2"):
        evaluate(program, [scores, np.array([0, 3])])


@pytest.mark.parametrize(
    "subscripts",
    ["ij,jk->ik", "ij,kj->ik", "bij,bjk->bik", "ij,ij->", "i,j,k->kji", "abc,cd->abd", "ij,jk,kl->li", "ij->ji"],
)
def test_products_over_named_axes(subscripts):
    size = {c: 2 + i for i, c in enumerate("abcdijkl")}
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=[size[c] for c in term]) for term in subscripts.split("->")[0].split(",")]
    program = lower(trace(lambda *xs: ad.einsum(subscripts, *xs), xs))
    np.testing.assert_allclose(evaluate(program, xs)[0], np.einsum(subscripts, *xs), rtol=1e-12)
