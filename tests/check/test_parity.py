"""Parity of the engines: what is right agrees, what is wrong is named, and nothing is changed by looking."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import adjoint as ad
from adjoint import nn, optim
from adjoint.abstract import Abstract
from adjoint.check import parity
from adjoint.check.rounding import allowance
from adjoint.compiler.compiled import Compiled
from adjoint.compiler.compiled import compile as compiled
from adjoint.errors import AdjointError, LabelError, TraceError

X = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
Y = np.array([0, 2, 1, 2, 0])


def is_lowered(x: Any) -> bool:
    """Whether a rule is being read by the compiler."""
    return not isinstance(x, np.ndarray | np.generic | float)


@pytest.fixture
def off_by_a_little(own_ops: None) -> Any:
    """An op whose machine code is wrong by one part in 10,000, in its first column only."""

    @ad.elementwise(name="off")
    def off(m: Any, x: Any) -> Any:
        return m.where(x > 1.0, x * 1.0001, x) if is_lowered(x) else x

    off.local(lambda m, out, x: 1.0)
    return off


def stepper(make: Any, *, p: float = 0.0) -> Any:
    net = nn.Sequential(
        nn.Linear(4, 6, rng=ad.random.Generator(1)),
        nn.ReLU(),
        nn.Dropout(p),
        nn.Linear(6, 3, rng=ad.random.Generator(2)),
    )
    opt = make(net)

    def step(x: Any, y: Any) -> Any:
        loss = nn.cross_entropy(net(x), y)
        loss.backward()
        opt.step()
        return loss

    return net, opt, step


# --- right programs agree ---------------------------------------------------------------------------------------------

FUNCTIONS = {
    "functions": lambda x: ad.tanh(x) * ad.exp(x) - ad.log(x * x + 1.0),
    "cancelling": lambda x: ad.sum(ad.exp(x) - ad.exp(x + 1e-6)),
    "sums": lambda x: (x.sum(axis=0), x.mean(), ad.var(x), ad.logsumexp(x, axis=1)),
    "products": lambda x: ad.einsum("ij,kj->ik", x, x) @ x,
    "comparisons": lambda x: ad.where(x > 0.0, ad.sqrt(x), 0.0),
    "integers": lambda x: (ad.argmax(x, axis=1), ad.cast(x * 10.0, dtype=np.int32) + 3),
    "constants": lambda x: (x[0, 0] * 2.0, 3.0),
    "infinities": lambda x: (x / 0.0, (x - x) / 0.0, ad.log(x * 0.0)),
    "containers": lambda x: {"a": [x + 1.0], "b": x.T},
    "nothing computed": lambda x: x,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_functions_agree(name: str, dtype: Any) -> None:
    report = parity(FUNCTIONS[name], X.astype(dtype))
    assert report.ok, report
    assert report.first is None
    assert str(report).startswith(f"parity: {len(report.rows)} nodes and {len(report.ends)} ends agree to rounding")


OPTIMIZERS = {
    "sgd": lambda net: optim.SGD(net, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda net: optim.Adam(net, lr=0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("p", [0.0, 0.5])
def test_a_training_step_agrees_and_leaves_everything_as_it_was(name: str, p: float) -> None:
    net, opt, step = stepper(OPTIMIZERS[name], p=p)
    step(X, Y)
    drawn = [m.rng.counter for m in net.modules().values() if isinstance(m, nn.Dropout)]
    states = [*net.parameters().values(), *opt.state().values(), *drawn]
    before = [(s.value.copy(), s._value) for s in states]
    gradients = {path: w.grad for path, w in net.parameters().items()}
    used = dict(opt._used)
    report = parity(step, X, Y)
    assert report.ok, report
    assert {"matmul", "relu", "softmax_cross_entropy"} <= {row.op for row in report.rows}
    for state, (value, held) in zip(states, before, strict=True):
        np.testing.assert_array_equal(state.value, value)
        assert state._value is held
    for path, w in net.parameters().items():
        np.testing.assert_array_equal(w.grad, gradients[path])
    assert opt._used == used
    step(X, Y)
    assert opt.steps.item() == 2


def test_a_row_says_what_and_where() -> None:
    report = parity(lambda x: ad.exp(x), X)
    (row,) = report.rows
    assert (row.op, row.shape, row.dtype) == ("exp", (5, 4), np.float32)
    assert row.origin is not None
    assert row.origin.filename == __file__
    expected = ad.exp(X)
    by_hand = np.max(np.abs(np.asarray(compiled(lambda x: ad.exp(x))(X)) - expected) / np.spacing(np.abs(expected)))
    assert row.ulp == pytest.approx(float(by_hand), abs=1.0)
    assert row.ulp <= 4.0
    assert row.share <= 1.0


def test_the_table_shows_the_worst_and_counts_the_rest() -> None:
    def f(x: Any) -> Any:
        for _ in range(14):
            x = ad.tanh(x + 1.0)
        return x

    lines = str(parity(f, X)).splitlines()
    assert lines[1].split() == ["op", "at", "shape", "dtype", "ulp", "relative", "of", "allowance", "drift"]
    assert len(lines) == 2 + 10 + 1
    assert lines[-1] == "  … and 18 more"


def test_modules_tensors_and_settings_are_arguments_too() -> None:
    net = nn.Linear(4, 3)
    w = ad.tensor(2.0)
    assert parity(lambda net, x, w, how: net(x["data"]) * w if how == "times" else x, net, {"data": X}, w, "times").ok
    assert w.grad is None


def test_python_numbers_give_way_in_both_engines() -> None:
    report = parity(lambda x, s, t, n: x * s + t * n, X, 0.1, ad.tensor(2.0), 3)
    assert report.ok, report
    assert {row.dtype for row in report.rows if row.shape} == {np.dtype(np.float32)}


def test_a_compiled_function_and_its_settings() -> None:
    @compiled(static=("n",), fast=True)
    def power(x: Any, n: int) -> Any:
        for _ in range(n):
            x = x * x / 3.0
        return x

    report = parity(power, X, 3)
    assert len(report.rows) == 6
    assert report.ok, report
    assert power.variants == []


def test_no_elements() -> None:
    assert parity(lambda x: (ad.exp(x), x.sum()), np.zeros((0, 3))).ok


# --- wrong ones are named ---------------------------------------------------------------------------------------------


def test_the_first_that_diverges_is_named_and_not_those_behind_it(off_by_a_little: Any) -> None:
    report = parity(lambda x: ad.exp(off_by_a_little(x * 1.0)).sum(axis=0), np.arange(12.0).reshape(3, 4))
    first = report.first
    assert not report.ok
    assert first is not None
    assert first.op == "off"
    assert first.relative == pytest.approx(1e-4, rel=1e-3)
    assert [row.op for row in report.rows if row.share > 1.0] == ["off"]
    behind = next(row for row in report.rows if row.op == "exp")
    assert behind.drift > 1e-4 > behind.relative
    text = str(report)
    assert text.startswith("parity: 1 of 4 nodes differ; the first is off, at ")
    assert "from equal inputs compiled 7.0007, eager 7.0 at [1, 3], 7.88e+11 ulp apart" in text
    assert text.splitlines()[2].split()[0] == "off"
    assert text.splitlines()[-1].startswith("  result: compiled ")


def test_gradients_of_a_wrong_op_are_looked_at(own_ops: None) -> None:
    @ad.elementwise(name="bent")
    def bent(m: Any, x: Any) -> Any:
        return x * 2.0

    w = ad.Parameter(np.arange(3.0), name="w")

    @ad.elementwise(name="slope")
    def slope(m: Any, g: Any) -> Any:
        return g * 3.0 if is_lowered(g) else g * 2.0

    slope.local(lambda m, out, g: 2.0)
    bent.local(lambda m, out, x: m.slope(x))

    def step(x: Any) -> Any:
        (bent(w) * x).sum().backward()
        return w.grad

    report = parity(step, np.ones(3))
    assert report.first is not None
    assert report.first.op == "slope"


def test_nan_in_one_engine_differs(own_ops: None) -> None:
    @ad.elementwise(name="lost")
    def lost(m: Any, x: Any) -> Any:
        return m.log(x - 5.0) if is_lowered(x) else x

    report = parity(lambda x: lost(x), np.ones(3))
    assert report.first is not None
    assert (report.first.ulp, report.first.share) == (np.inf, np.inf)
    assert "compiled nan, eager 1.0 at [0]" in str(report)


def test_whole_numbers_must_be_equal(own_ops: None) -> None:
    @ad.elementwise(name="counted", nondiff="it counts")
    def counted(m: Any, x: Any) -> Any:
        return x + np.int64(1) if is_lowered(x) else x

    report = parity(lambda n: counted(n) * 2, np.array([3, 2**60]))
    assert report.first is not None
    assert (report.first.op, report.first.ulp) == ("counted", 1.0)


def test_another_dtype_or_shape_differs(own_ops: None) -> None:
    @ad.elementwise(name="widened")
    def widened(m: Any, x: Any) -> Any:
        return m.cast(x, dtype=np.float64) if isinstance(x, np.ndarray) and x.size > 1 else x

    report = parity(lambda x: widened(x), X)
    assert "compiled float32 (5, 4), eager float64 (5, 4)" in str(report)


def test_a_function_that_differs_each_time_shows_at_its_ends() -> None:
    count: list[int] = []

    def f(x: Any) -> Any:
        count.append(1)
        return x * float(len(count))

    report = parity(f, X)
    assert report.first is None
    assert not report.ok
    assert "each of 1 nodes agrees by itself, but ends differ" in str(report)


def test_what_goes_wrong_only_where_nodes_are_joined_shows_at_the_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nodes one by one are right, the function as it runs usually is not."""
    usual = Compiled.__call__
    monkeypatch.setattr(Compiled, "__call__", lambda self, *args: usual(self, *args) * np.float32(1.0001))
    report = parity(lambda x: ad.tanh(x @ x.T), X)
    assert report.first is None
    assert not report.ok
    assert "each of 3 nodes agrees by itself, but ends differ" in str(report)


