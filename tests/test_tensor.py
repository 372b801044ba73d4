"""Tensor: what it tells about itself, that it never changes, and how values leave the graph."""

import copy
import gc
import pickle
import re
import weakref

import numpy as np
import pytest

import adjoint as ad
from adjoint.tensor import SLOTS, Tensor, attach


def test_a_tensor_tells_its_shape_dtype_and_size():
    x = ad.tensor(np.zeros((2, 3), np.float32), name="x")
    assert (x.shape, x.dtype, x.ndim, x.size, x.nbytes, len(x)) == ((2, 3), np.float32, 2, 6, 24, 2)
    assert (x.name, x.device, x.active) == ("x", "cpu", True)


def test_a_scalar_tells_the_same():
    x = ad.tensor(1.5)
    assert (x.shape, x.dtype, x.ndim, x.size, x.nbytes) == ((), np.float64, 0, 1, 8)


def test_every_property_works_on_every_kind_of_scalar():
    for t in (ad.tensor(3.0) > 2.0, ad.tensor(3.0) == 3.0, ad.tensor(3), ad.logical_not(ad.tensor(3.0))):
        assert t.shape == ()
        assert t.dtype.kind in "bi"
        assert t.node.dtype == t.dtype
        assert not t.active


def test_ids_rise_in_recording_order():
    x = ad.tensor(1.0)
    y = x + 1.0
    z = np.exp(y)
    assert x.id < y.id < z.id


def test_node_says_how_a_tensor_was_made():
    x, w = ad.tensor([1.0, 2.0], name="x"), np.array([3.0, 4.0])
    node = (x * w).node
    assert (node.op.name, node.op.symbol) == ("multiply", "×")
    assert node.inputs[0] is x
    np.testing.assert_array_equal(node.inputs[1], w)
    assert (node.shape, node.dtype, dict(node.params), node.scope) == ((2,), np.float64, {}, "")
    assert ad.sum(x, axis=0).node.params == {"axis": 0, "keepdims": False}


def test_the_node_of_a_leaf_has_no_op_and_no_inputs():
    for t in (ad.tensor(1.0), ad.constant(1.0), ad.Parameter(1.0), ad.Parameter([1.0]).read()):
        assert t.node.op is None
        assert t.node.inputs == ()


def test_node_is_immutable():
    with pytest.raises(AttributeError):
        ad.tensor(1.0).node.op = None  # type: ignore[misc]


# --- values never change --------------------------------------------------------------------------------------------


def test_values_and_gradients_are_read_only():
    x = ad.tensor([1.0, 2.0])
    y = x * x
    y.sum().backward()
    for array in (x.value, y.value, x.grad, y.grad, ad.tensor(1.0).value, np.asarray(x), x.numpy()):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0.0


def test_a_tensor_copies_the_array_it_is_made_of():
    array = np.array([1.0, 2.0])
    x, c, p = ad.tensor(array), ad.constant(array), ad.Parameter(array)
    array[:] = 100.0
    for t in (x, c, p):
        np.testing.assert_array_equal(t.value, [1.0, 2.0])


def test_an_array_changed_after_recording_does_not_change_the_gradient():
    x, array = ad.tensor([1.0, 2.0]), np.array([3.0, 4.0])
    elementwise, product = x * array, x @ array
    array[:] = 100.0

    elementwise.sum().backward()
    np.testing.assert_array_equal(x.grad, [3.0, 4.0])
    product.backward()
    np.testing.assert_array_equal(x.grad, [3.0, 4.0])


def test_an_index_array_changed_after_recording_does_not_change_the_gradient():
    x, key = ad.tensor([1.0, 2.0, 3.0]), np.array([0, 0])
    y = x[key]
    key[:] = 2
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [2.0, 0.0, 0.0])


def test_a_parameter_assigned_after_recording_does_not_change_the_gradient():
    w = ad.Parameter([1.0, 2.0])
    loss = (w * w).sum()
    w.assign([100.0, 100.0])
    loss.backward()
    assert loss.item() == 5.0
    np.testing.assert_array_equal(w.grad, [2.0, 4.0])


def test_the_upstream_array_stays_the_callers():
    x, upstream = ad.tensor([1.0, 2.0]), np.array([1.0, 10.0])
    (x * 2.0).backward(upstream)
    upstream[:] = 0.0
    np.testing.assert_array_equal(x.grad, [2.0, 20.0])


def test_a_view_of_a_value_does_not_follow_a_later_assign():
    w = ad.Parameter([1.0])
    before = w.value
    w.assign([2.0])
    np.testing.assert_array_equal(before, [1.0])


# --- leaving the graph ----------------------------------------------------------------------------------------------


def test_values_leave_the_graph_in_eager_code():
    x = ad.tensor(2.5)
    assert (x.item(), float(x), int(x), bool(x), x.tolist(), x.numpy()) == (2.5, 2.5, 2, True, 2.5, 2.5)
    assert f"{x:.2f}" == "2.50"
    assert ad.tensor([[1.0], [2.0]]).tolist() == [[1.0], [2.0]]
    assert [10, 20, 30][ad.tensor(1)] == 20


