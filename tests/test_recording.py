"""Recording: modes per thread, restored after errors; where in the user's code a node was made, and in which module."""

import inspect
import re
import threading
from pathlib import Path

import numpy as np
import pytest

import adjoint as ad
from adjoint.recording import MODE, Origin, transforming

HERE = Path(__file__).name


def line() -> int:
    return inspect.currentframe().f_back.f_lineno  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x + 1.0,
        lambda x: np.exp(x),
        lambda x: np.sum(x),
        lambda x: x[0],
        lambda x: ad.softmax(x),
        lambda x: ad.var(x),
        lambda x: np.ones(2) @ x,
        lambda x: 2.0 - x,
        lambda x: x.T,
        lambda x: ad.where(x > 0.0, x, 0.0),
    ],
)
def test_origin_is_the_users_line_also_through_functions_of_the_library(make):
    origin = make(ad.tensor([1.0, 2.0])).node.origin
    assert (Path(origin.filename).name, origin.line) == (HERE, make.__code__.co_firstlineno)


def test_origin_of_every_node_that_a_function_of_the_library_makes():
    out, expected = ad.log_softmax(ad.tensor([1.0, 2.0])), line()
    assert {(Path(t.node.origin.filename).name, t.node.origin.line) for t in out.graph.nodes} == {(HERE, expected)}


def test_origin_of_scalars_and_leaves():
    x = ad.tensor(1.0)
    expected = line() - 1
    assert x.node.origin.line == expected
    assert (x * 2.0).node.origin.line == expected + 3


def test_origin_of_an_expression_over_several_lines():
    x = ad.tensor(1.0)
    start = line()
    y = (
        x
        + x * 2.0
    )  # fmt: skip
    assert start < y.node.origin.line <= start + 4


def test_origin_inside_a_transform_is_the_users_function():
    origins = []

    def f(x):
        y = x * x
        origins.append((y.node.origin.line, line() - 1))
        return y

    ad.grad(f)(2.0)
    ad.grad(ad.grad(f))(2.0)
    assert [a for a, _ in origins] == [b for _, b in origins]


def test_origin_is_shown_as_a_relative_path():
    assert str(Origin(str(Path.cwd() / "somewhere" / "net.py"), 7)) == str(Path("somewhere/net.py")) + ":7"
    outside = str(Path.cwd().parent / "net.py")
    assert str(Origin(outside, 7)) == outside + ":7"


# --- modes ----------------------------------------------------------------------------------------------------------


def test_no_grad_records_nothing():
    x = ad.tensor(3.0)
    with ad.no_grad():
        y = x * x + 1.0
        z = np.exp(ad.tensor([1.0]))[0]
    assert (y.active, y.node.op, y.item()) == (False, None, 10.0)
    assert (z.active, z.node.op) == (False, None)
    assert (x * x).active


def test_no_grad_nests_and_is_restored_after_an_error():
    x = ad.tensor(3.0)
    block = ad.no_grad()
    with block:
        with ad.no_grad():
            assert not (x * x).active
        assert not (x * x).active
    with pytest.raises(ZeroDivisionError), ad.no_grad():
        1 // 0
    assert (x * x).active
    assert MODE.get() is None


def test_no_grad_inside_a_transform_cuts():
    def f(x):
        with ad.no_grad():
            c = x * x
            assert float(c) == 9.0
        return c * x

    assert ad.grad(f)(3.0) == 9.0


def test_a_transform_inside_no_grad_still_differentiates():
    with ad.no_grad():
        assert ad.grad(lambda x: x * x)(3.0) == 6.0


@pytest.mark.parametrize(
    "transform",
    [
        lambda f: ad.grad(f)(2.0),
        lambda f: ad.value_and_grad(f)(2.0),
        lambda f: ad.vjp(f, 2.0),
        lambda f: ad.jvp(f, (2.0,), (1.0,)),
        lambda f: ad.hvp(f, (2.0,), (1.0,)),
        lambda f: ad.jacobian(f)(2.0),
        lambda f: ad.hessian(f)(2.0),
        lambda f: ad.grad(ad.grad(f))(2.0),
    ],
)
def test_transforms_restore_the_mode_after_an_exception_in_the_function(transform):
    def f(x):
        assert transforming()
        raise KeyError("from the user's function")

    with pytest.raises(KeyError, match="from the user's function"):
        transform(f)
    assert MODE.get() is None
    assert ad.grad(lambda x: x * x)(2.0) == 4.0


def test_an_exception_in_the_function_leaves_parameters_as_they_were():
    w = ad.Parameter(2.0)

    def f(p):
        w * w
        raise KeyError("no")

    read = w.read()
    with pytest.raises(KeyError):
        ad.grad(f)(w)
    assert w.read() is read
    (w * 3.0).backward()
    assert w.grad == 3.0


# --- scope ----------------------------------------------------------------------------------------------------------


def test_scope_is_the_module_path():
    net = ad.nn.Sequential(ad.nn.Linear(2, 3, rng=ad.random.Generator(0)), ad.nn.ReLU())
    out = net(ad.tensor(np.ones((1, 2), np.float32)))
    assert out.node.scope.endswith("1")
    assert {t.node.scope for t in out.graph.nodes if t.node.op is not None and t.node.op.name == "matmul"} != {""}
    assert (ad.tensor(1.0) * 2.0).node.scope == ""


def test_an_error_inside_a_module_names_the_module():
    net = ad.nn.Sequential(ad.nn.Linear(2, 3, rng=ad.random.Generator(0)))
    with pytest.raises(ad.errors.ShapeError, match=rf"at .*{re.escape(HERE)}:\d+ in "):
        net(ad.tensor(np.ones((1, 5), np.float32)))


# --- threads --------------------------------------------------------------------------------------------------------


def run_together(*jobs):
    """Run functions in threads of their own and return their results, or raise the first error."""
    results: list[object] = [None] * len(jobs)

    def work(i):
        try:
            results[i] = jobs[i]()
        except BaseException as error:
            results[i] = error

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def test_two_threads_differentiate_at_once_with_modes_of_their_own():
    meet = threading.Barrier(2, timeout=10)

    def inside():
        def f(x):
            meet.wait()  # the other thread is outside any transform now
            y = x * x
            meet.wait()
            return y

        return ad.grad(f)(3.0)

    def outside():
        x = ad.tensor(3.0)
        meet.wait()
        assert not transforming()
        with ad.no_grad():
            assert float(x * x) == 9.0
        y = x * x
        assert float(y) == 9.0
        meet.wait()
        y.backward()
        return x.grad.item()

    assert run_together(inside, outside) == [6.0, 6.0]


def test_two_threads_differentiate_the_same_parameter_at_once():
    w = ad.Parameter(3.0)
    meet = threading.Barrier(2, timeout=10)

    def job(power):
        def f(p):
            meet.wait()
            y = w**power
            meet.wait()
            return y

        return ad.grad(f)(w)

    assert run_together(lambda: job(2.0), lambda: job(3.0)) == [6.0, 27.0]


def test_many_threads_run_backward_on_graphs_of_their_own():
    def job(k):
        total = 0.0
        for _ in range(50):
            x = ad.tensor(np.full(3, float(k)))
            (x * x).sum().backward()
            total += float(x.grad.sum())
        return total

    expected = [50 * 3 * 2.0 * k for k in range(4)]
    assert run_together(*(lambda k=k: job(k) for k in range(4))) == expected
