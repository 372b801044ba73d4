"""What can be asked of a compiled function: its stages in words, its graph, a look inside."""

import numpy as np
import pytest

import adjoint as ad
from adjoint.errors import TraceError

X = np.linspace(-1.0, 1.0, 12, dtype=np.float32).reshape(3, 4)


def softmax_of_product():
    w = ad.Parameter(np.ones((4, 5), np.float32), name="w")
    return ad.compile(lambda x: ad.softmax(ad.relu(x @ w)))


def test_explain_says_every_stage_and_every_kernel():
    f = softmax_of_product()
    assert f.explain() == "<lambda>: not called yet, so nothing is compiled"
    f(X)
    said = f.explain()
    assert said.startswith("<lambda>: (float32[3, 4], float32[4, 5]) -> (float32[3, 5])\n")
    for stage in ("lowered:", "simplified:", "fused:", "memory:", "threads:"):
        assert f"\n{stage}" in said
    assert "product 3 × 4 × 5 with what follows from it; 135 operations" in said
    assert "rows 3 × vectors of" in said
    assert said.count("\nkernel ") == 2
    assert "test_looking.py" in said


def test_explain_moves_as_many_bytes_as_the_arrays_have():
    double = ad.compile(lambda x: x * 2.0)
    double(np.zeros(1000))
    assert "1,000 operations, 16 kB moved" in double.explain()


def test_explain_lists_what_numpy_computes():
    rng = ad.random.Generator(1)
    noisy = ad.compile(lambda x: ad.exp(x) + rng.normal((3, 4)))
    noisy(X)
    said = noisy.explain()
    assert "segments, since NumPy computes some of it:" in said
    assert "NumPy: random_normal float64[3, 4]" in said


@pytest.mark.parametrize(("stage", "names"), [("traced", {"matmul", "relu"}), ("lowered", {"matmul", "maximum"})])
def test_the_graph_of_a_stage(stage, names):
    f = softmax_of_product()
    f(X)
    graph = f.graph(stage)
    ops = {t.node.op.name for t in graph.nodes if t.node.op is not None}
    assert names <= ops
    assert "float32[3, 5]" in graph.text()


def test_the_graph_after_simplification_is_smaller():
    f = ad.compile(lambda x: ad.exp(x * 1.0) + ad.exp(x))
    f(X)
    ops = [t.node.op.name for t in f.graph("simplified").nodes if t.node.op is not None]
    assert sorted(ops) == ["add", "exp"]
    assert len(f.graph("traced").nodes) > len(f.graph("simplified").nodes)


def test_a_graph_that_is_not_there():
    f = softmax_of_product()
    with pytest.raises(TraceError, match=r"was not called yet, so nothing is compiled.*call it once"):
        f.graph()
    f(X)
    with pytest.raises(TraceError, match="expected one of the stages traced, lowered, simplified, got 'fused'"):
        f.graph("fused")
    with pytest.raises(TraceError, match="expected a result from 0 to 0, got 3"):
        f.graph(output=3)


def test_taps_of_a_compiled_step_go_on_training():
    net = ad.nn.Sequential(ad.nn.Linear(4, 6), ad.nn.ReLU(), ad.nn.Linear(6, 3))
    optimizer = ad.optim.SGD(net, lr=0.1)

    @ad.compile
    def step(x, y):
        loss = ad.nn.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    y = np.array([0, 1, 2])
    hidden = np.maximum(X @ net.layers[0].weight.value + net.layers[0].bias.value, 0)
    loss, taps = step.taps()(X, y)
    assert loss.item() > 0.0
    np.testing.assert_allclose(taps["net.layers.1"].value.mean.item(), hidden.mean(), rtol=1e-5)
    np.testing.assert_allclose(taps["net.layers.1"].value.zeros.item(), (hidden == 0).mean(), rtol=1e-6)
    assert optimizer.steps.item() == 1
    step(X, y)
    assert optimizer.steps.item() == 2