def test_detach_gives_a_constant_of_the_same_value():
    x = ad.tensor([1.0, 2.0], name="x")
    d = (x * x).detach()
    assert not d.active
    assert d.node.op is None
    (x * d).sum().backward()
    np.testing.assert_array_equal(x.grad, [1.0, 4.0])


@pytest.mark.parametrize("kept", ["value", "item", "detach", "numpy", "float"])
def test_a_list_of_stored_losses_does_not_keep_their_graphs_alive(kept):
    take = {
        "value": lambda t: t.value,
        "item": lambda t: t.item(),
        "detach": lambda t: t.detach(),
        "numpy": np.asarray,
        "float": float,
    }[kept]
    w = ad.Parameter([1.0, 2.0])
    gc.disable()
    try:
        stored, nodes = [], []
        for _ in range(3):
            hidden = w * 3.0
            loss = (hidden * hidden).sum()
            loss.backward()
            nodes += [weakref.ref(hidden), weakref.ref(loss)]
            stored.append(take(loss))
        del hidden, loss
        assert [node() for node in nodes] == [None] * 6
        assert len(stored) == 3
    finally:
        gc.enable()


def test_a_transform_leaves_no_graph_behind():
    nodes = []

    def f(x):
        y = x * x
        nodes.append(weakref.ref(y))
        return y.sum()

    gc.disable()
    try:
        ad.grad(f)(np.ones(3))
        ad.jvp(f, (np.ones(3),), (np.ones(3),))
        ad.jacobian(f)(np.ones(3))
        ad.hvp(f, (np.ones(3),), (np.ones(3),))
        assert [node() for node in nodes] == [None] * 4
    finally:
        gc.enable()


def test_a_tensor_is_neither_pickled_nor_deep_copied():
    with pytest.raises(ad.AdjointError, match=re.escape("a Tensor cannot be pickled or deep-copied")):
        pickle.dumps(ad.tensor(1.0))
    with pytest.raises(ad.AdjointError, match=re.escape("keep t.value")):
        copy.deepcopy(ad.tensor(1.0))


# --- like an ndarray ------------------------------------------------------------------------------------------------


def test_iteration_and_unpacking_stay_in_the_graph():
    x = ad.tensor([[1.0, 2.0], [3.0, 4.0]])
    first, second = x
    assert len(list(x)) == 2
    (first * second).sum().backward()
    np.testing.assert_array_equal(x.grad, [[3.0, 4.0], [1.0, 2.0]])


def test_a_scalar_has_no_length_and_no_elements():
    with pytest.raises(TypeError, match=re.escape("len() of a tensor of shape ()")):
        len(ad.tensor(1.0))
    with pytest.raises(TypeError, match=re.escape("iteration over a tensor of shape ()")):
        iter(ad.tensor(1.0))


def test_tensors_are_keys_by_identity():
    x, y = ad.tensor(1.0), ad.tensor(1.0)
    assert len({x: "x", y: "y"}) == 2


def test_augmented_assignment_makes_a_new_tensor():
    x = ad.tensor([1.0, 2.0])
    y = x
    y += 1.0
    y *= 2.0
    assert y is not x
    np.testing.assert_array_equal(x.value, [1.0, 2.0])
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [2.0, 2.0])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: ad.tensor(2.0), "tensor(2.)"),
        (lambda: ad.tensor([1.0, 2.5], name="x"), "tensor([1. , 2.5], name='x')"),
        (lambda: ad.tensor(np.float32([1, 2])), "tensor([1., 2.], dtype=float32)"),
        (lambda: ad.tensor([1, 2]), "constant([1, 2])"),
        (lambda: ad.constant(2.0, name="two"), "constant(2., name='two')"),
        (lambda: ad.Parameter([0.5], name="w"), "Parameter([0.5], name='w')"),
        (lambda: ad.State(0.1), "State(0.1)"),
        (lambda: ad.tensor(2.0) * 3.0, "tensor(6., op=multiply)"),
        (lambda: ad.tensor(2.0) > 3.0, "constant(False, op=greater)"),
        (lambda: ad.tensor([]), "tensor([])"),
    ],
)
def test_repr_is_readable(make, text):
    assert repr(make()) == text


def test_repr_of_a_large_tensor_is_short():
    assert len(repr(ad.tensor(np.zeros((1000, 1000))))) < 400


# --- slots for later folders ----------------------------------------------------------------------------------------


def test_every_slot_is_filled():
    of_tensor = {folder: names for folder, names in SLOTS.items() if folder != "view"}
    missing = [name for names in of_tensor.values() for name in names if name not in Tensor.__dict__]
    missing += [name for name in SLOTS["view"] if name not in ad.Graph.__dict__]
    assert missing == []


def test_attach_takes_exactly_what_the_slots_name():
    with pytest.raises(ad.AdjointError, match=re.escape("these differ: ['backward', 'sideways']")):
        attach("autodiff", {"sideways": None})


def test_subclasses_share_the_slots_and_add_no_dict():
    for t in (ad.tensor(1.0), ad.constant(1.0)):
        assert not hasattr(t, "__dict__")