def test_the_limit_counts() -> None:
    strict = parity(lambda x: ad.exp(x), np.linspace(-5.0, 5.0, 1000), limit=0.0)
    assert strict.first is not None
    assert strict.first.op == "exp"
    assert parity(lambda x: ad.exp(x), np.linspace(-5.0, 5.0, 1000)).ok


# --- what rounding explains -------------------------------------------------------------------------------------------


def test_a_sum_may_be_off_by_its_condition() -> None:
    x = np.array([1.0, -1.0, 1e-3])
    allowed = allowance(ad.sum, [x], {"axis": None, "keepdims": False}, Abstract((), x.dtype), 4.0)
    eps = np.finfo(np.float64).eps
    assert float(allowed) == pytest.approx(2 * eps * 2.001)


def test_a_product_may_be_off_by_its_condition() -> None:
    a, b = np.array([[1.0, -2.0]]), np.array([[3.0], [1.5]])
    allowed = allowance(ad.matmul, [a, b], {}, Abstract((1, 1), a.dtype), 4.0)
    assert float(allowed[0, 0]) == pytest.approx(2 * 2 * np.finfo(np.float64).eps * 6.0)


def test_rounding_of_operands_grows_where_they_cancel(own_ops: None) -> None:
    @ad.elementwise(name="cancelled")
    def cancelled(m: Any, x: Any) -> Any:
        return m.exp(x) - 1.0

    x = np.array([1e-8])
    allowed = allowance(cancelled, [x], {}, Abstract((1,), x.dtype), 4.0)
    assert 4 * np.spacing(1.0) <= allowed[0] <= 16 * np.spacing(1.0)
    assert parity(lambda x: cancelled(x), np.linspace(-1e-8, 1e-8, 100)).ok


