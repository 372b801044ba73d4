"""Graph in the lecture's shape: forward(inputs) gives a trace with values, backward() its gradients."""

import re

import numpy as np
import pytest

import adjoint as ad


def circuit() -> ad.Graph:
    return ad.Graph.of(lambda x, y, z: ((x + y).named("q") * z).named("f"), x=-2.0, y=5.0, z=-4.0)


def test_nodes_are_in_recording_order_leaves_first_output_last():
    graph = circuit()
    assert [t.name for t in graph.nodes] == ["x", "y", "z", "q", "f"]
    assert [t.id for t in graph.nodes] == sorted(t.id for t in graph.nodes)
    assert [t.name for t in graph.leaves] == ["x", "y", "z"]
    assert (len(graph), graph.output.name, list(graph.inputs)) == (5, "f", ["x", "y", "z"])
    assert repr(graph) == "<Graph of 5 nodes: x, y, z → f>"


def test_the_graph_of_a_tensor():
    x, c = ad.tensor(2.0, name="x"), ad.constant(3.0)
    f = x * c + x * 5.0
    graph = f.graph
    assert graph.output is f
    assert set(graph.leaves) == {x, c}
    assert list(graph.inputs) == ["x"]
    assert graph.nodes[-1] is f
    assert ad.tensor(1.0).graph.nodes[0].value == 1.0


def test_forward_computes_every_node_anew_for_other_inputs():
    graph = circuit()
    trace = graph.forward({"x": 1.0, "y": 2.0, "z": 3.0})
    assert trace.output.item() == 9.0
    assert {name: v.item() for name, v in trace.values.items()} == {"x": 1.0, "y": 2.0, "z": 3.0, "q": 3.0, "f": 9.0}
    assert graph.output.item() == -12.0


def test_backward_gives_the_gradients_of_the_inputs_and_the_trace_holds_all():
    trace = circuit().forward({"x": 1.0, "y": 2.0, "z": 3.0})
    assert set(trace.gradients.values()) == {None}
    assert trace.backward() == {"x": 3.0, "y": 3.0, "z": 3.0}
    assert trace.gradients == {"x": 3.0, "y": 3.0, "z": 3.0, "q": 3.0, "f": 1.0}
    assert trace.backward(10.0) == {"x": 30.0, "y": 30.0, "z": 30.0}


def test_backward_of_the_graph_is_that_of_its_latest_trace():
    graph = circuit()
    assert graph.backward() == {"x": -4.0, "y": -4.0, "z": 3.0}
    graph.forward({"z": 7.0})
    assert graph.backward() == {"x": 7.0, "y": 7.0, "z": 3.0}


def test_inputs_that_are_left_out_keep_their_recorded_values():
    assert circuit().forward({"z": 2.0}).output.item() == 6.0
    assert circuit().forward().output.item() == -12.0


def test_a_later_trace_overwrites_nothing_of_an_earlier_one():
    graph = circuit()
    first = graph.forward({"x": 1.0})
    first.backward()
    second = graph.forward({"z": 100.0})
    second.backward()
    assert first.gradients == {"x": -4.0, "y": -4.0, "z": 6.0, "q": -4.0, "f": 1.0}
    assert second.gradients == {"x": 100.0, "y": 100.0, "z": 3.0, "q": 100.0, "f": 1.0}
    assert graph.inputs["x"].grad is None


def test_a_trace_finds_nodes_by_name_and_by_tensor():
    graph = circuit()
    trace = graph.forward({"x": 0.0})
    q = next(t for t in graph.nodes if t.name == "q")
    assert trace["q"] is trace[q]
    assert trace["q"].item() == 5.0
    with pytest.raises(ad.errors.GradientError, match=re.escape("one of ['f', 'q', 'x', 'y', 'z'], got 'r'")):
        trace["r"]


