"""Every op, and random functions of them: nodes, ends, gradients and errors when compiled are those of eager runs.

A node is compared on equal inputs: the public function is called with the *compiled* values of its operands. Its result
may be 4 ulp off; a sum by (n − 1) · eps · Σ |term|, a product of matrices by twice that; NaN is NaN. The sign of a zero
is the same but for maxima and minima, of which IEEE leaves it open. To have all values, all are results of the compiled
function, which prevents fusion. So it is compiled again with its ends alone, whose bounds are what conditioning makes
of such errors on the way.
"""

from collections import Counter

import numpy as np
import optree
import pytest
from hypothesis import given, settings
from tests.compiler.agreement import assert_bits, assert_within, errors_of, value_of
from tests.compiler.random_functions import DTYPES, EITHER_ZERO, NAMES, Step, graphs
from tests.ops.samples import COMPUTED, ELEMENTWISE, REDUCTIONS, layouts, samples

import adjoint as ad
from adjoint.compiler.compiled import compile as compiled
from adjoint.errors import AdjointError
from adjoint.tensor import Tensor

GRAPHS = settings(deadline=None, derandomize=True, database=None)


@pytest.fixture(autouse=True, scope="module")
def no_cache():
    """Thousands of programs that nobody asks for again are not kept on disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADJOINT_CACHE_DIR", "off")
        yield


def quietly(f, *args):
    """What a function gives, overflow and 0/0 included."""
    with np.errstate(all="ignore"):
        return f(*args)


def assert_step(step, got, operands):
    """Raise unless a step's compiled value is that of the eager call with the same operands."""
    wanted = quietly(step.of, operands)
    numbers = [x for x in operands if not isinstance(x, str)]
    assert_within(got, wanted, quietly(errors_of, lambda *xs: step.of(refilled(operands, xs)), *numbers)[0])
    assert not isinstance(got, Tensor)
    a, b = np.asarray(got), np.asarray(wanted)
    if a.dtype.kind == "f" and step.name not in EITHER_ZERO:
        zeros = (a == 0.0) & (b == 0.0)
        np.testing.assert_array_equal(np.signbit(a[zeros]), np.signbit(b[zeros]), f"signs of zeros of {step.name}")


def refilled(operands, numbers):
    """Operands with others in the places of numbers and arrays."""
    supply = iter(numbers)
    return [x if isinstance(x, str) else next(supply) for x in operands]


def assert_nodes(graph):
    """All nodes compiled, each against its eager self."""
    own, supply = iter(compiled(graph.nodes)(*graph.inputs)), iter(graph.inputs)
    values = []
    for step in graph.steps:
        values.append(next(supply if step is None else own))
        if step is not None:
            assert_step(step, values[-1], step.taken(values))


def assert_results(f, *inputs, ulps=0.0):
    """Results of a function compiled as it is, against an eager run from the start.

    What depends on no argument is computed while tracing, of which the bounds know nothing: so many `ulps` more of the
    largest number are for that.
    """
    got, wanted = compiled(f)(*inputs), quietly(f, *inputs)
    leaves, recipe = optree.tree_flatten(got)
    assert recipe == optree.tree_structure(wanted)
    errors = quietly(errors_of, f, *inputs)
    for x, y, error in zip(leaves, optree.tree_leaves(wanted), errors, strict=True):
        assert_within(value_of(x), value_of(y), 2.0 * error + ulps * ulp_of_largest(value_of(y)))


def ulp_of_largest(x):
    """Of a floating array's largest finite number; 0 for others."""
    array = np.asarray(x)
    if array.dtype.kind != "f":
        return 0.0
    return float(np.max(np.abs(array), initial=0.0, where=np.isfinite(array)) * np.finfo(array.dtype).eps)


def drawn(count):
    """So many graphs."""
    found = []

    @settings(GRAPHS, max_examples=count)
    @given(graphs())
    def keep(graph):
        found.append(graph)

    keep()
    return found


# --- every op by itself -----------------------------------------------------------------------------------------------

SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.75, 1e-40, 1e30, -1e30, 88.0, -750.0)
ROWS = ((1.0, np.nan), (np.inf, 1.0), (-np.inf, -np.inf), (np.inf, -np.inf), (80.0, 80.0), (-0.0, -0.0), (0.0, -np.inf))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_special_values(name, dtype):
    """Each with each other for two inputs; beside ordinary ones for a slope or a bound."""
    op = ELEMENTWISE[name]
    x = np.array(SPECIAL, dtype)
    count = len(op.signature.inputs)
    pair = (x[:, None], x)[2 - min(count, 2) :] if not op.signature.defaults else (x,)
    rest = [np.asarray(np.mean(bounds), dtype) for bounds in (op.domain or ())[len(pair) :]]
    xs = (np.array([True, False])[:, None], x, x[::-1]) if name == "where" else (*pair, *rest)
    assert len(xs) == count
    assert_step(Step(name, tuple(range(count)), {}), compiled(lambda *xs: op(*xs))(*xs), xs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_special_values_reduced(name, dtype):
    for axis in (0, 1, None):
        step = Step(name, (0,), {"axis": axis})
        x = np.array(ROWS, dtype)
        assert_step(step, compiled(lambda x, step=step: step.of([x]))(x), [x])


@pytest.mark.parametrize("name", COMPUTED)
def test_operands_in_any_layout(name):
    """The compiled op has the same bits for every layout of its operands, without being compiled again."""
    for sample in samples(COMPUTED[name]):
        own = compiled(sample.call)
        with np.errstate(all="ignore"):
            xs = [np.asarray(x) for x in sample.inputs]
            wanted = own(*xs)
            for layout in ("transposed", "reversed", "strided", "read-only"):
                assert_bits(own(*(layouts(x)[layout] for x in xs)), wanted)
        assert len(own.variants) == 1


# --- what is compared -------------------------------------------------------------------------------------------------


def test_graphs_are_of_every_kind():
    found = drawn(2000)
    steps = [[step for step in graph.steps if step is not None] for graph in found]
    inputs = [x for graph in found for x in graph.inputs]
    assert {len(one) for one in steps} >= {*range(2, 31)} - {29}
    assert len({str(one) for one in steps}) > 1800
    assert {step.name for one in steps for step in one} == NAMES
    assert {x.dtype.name for x in inputs} == set(DTYPES)
    assert sum(x.ndim == 0 for x in inputs) > 200
    assert sum(x.size == 0 for x in inputs) > 20
    assert sum(not np.isfinite(x).all() for x in inputs) > 200
    taken = [Counter(x for step in one for x in step.operands if type(x) is int) for one in steps]
    assert sum(max(count.values()) > 1 for count in taken) > 1000


@pytest.mark.parametrize("of", [lambda graph: graph.ends, lambda graph: ad.grad(graph.total, graph.floating)])
def test_bounds_are_narrow(of):
    """Of more than nine tenths of all elements of ends and gradients the bound is a small part of their value."""
    total = wide = 0
    for graph in drawn(200):
        f = of(graph)
        ends, errors = optree.tree_leaves(quietly(f, *graph.inputs)), quietly(errors_of, f, *graph.inputs)
        for end, error in zip(ends, errors, strict=True):
            values = np.abs(np.asarray(end, np.float64))
            total += values.size
            wide += np.sum(~(error <= 1e-4 * np.fmax(values, 1e-2)) & np.isfinite(values))
    assert total > 2000
    assert wide < 0.1 * total, (wide, total)


# --- agreement --------------------------------------------------------------------------------------------------------


@settings(GRAPHS, max_examples=2000)
@given(graphs())
def test_nodes_and_ends(graph):
    assert_nodes(graph)
    assert_results(graph.ends, *graph.inputs)


def test_a_power_of_a_half_is_a_root_where_it_is_one_in_numpy():
    """An exponent without axes: the root of −0 is −0, IEEE's power of it is 0."""
    x = np.array([-np.inf, -0.0, 4.0])
    infinite, *others = compiled(lambda x: ad.power(x, 0.5))(x)
    assert np.isnan(infinite)
    assert_bits(others, [-0.0, 2.0])
    assert_bits(compiled(lambda x: ad.power(x, np.full(3, 0.5)))(x), np.array([np.inf, 0.0, 2.0]))


@settings(GRAPHS, max_examples=300)
@given(graphs(mistaken=True))
def test_errors(graph):
    """What the function raises is what the compiled one raises, with the same words, data out of range included."""
    with pytest.raises(AdjointError) as eager:
        quietly(graph.ends, *graph.inputs)
    with pytest.raises(AdjointError) as native:
        quietly(compiled(graph.ends), *graph.inputs)
    assert native.type is eager.type
    assert str(native.value) == str(eager.value)


@settings(GRAPHS, max_examples=200)
@given(graphs(most=(3, 6, 10)))
def test_gradients(graph):
    assert_results(ad.grad(graph.total, graph.floating), *graph.inputs)


@settings(GRAPHS, max_examples=100)
@given(graphs(most=(3, 5)))
def test_gradients_of_order_2(graph):
    """Products of the second derivatives with a vector: a gradient of a gradient, and forward over reverse."""
    vectors = tuple(np.cos(np.arange(graph.inputs[i].size)).reshape(graph.inputs[i].shape) for i in graph.floating)

    def of(*active):
        given = dict(zip(graph.floating, active, strict=True))
        return graph.total(*(given.get(i, x) for i, x in enumerate(graph.inputs)))

    def twice(*xs):
        def along(*xs):
            gradients = ad.grad(of, tuple(range(len(xs))))(*xs)
            return sum(ad.sum(g * v) for g, v in zip(gradients, vectors, strict=True))

        return ad.grad(along, tuple(range(len(xs))))(*xs)

    points = [graph.inputs[i] for i in graph.floating]
    assert_results(twice, *points, ulps=16.0)
    assert_results(lambda *xs: ad.hvp(of, xs, vectors), *points, ulps=16.0)
