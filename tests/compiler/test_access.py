"""Views as strides, and axes through them: each element found where NumPy finds it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.compiler.random_programs import Steps

from adjoint.abstract import Abstract
from adjoint.compiler.access import VIEWS, Axis, lifted, lowered, operand_axes, part, standing, view
from adjoint.compiler.program import Builder, Program, evaluate


def array(*shape):
    return np.arange(np.prod(shape, dtype=int), dtype=np.int64).reshape(shape)


def viewed(build, content):
    """The value that `build(builder, x)` makes of an input like an array, and what it is for that array."""
    builder = Builder()
    x = builder.input(Abstract.of(content))
    value = build(builder, x)
    (result,) = evaluate(builder.program([x], [value]), [content])
    return value, result


def read(place, content):
    """The elements of a view, by its offset and strides."""
    steps = np.array(place.strides, int).reshape(-1, *(1,) * len(place.shape))
    return content.reshape(-1)[place.offset + (np.indices(place.shape) * steps).sum(axis=0, dtype=int)]


def random_view(draw):
    """Views of views of an input of different numbers."""
    steps = Steps(draw)
    shape = tuple(draw(st.lists(st.sampled_from((1, 2, 3, 4)), max_size=4)))
    x = steps.builder.input(Abstract(shape, np.dtype(np.int64)))
    steps.add(x)
    for _ in range(draw(st.integers(1, 6))):
        getattr(steps, draw(st.sampled_from(("reshape", "merge", "transpose", "broadcast", "slice"))))()
    return x, [value for value in steps.pool if value is not x and root(value) is x]


def root(value):
    """What a chain of views begins with."""
    while value.kind in VIEWS:
        (value,) = value.inputs
    return value


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_view_has_the_elements_that_numpy_has(data):
    x, values = random_view(data.draw)
    content = array(*x.shape)
    for value in values:
        place = view(value)
        if place.base is x:
            (result,) = evaluate(_program(x, value), [content])
            np.testing.assert_array_equal(read(place, content), result)
            same = result.shape == place.shape and np.array_equal(result.reshape(-1), content.reshape(-1))
            assert place.whole is bool(same), value


def _program(x, output):
    """What is computed of x alone."""
    needed, stack = {x.number: x}, [output]
    while stack:
        value = stack.pop()
        needed[value.number] = value
        stack += value.inputs
    return Program(tuple(value for _, value in sorted(needed.items())), (x,), (output,))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_axes_of_a_view_and_of_its_operand_run_through_the_same_elements(data):
    """Read both with an index of each axis: the same element, wherever the axes correspond."""
    x, values = random_view(data.draw)
    content = array(*x.shape)
    for value in values:
        operand = value.inputs[0]
        if 0 in value.shape:
            continue
        (above,), (below,) = (evaluate(_program(x, v), [content]) for v in (value, operand))
        axes = tuple(None if n == 1 else Axis(n) for n in value.shape)
        under = lowered(value, axes)
        if under is not None:
            index = {axis: data.draw(st.integers(0, axis.size - 1)) for axis in axes if axis}
            assert at(above, axes, index) == at(below, under, index), value
        axes = tuple(None if n == 1 else Axis(n) for n in operand.shape)
        over = lifted(value, axes)
        if over is not None:
            index = {axis: data.draw(st.integers(0, axis.size - 1)) for axis in axes if axis}
            assert at(above, over, index) == at(below, axes, index), value


def at(content, axes, index):
    """The element where the axes have these indices; the first along an axis that is none."""
    return content[tuple(0 if axis is None else index[axis] for axis in axes)]


@pytest.mark.parametrize(
    ("build", "strides", "offset"),
    [
        (lambda b, x: b.shaped("transpose", x, axes=(2, 0, 1)), (1, 12, 4), 0),
        (lambda b, x: b.shaped("reshape", x, shape=(6, 2, 2)), (4, 2, 1), 0),
        (lambda b, x: b.shaped("reshape", x, shape=(2, 1, 12)), (12, 0, 1), 0),
        (lambda b, x: b.shaped("broadcast", x, shape=(5, 2, 3, 4)), (0, 12, 4, 1), 0),
        (lambda b, x: b.shaped("slice", x, key=(slice(None, None, -1), 1)), (-12, 1), 16),
        (lambda b, x: b.shaped("slice", x, key=(1, None, slice(2, 0, -2), 3)), (0, 0), 23),
        (lambda b, x: b.shaped("slice", x, key=(1, 2, 3)), (), 23),
    ],
)
def test_offset_and_strides(build, strides, offset):
    value, _ = viewed(build, array(2, 3, 4))
    assert (view(value).strides, view(value).offset) == (strides, offset)


def test_a_reshape_of_scattered_elements_is_no_view():
    value, _ = viewed(lambda b, x: b.shaped("reshape", b.shaped("transpose", x, axes=(1, 0)), shape=(6,)), array(2, 3))
    assert view(value).base is value
    assert view(value).whole


def test_a_reshape_within_a_long_axis_is_one():
    """A transposition of two blocks, whose columns are then split."""

    def build(b, x):
        return b.shaped("reshape", b.shaped("transpose", x, axes=(1, 0)), shape=(2, 3, 4))

    value, _ = viewed(build, array(4, 6))
    assert view(value).strides == (3, 1, 6)


def test_views_of_nothing():
    value, _ = viewed(lambda b, x: b.shaped("reshape", b.shaped("slice", x, key=(slice(0, 0),)), shape=(0,)), array(2))
    assert (view(value).shape, view(value).offset) == ((0,), 0)


def test_strides_of_an_array():
    assert standing(()) == ()
    assert standing((2, 1, 3)) == (3, 0, 1)


def test_a_part():
    assert part((4, 6), (6, 1), (slice(None, None, -2), 5)) == (23, (2,), (-12,))


def test_what_turns_an_axis_round_or_leaves_some_out_has_no_axes_below():
    for key in ((slice(None, None, -1),), (slice(1, None),)):
        value, _ = viewed(lambda b, x, key=key: b.shaped("slice", x, key=key), array(3, 4))
        assert lowered(value, tuple(Axis(n) for n in value.shape)) is None


def test_axes_of_a_broadcast_operand():
    rows, columns = Axis(3), Axis(4)
    assert operand_axes((rows, columns), (4,)) == (columns,)
    assert operand_axes((rows, columns), (3, 1)) == (rows, None)
    assert repr(rows) == "axis of 3"
