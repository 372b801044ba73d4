"""Loops as primitives: what is rewritten about them, and their kernels against NumPy."""

import ctypes

import numpy as np
import pytest
from tests.compiler.harness import Native, prepared

import adjoint as ad
from adjoint.abstract import Abstract
from adjoint.compiler.export import export_native
from adjoint.compiler.lower import lower
from adjoint.compiler.native import _key
from adjoint.compiler.program import Builder, evaluate, verify
from adjoint.compiler.repeat import pruned
from adjoint.compiler.simplify import BFLOAT16, EXACT, simplify
from adjoint.compiler.trace import trace

RNG = np.random.default_rng(0)
FLOAT = np.dtype(np.float64)


def program_of(f, *args):
    program = lower(trace(f, args))
    verify(program)
    return program


def the_loop(program):
    (found,) = [v for v in program.values if v.kind == "repeat"]
    return found


def running_sum(steps, *, guard=None, reverse=False, shape=(5,)):
    """A loop by hand, of a carry, rows, rows of booleans and a constant; a step gives the carry before and after it."""
    body, whole = Builder(), Builder()
    kinds = [Abstract(shape, FLOAT), Abstract(shape, FLOAT), Abstract((), np.dtype(bool)), Abstract(shape, FLOAT)]
    carry, row, _, factor = own = [body.input(kind) for kind in kinds]
    after = body.elementwise("add", body.elementwise("multiply", carry, factor), row)
    program = body.program(own, [after, carry, after])
    rows = [Abstract((steps, *kind.shape), kind.dtype) for kind in kinds[1:3]]
    given = [whole.input(kind) for kind in (kinds[0], *rows, kinds[3])]
    params = {"steps": steps, "carried": 1, "rows": 2, "reverse": reverse, "guard": guard}
    loop = whole.repeat(given, {"body": program, **params})
    found = whole.program(given, [whole.result(loop, i) for i in range(3)])
    verify(found)
    return found


def numbers(program):
    return [
        RNG.integers(0, 2, x.shape).astype(bool) if x.dtype == bool else RNG.normal(size=x.shape)
        for x in program.inputs
    ]


# --- rewriting --------------------------------------------------------------------------------------------------------


def test_what_nobody_reads_is_not_in_the_body():
    """Of three carries the second is read by nobody, and the third only by the second."""
    program = program_of(
        lambda a, xs: ad.scan(lambda c, x: ((c[0] + x, c[1] * c[2], ad.sin(c[2])), c[1]), (a, a, a), xs)[0][0],
        np.ones(3),
        np.ones((6, 3)),
    )
    before, after = the_loop(program), the_loop(pruned(program))
    assert (before.params["carried"], len(before.params["body"].outputs)) == (3, 7)
    assert (after.params["carried"], len(after.params["body"].outputs)) == (1, 1)
    assert {v.kind for v in after.params["body"].values} == {"input", "add"}


def test_a_loop_that_only_a_pruned_loop_reads_is_gone():
    def f(a, xs):
        _, ys = ad.scan(lambda c, x: (c * x, c), a, xs)
        (first, _), _ = ad.scan(lambda c, r: ((c[0] + r[0], c[1] + r[1]), None), (a, a), (xs, ys))
        return first

    program = program_of(f, np.ones(3), np.ones((6, 3)))
    assert sum(v.kind == "repeat" for v in program.values) == 2
    assert sum(v.kind == "repeat" for v in pruned(program).values) == 1


def test_a_carry_that_never_changes_is_a_constant():
    def f(w, xs):
        (kept, last), ys = ad.scan(lambda c, x: ((c[0], ad.sin(c[0] * c[1] + x)), c), (w, xs[0]), xs)
        return kept, last, ys

    w, xs = RNG.normal(size=3), RNG.normal(size=(6, 3))
    program = program_of(f, w, xs)
    loop = the_loop(pruned(program))
    assert (loop.params["carried"], loop.params["rows"], len(loop.inputs)) == (1, 1, 3)
    for got, wanted in zip(Native(program)([w, xs]), evaluate(program, [w, xs]), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-13)


def test_what_is_known_or_the_same_in_all_rows_is_written_in_the_body():
    def f(x):
        rows = ad.broadcast_to(x, (6, 3)), np.full((6, 3), 2.0)
        return ad.scan(lambda c, r: (c * r[0] + r[1], None), np.zeros(3), rows)[0]

    loop = the_loop(simplify(program_of(f, np.ones(3)), EXACT))
    assert (loop.params["rows"], len(loop.inputs)) == (0, 2)
    assert sum(v.kind == "constant" for v in loop.params["body"].values) == 1


def test_rules_reach_into_bodies():
    def f(w, xs):
        return ad.scan(lambda c, x: (ad.negative(ad.negative(c @ w)), None), xs[0], xs)[0]

    program = program_of(f, np.ones((4, 4), np.float32), np.ones((6, 4), np.float32))
    assert "negative" not in str(simplify(program, EXACT))
    assert "bfloat16" in str(simplify(program, BFLOAT16))