def test_arrays_and_parameters_of_ops_are_replayed():
    graph = ad.Graph.of(lambda W, x: ad.sum((W @ x) ** 2, axis=0), W=[[0.1, 0.5], [-0.3, 0.8]], x=[0.2, 0.4])
    np.testing.assert_allclose(graph.output.item(), 0.116)
    trace = graph.forward({"x": [1.0, -1.0]})
    np.testing.assert_allclose(trace.output.item(), 0.4**2 + 1.1**2)
    np.testing.assert_allclose(trace.backward()["x"], 2 * np.array([[0.1, -0.3], [0.5, 0.8]]) @ [-0.4, -1.1])


def test_whole_numbers_in_place_of_floating_inputs_become_floating():
    graph = ad.Graph.of(lambda x, y: (x * y).sum(), x=2.0, y=np.ones(2, np.float32))
    trace = graph.forward({"x": 3, "y": [1, 2]})
    assert trace["y"].dtype == np.float32
    gradients = trace.backward()
    assert gradients["x"] == 3.0
    np.testing.assert_array_equal(gradients["y"], [3.0, 3.0])


def test_tensors_can_be_given_and_keep_their_own_names():
    x, mine = ad.tensor(2.0, name="mine"), ad.tensor(5.0, name="other")
    graph = ad.Graph.of(lambda a: a * a, a=x)
    trace = graph.forward({"a": mine})
    assert trace.backward() == {"a": 10.0}
    assert (trace["a"], mine.name, x.name) == (mine, "other", "mine")
    assert mine.grad == 10.0


def test_parameters_of_a_graph_get_their_gradients():
    w = ad.Parameter([2.0, 3.0], name="w")
    graph = ad.Graph.of(lambda x: (w * x).sum(), x=np.array([1.0, 10.0]))
    graph.forward({"x": [5.0, 6.0]}).backward()
    np.testing.assert_array_equal(w.grad, [5.0, 6.0])


def test_a_shape_that_differs_is_refused():
    graph = ad.Graph.of(lambda x: x.sum(), x=[1.0, 2.0])
    with pytest.raises(ad.errors.ShapeError, match=re.escape("forward: expected shape (2,) for 'x', got (3,), at ")):
        graph.forward({"x": [1.0, 2.0, 3.0]})


def test_an_unknown_input_is_refused():
    expected = re.escape("forward: expected inputs among ['x', 'y', 'z'], got 'w', at ")
    with pytest.raises(ad.errors.GradientError, match=expected):
        circuit().forward({"w": 1.0})


def test_a_function_that_returns_no_tensor_is_refused():
    with pytest.raises(ad.errors.GradientError, match="expected the function to return a Tensor, got float"):
        ad.Graph.of(lambda x: 3.0, x=1.0)


def test_a_graph_of_integers_runs_forward():
    graph = ad.Graph.of(lambda x, y: x * y, x=3, y=-4)
    assert graph.output.item() == -12
    assert graph.forward({"x": 2.0, "y": 3.0}).backward() == {"x": 3.0, "y": 2.0}


def test_a_gate_in_a_graph_is_replayed_with_state_of_its_own():
    class Multiply(ad.Gate):
        def forward(self, x, y):
            self.x, self.y = x, y
            return x * y

        def backward(self, dz):
            return self.y * dz, self.x * dz

    graph = ad.Graph.of(lambda x, y: Multiply()(x, y), x=3.0, y=-4.0)
    first, second = graph.forward({"x": 1.0}), graph.forward({"y": 10.0})
    assert second.backward() == {"x": 10.0, "y": 3.0}
    assert first.backward() == {"x": -4.0, "y": 1.0}


def test_a_deep_graph_is_listed_and_replayed_without_recursion():
    def f(x):
        for _ in range(5000):
            x = x + 1.0
        return x

    graph = ad.Graph.of(f, x=0.0)
    assert len(graph) == 5001
    assert graph.forward({"x": 1.0}).output.item() == 5001.0