def test_an_infinite_sum_is_exact_and_one_near_overflow_is_not() -> None:
    def of_sum(x: Any) -> float:
        return float(allowance(ad.sum, [x], {"axis": None, "keepdims": False}, Abstract((), x.dtype), 4.0))

    assert of_sum(np.array([np.inf, 1.0])) == 0.0
    assert of_sum(np.array([1e308, 1e308, -1e308])) == np.inf


# --- mistakes ---------------------------------------------------------------------------------------------------------


def test_errors_of_the_function_are_its_own_and_change_nothing() -> None:
    net, opt, step = stepper(OPTIMIZERS["adam"])
    before = net.arrays()
    with pytest.raises(LabelError, match="expected labels from 0 to 2"):
        parity(step, X, Y + 5)
    assert all(np.array_equal(before[path], value) for path, value in net.arrays().items())
    assert opt.steps.item() == 0


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(TraceError, match="not known while a function is being compiled"):
        parity(lambda x: x if x.sum() > 0.0 else -x, X)
    with pytest.raises(TraceError, match=r"parity: inside grad, jvp or jacobian nothing runs compiled, at "):
        ad.grad(lambda x: parity(lambda y: y, X) and x)(1.0)
    with pytest.raises(AdjointError, match=r"parity: expected a limit ≥ 0, got -1.0, at "):
        parity(lambda x: x, X, limit=-1.0)