def test_constants_of_bodies_are_part_of_the_key():
    def key(table):
        f = program_of(lambda xs: ad.scan(lambda c, x: (c + x * table, None), np.zeros(3), xs)[0], np.ones((6, 3)))
        return _key(f, {}, 1, False, 0)

    assert key(np.arange(3.0)) == key(np.arange(3.0))
    assert key(np.arange(3.0)) != key(np.arange(1.0, 4.0))


# --- kernels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("shape", [(5,), (), (300, 700)], ids=str)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("guard", [None, 2])
def test_a_loop_equals_its_meaning(guard, reverse, shape, threads):
    program = running_sum(7, guard=guard, reverse=reverse, shape=shape)
    given, native = numbers(program), Native(program)
    assert native.emitted.is_shared == (shape == (300, 700))
    for got, wanted in zip(native(given, threads), evaluate(program, given), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-14)


@pytest.mark.parametrize("size", [3, 500])
@pytest.mark.parametrize("start", [1.0, 6.5, 0.0])
def test_a_guard_that_is_carried(start, size):
    def f(x):
        first = (start + 0.0 * x[0, 0], x)
        return ad.while_loop(lambda c: c[0] < 7.0, lambda c: (c[0] + 1.0, ad.sin(c[1] @ c[1])), first, max_steps=9)

    x = RNG.normal(size=(size, size)) / size
    program = program_of(lambda x: (f(x), ad.grad(lambda x: ad.sum(f(x)[1]))(x)), x)
    for got, wanted in zip(Native(program)([x], 2), evaluate(program, [x]), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("size", [4, 80_000])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_check_that_fails_in_a_step_ends_the_program(size, threads):
    def f(table, labels):
        def step(c, i):
            return c * 0.5 + ad.take(table, i, axis=0), None

        return ad.scan(step, np.zeros(size), labels)[0]

    table, labels = RNG.normal(size=(5, size)), np.array([0, 4, 1, 1, 3, 2])
    program = program_of(f, table, labels)
    native = Native(program)
    np.testing.assert_allclose(native([table, labels], threads)[0], evaluate(program, [table, labels])[0])
    for place in (0, 3, 5):
        wrong = labels.copy()
        wrong[place] = 5
        with pytest.raises(IndexError):
            native([table, wrong], threads)
    np.testing.assert_allclose(native([table, labels], threads)[0], evaluate(program, [table, labels])[0])


def test_loops_in_loops_have_memory_of_their_own():
    def inner(c, x):
        return ad.scan(lambda d, y: (ad.tanh(d + y[None] * x), ad.sum(d)), c, x)

    def f(xs):
        return ad.scan(lambda c, x: inner(c, x), np.ones((2, 6)), xs)

    xs = RNG.normal(size=(7, 6))
    for g in (f, ad.grad(lambda xs: ad.sum(f(xs)[1] ** 2) + ad.sum(f(xs)[0]))):
        program = program_of(g, xs)
        verify(prepared(program))
        for got, wanted in zip(Native(program)([xs]), evaluate(program, [xs]), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-11)


def test_results_do_not_depend_on_the_number_of_threads():
    def f(w, xs):
        return ad.value_and_grad(lambda w: ad.sum(ad.scan(lambda c, x: (ad.tanh(c @ w + x), None), xs[0], xs)[0]))(w)

    w, xs = RNG.normal(size=(96, 96)) / 10.0, RNG.normal(size=(6, 96, 96))
    native = Native(program_of(f, w, xs))
    assert native.emitted.is_shared
    alone = native([w, xs], 1)
    for threads in (2, 4):
        for got, wanted in zip(native([w, xs], threads), alone, strict=True):
            np.testing.assert_array_equal(got, wanted)


# --- around it --------------------------------------------------------------------------------------------------------


def test_a_loop_runs_in_epochs_and_beside_ops_of_numpy():
    w = ad.Parameter(np.full(3, 0.5), name="w")
    opt = ad.optim.SGD([w], lr=0.1)

    def step(xs):
        loss = ad.sum(ad.scan(lambda c, x: (ad.tanh(c * w + x), None), np.zeros(3), xs)[0] ** 2)
        loss.backward()
        opt.step()
        return loss

    xs, order = RNG.normal(size=(30, 3)), np.arange(24).reshape(4, 6)
    expected = [step(xs[rows]).item() for rows in order]
    w.assign(np.full(3, 0.5))
    np.testing.assert_allclose(ad.compile(step).epoch(order, xs), expected)
    gen = ad.random.Generator(1)
    noisy = ad.compile(lambda xs: ad.scan(lambda c, x: (c + x, c), gen.normal((3,)), xs)[1])
    assert noisy(xs).shape == (30, 3)
    assert sum(v.kind == "repeat" for v in noisy.variants[0].program.values) == 1


def test_a_loop_is_exported(tmp_path):
    def f(xs):
        return ad.scan(lambda c, x: (c * 0.5 + x * np.arange(4.0), None), np.ones(4), xs)[0]

    files = export_native(f, [np.zeros((8, 4))], tmp_path, "decay")
    if files.library is None:
        pytest.skip("no C compiler")
    xs, out = RNG.normal(size=(8, 4)), np.empty(4)
    function = ctypes.CDLL(str(files.library)).decay
    assert function(ctypes.c_void_p(xs.ctypes.data), ctypes.c_void_p(out.ctypes.data)) == 0
    np.testing.assert_allclose(out, f(xs))
