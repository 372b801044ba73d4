"""Programs of which NumPy computes a part: the same results, draws from the same stream, and states that are whole."""

import numpy as np
import pytest
from tests.compiler.agreement import agree, assert_bits, assert_near

import adjoint as ad
from adjoint import nn
from adjoint.compiler.compiled import compile as compiled
from adjoint.compiler.lower import lower
from adjoint.compiler.native import Native
from adjoint.compiler.program import Value, evaluate
from adjoint.compiler.segments import Segment, Segmented, runnable, split
from adjoint.compiler.trace import trace

X = np.random.default_rng(0).normal(size=(4, 3))


def program_of(f, *args):
    return lower(trace(f, args))


def kinds(program):
    """What runs after what: N for a native segment, else the op that NumPy computes."""
    return ["N" if isinstance(step, Segment) else step.params.get("op", step.kind) for step in split(program)]


def rng_and_normal(shape=(3,)):
    rng = ad.random.Generator(5)
    return lambda x: ad.exp(rng.normal(shape) * x)


def test_what_is_native_is_one_segment():
    program = program_of(lambda x: (ad.tanh(x) @ x.T).sum(axis=0), X)
    assert kinds(program) == ["N"]
    assert isinstance(runnable(program, {}, "f"), Native)


def test_an_eager_op_between_two_segments():
    program = program_of(rng_and_normal(), X)
    assert "random_normal" in kinds(program)
    assert kinds(program)[-1] == "N"
    assert isinstance(runnable(program, {}, "f"), Segmented)


def test_a_segment_takes_and_gives_what_others_need():
    rng = ad.random.Generator(5)

    def f(x):
        before = ad.exp(x)
        drawn = rng.normal((4, 3)) * before
        return drawn + before, rng.normal((3,)) @ drawn.T

    program = program_of(f, X)
    given = [X, np.uint64(0)]
    outputs = [np.empty(x.shape, x.dtype) for x in program.outputs]
    assert runnable(program, {}, "f").run([np.asarray(x) for x in given], outputs) == 0
    for got, wanted in zip(outputs, evaluate(program, given), strict=True):
        assert_near(got, wanted)
    for step in split(program):
        if isinstance(step, Segment):
            assert all(isinstance(x, Value) and x.kind != "constant" for x in step.takes)
            assert step.gives


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble])
def test_dtypes_without_native_code(dtype):
    x = X.astype(dtype)
    agree(lambda x: (ad.exp(x) @ x.T, x.sum(axis=0), x[1:], x.argmax(), x.astype(np.float64) * 2.0, x), x)
    w = ad.Parameter(x[0], name="w")
    opt = ad.optim.SGD([w], lr=0.5)

    @compiled
    def step(x):
        loss = (x * w).sum()
        loss.backward()
        opt.step()
        return loss

    before = w.value.copy()
    loss = step(x)
    assert loss.dtype == w.dtype == dtype
    assert_near(w.value, before - dtype(0.5) * x.sum(axis=0))


# --- draws ----------------------------------------------------------------------------------------------------------

DRAWS = {
    "uniform": lambda rng: rng.uniform((3, 5)),
    "uniform float32": lambda rng: rng.uniform((7,), -1.0, 2.0, dtype="float32"),
    "normal": lambda rng: rng.normal((3, 5)),
    "integers": lambda rng: rng.integers(-3, 9, (11,)),
    "permutation": lambda rng: rng.permutation(13),
    "bernoulli": lambda rng: rng.bernoulli(0.3, (100,)),
    "nothing": lambda rng: rng.normal((0,)),
    "one number": lambda rng: rng.uniform(),
}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("seed", [0, 2**100 + 7])
def test_draws_are_those_of_the_same_seed(name, seed):
    eager, native = ad.random.Generator(seed), ad.random.Generator(seed)
    draw = compiled(lambda: (DRAWS[name](native), DRAWS[name](native)))
    for _ in range(3):
        for got in draw():
            assert_bits(got.value, DRAWS[name](eager).value)
    assert native.counter.item() == eager.counter.item() == 6
    assert_bits(DRAWS[name](native).value, DRAWS[name](eager).value)  # both go on without the compiler


@pytest.mark.parametrize("name", ["uniform", "normal", "permutation"])
def test_draws_inside_epochs(name):
    eager, native = ad.random.Generator(3), ad.random.Generator(3)

    @compiled
    def f(x):
        return x.sum(), DRAWS[name](native)

    _, drawn = f.epoch([[0], [1], [2]], np.arange(3.0))
    assert_bits(drawn, np.stack([DRAWS[name](eager).value for _ in range(3)]))
    assert native.counter.item() == 3


def test_masks_of_dropout():
    eager, native = (nn.Dropout(0.3, rng=ad.random.Generator(9)) for _ in range(2))
    f, x = compiled(native), np.ones((8, 16), np.float32)
    for _ in range(3):
        assert_bits(f(x).value, eager(ad.constant(x)).value)


# --- states ---------------------------------------------------------------------------------------------------------


def test_an_error_in_an_eager_segment_leaves_every_state():
    """The op that NumPy computes raises after a native segment has computed a new value of a state."""
    total, rng = ad.State(np.zeros(3), name="total"), ad.random.Generator(0)

    @compiled
    def f(x, i):
        drawn = rng.normal((3,))
        total.assign(total + drawn + x)
        return ad.take(x, i, axis=0) * drawn[0]

    f(np.ones(3), np.array([2]))
    before, draws = total.value.copy(), rng.counter.item()
    twin = ad.random.Generator(0)
    twin.normal((3,))
    with pytest.raises(IndexError):
        f(np.ones(3), np.array([3]))
    # The function itself ran to say what is wrong, and has drawn and added once, as it does without the compiler.
    assert rng.counter.item() == draws + 1
    assert_near(total.value, before + twin.normal((3,)).value + 1.0)


def test_an_error_of_numpy_itself_is_raised_in_our_words():
    x, total = X.astype(np.float16), ad.State(np.zeros(3))

    def f(x, i):
        rows = ad.take(x, i, axis=0)
        total.assign(total + 1.0)
        return rows

    own = compiled(f)
    assert_bits(own(x, np.array([3])), x[3:])
    before = total.value.copy()
    with pytest.raises(ad.errors.IndexRangeError) as eager:
        f(x, np.array([4]))
    with pytest.raises(ad.errors.IndexRangeError) as native:
        own(x, np.array([4]))
    assert str(native.value) == str(eager.value)
    assert_bits(total.value, before)


def test_states_are_written_all_at_once():
    a, b, rng = ad.State(np.zeros(3)), ad.State(np.ones(3)), ad.random.Generator(1)

    @compiled
    def exchange():
        old = a.read()
        a.assign(b + rng.normal((3,)) * 0.0)
        b.assign(old)

    for turn in range(4):
        exchange()
        assert_bits(a.value, np.full(3, float(turn % 2 == 0)))
        assert_bits(b.value, np.full(3, float(turn % 2)))


def test_gradients_pass_eager_segments():
    """A recorded result whose forward and backward pass have draws in between."""
    w, twin = ad.Parameter(np.ones(3)), ad.Parameter(np.ones(3))
    first, second = ad.random.Generator(2), ad.random.Generator(2)
    f = compiled(lambda x: (ad.exp(w * first.normal((3,))) * x).sum())
    for _ in range(2):
        f(X[0]).backward()
        (ad.exp(twin * second.normal((3,))) * X[0]).sum().backward()
        assert_near(w.grad, twin.grad)
