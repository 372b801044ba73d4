"""Leaves: tensor, constant, State and Parameter; what they accept, and that assigning does not rewrite history."""

import re

import numpy as np
import pytest

import adjoint as ad


@pytest.mark.parametrize(
    ("value", "dtype", "active"),
    [
        (1.0, "float64", True),
        ([1.0, 2.0], "float64", True),
        (np.float32(1.0), "float32", True),
        (np.ones(2, np.float16), "float16", True),
        (1, "int64", False),
        (True, "bool", False),
        (np.arange(3, dtype=np.int8), "int8", False),
        ([[1.0], [2.0]], "float64", True),
    ],
)
def test_tensor_keeps_the_dtype_and_is_active_for_floating_numbers(value, dtype, active):
    t = ad.tensor(value)
    assert (t.dtype, t.active) == (np.dtype(dtype), active)
    np.testing.assert_array_equal(t.value, value)


def test_a_dtype_can_be_asked_for():
    t = ad.tensor([1, 2], dtype="float32")
    assert (t.dtype, t.active) == (np.float32, True)
    assert ad.tensor([1.7], dtype=int).tolist() == [1]


def test_a_python_float_promotes_weakly_and_a_numpy_scalar_as_numpy_does():
    x = np.ones(2, np.float32)
    assert (ad.tensor(2.0) * x).dtype == np.float32
    assert (ad.tensor(np.float64(2.0)) * x).dtype == np.float64
    assert (ad.tensor(x) * 2).dtype == np.float32
    assert (ad.tensor(x) * np.float64(2.0)).dtype == (x * np.float64(2.0)).dtype


def test_a_gradient_has_the_dtype_of_its_tensor():
    x, y = ad.tensor(np.ones(2, np.float32)), ad.tensor(np.ones(2))
    (x * y).sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == (np.float32, np.float64)


def test_a_constant_gets_no_gradient():
    x, c = ad.tensor(2.0), ad.constant(3.0, name="c")
    y = x * c
    y.backward()
    assert (c.name, c.active, c.grad, x.grad) == ("c", False, None, 3.0)


def test_a_plain_number_in_an_expression_is_a_constant():
    x = ad.tensor([1.0, 2.0])
    ((3.0 + x) * np.array([1.0, 10.0]) / 2).sum().backward()
    np.testing.assert_array_equal(x.grad, [0.5, 5.0])


def test_a_tensor_made_of_a_tensor_has_its_value_and_no_history():
    x = ad.tensor([1.0, 2.0])
    y = ad.tensor(x * 2.0)
    assert (y.node.op, y.active) == (None, True)
    assert ad.tensor([x[0], 5.0]).tolist() == [1.0, 5.0]


@pytest.mark.parametrize("make", [ad.tensor, ad.constant, ad.Parameter, ad.State])
@pytest.mark.parametrize("bad", ["text", 1j, np.array([1j]), [[1.0], [2.0, 3.0]], None, object()])
def test_what_is_no_real_number_is_refused_in_words(make, bad):
    with pytest.raises(ad.errors.DTypeError, match=r"expected .*, at .*test_leaves.py:"):
        make(bad)


@pytest.mark.parametrize("make", [ad.tensor, ad.constant, ad.Parameter, ad.State])
def test_a_complex_dtype_is_refused(make):
    with pytest.raises(ad.errors.DTypeError, match="expected real numbers, got complex128"):
        make(1.0, dtype=complex)


# --- State and Parameter --------------------------------------------------------------------------------------------


def test_assign_copies_and_casts():
    w, array = ad.Parameter(np.zeros(2, np.float32)), np.array([1.0, 2.0])
    w.assign(array)
    array[:] = 9.0
    assert w.dtype == np.float32
    assert w.tolist() == [1.0, 2.0]
    w.assign(ad.tensor([3.0, 4.0]))
    assert w.tolist() == [3.0, 4.0]


def test_assign_of_another_shape_is_refused():
    w = ad.Parameter([1.0, 2.0], name="w")
    with pytest.raises(ad.errors.ShapeError, match=re.escape("assign: expected shape (2,), got (3,) (w), at ")):
        w.assign([1.0, 2.0, 3.0])
    assert w.tolist() == [1.0, 2.0]


def test_scalar_parameters_can_be_assigned():
    w = ad.Parameter(1.0)
    w.assign(2)
    (w * 3.0).backward()
    assert (w.item(), w.grad) == (2.0, 3.0)


def test_reads_of_one_value_are_one_node():
    w = ad.Parameter([1.0])
    read = w.read()
    assert w.read() is read
    w.assign([2.0])
    assert w.read() is not read
    assert (read.tolist(), w.read().tolist()) == ([1.0], [2.0])


def test_a_parameter_used_before_and_after_assign_adds_both():
    w = ad.Parameter(2.0)
    before = w * w
    w.assign(5.0)
    (before + w * 10.0).backward()
    assert w.grad == 2 * 2.0 + 10.0


def test_a_state_gets_no_gradient():
    s = ad.State([1.0, 2.0], name="s")
    x = ad.tensor([3.0, 4.0])
    (x * s).sum().backward()
    assert (s.grad, s.trainable, s.active) == (None, False, False)
    np.testing.assert_array_equal(x.grad, [1.0, 2.0])


def test_a_parameter_is_a_leaf_of_the_graph_with_its_name():
    w = ad.Parameter([1.0], name="w")
    assert [t.name for t in (w * 2.0).graph.leaves] == ["w"]


def test_a_frozen_parameter_gets_no_gradient_and_can_be_thawed():
    w, x = ad.Parameter([1.0, 2.0]), ad.tensor([3.0, 4.0])
    w.trainable = False
    (w * x).sum().backward()
    assert w.grad is None
    assert not w.active
    np.testing.assert_array_equal(x.grad, [1.0, 2.0])
    w.trainable = True
    (w * x).sum().backward()
    np.testing.assert_array_equal(w.grad, [3.0, 4.0])


def test_a_parameter_must_hold_floating_numbers():
    with pytest.raises(ad.errors.DTypeError, match="Parameter: expected floating numbers, got int64"):
        ad.Parameter([1, 2])


def test_backward_of_a_parameter_itself():
    w = ad.Parameter(3.0)
    w.backward()
    assert w.grad == 1.0


def test_update_in_place_is_refused():
    w = ad.Parameter([1.0], name="w")
    for update in ("__iadd__", "__isub__", "__imul__", "__itruediv__"):
        with pytest.raises(ad.errors.ImmutableError, match=re.escape("write p.assign(p.value - rate * p.grad)")):
            getattr(w, update)(1.0)
