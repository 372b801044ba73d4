"""The graph document: what is in it, that it is the same for the same run, and that nothing broken is read."""

import copy
import json
import subprocess
import sys

import numpy as np
import pytest

import adjoint as ad
from adjoint.view import DocumentError, document, load, save
from adjoint.view.arrays import restored, written
from adjoint.view.document import from_bytes, to_bytes


def circuit():
    x, y, z = (ad.tensor(v, name=n) for v, n in ((-2.0, "x"), (5.0, "y"), (-4.0, "z")))
    return ((x + y).named("q") * z).named("f")


def network():
    net = ad.nn.Sequential(ad.nn.Linear(20, 12), ad.nn.ReLU(), ad.nn.Linear(12, 3))
    x = np.random.default_rng(0).normal(size=(8, 20))
    return ad.nn.cross_entropy(net(x), np.arange(8) % 3).named("loss")


# --- what is in it --------------------------------------------------------------------------------------------------


def test_the_lectures_circuit_as_columns():
    f = circuit()
    f.backward()
    made = document(f)
    nodes, edges, trace = made["graph"]["nodes"], made["graph"]["edges"], made["traces"][0]
    assert nodes["label"] == ["x", "y", "z", "q", "f"]
    assert nodes["formula"] == ["", "", "", "x + y", "q × z"]
    assert list(zip(edges["source"], edges["target"], edges["position"], strict=True)) == [
        (0, 3, 0),
        (1, 3, 1),
        (3, 4, 0),
        (2, 4, 1),
    ]
    assert trace["values"] == [-2.0, 5.0, -4.0, 3.0, -12.0]
    assert trace["gradients"] == [-4.0, -4.0, 3.0, -4.0, 1.0]
    assert trace["locals"] == [1.0, 1.0, -4.0, 3.0]
    assert trace["contributions"] == [-4.0, -4.0, -4.0, 3.0]


def test_local_gradients_are_known_before_a_backward_pass():
    f = circuit()
    (before,) = document(f)["traces"]
    assert before["locals"] == [1.0, 1.0, -4.0, 3.0]
    assert (before["contributions"], set(before["states"])) == ([None] * 4, {"unknown"})
    f.backward()
    assert document(f)["traces"][0]["locals"] == before["locals"]


def test_an_input_without_a_gradient_has_no_local_gradient():
    x, c = ad.tensor(3.0, name="x"), ad.constant(2.0, name="c")
    assert document(c * x)["traces"][0]["locals"] == [None, 2.0]
    assert document(x > 2.0)["traces"][0]["locals"] == [None]
    assert document(ad.maximum(x, 3.0))["traces"][0]["locals"] == [0.0], "a tie with a constant"


def test_the_contributions_of_a_branch_add_up_to_its_gradient():
    x, y = ad.tensor(3.0, name="x"), ad.tensor(2.0, name="y")
    f = x * x * y + ad.exp(x)
    f.backward()
    made = document(f)
    terms = [
        term
        for term, source in zip(made["traces"][0]["contributions"], made["graph"]["edges"]["source"], strict=True)
        if source == 0
    ]
    assert len(terms) == 3
    assert sum(terms) == pytest.approx(12.0 + np.exp(3.0), rel=1e-15)


def test_the_states_of_a_gradient_are_told_apart():
    x, y, z = (ad.tensor(v, name=n) for v, n in ((3.0, "x"), (2.0, "y"), (1.0, "z")))
    f = ad.maximum(x, y) + ad.constant(1.0, name="c") + ad.stop_gradient(z)
    assert set(document(f)["traces"][0]["states"]) == {"unknown"}
    f.backward()
    made = document(f)
    states = dict(zip(made["graph"]["nodes"]["label"], made["traces"][0]["states"], strict=True))
    assert [states[name] for name in "xyzc"] == ["value", "zero", "stopped", "none"]


def test_gradients_that_only_the_leaves_have_kept_are_unknown_elsewhere():
    f = circuit()
    f.backward(keep="leaves")
    assert document(f)["traces"][0]["states"] == ["value", "value", "value", "unknown", "unknown"]


def test_a_graph_without_data_has_no_trace():
    from adjoint.compiler.trace import trace

    (output,) = trace(lambda x: x * 2.0 + 1.0, [3.0]).outputs
    made = document(output)
    assert made["traces"] == []
    assert made["graph"]["nodes"]["caption"] == ["", "×2", "+1"]


def test_modules_are_calls_with_their_callers():
    made = document(network())
    modules = made["graph"]["modules"]
    assert [(m["path"], m["type"], m["parent"]) for m in modules] == [
        ("net", "Sequential", -1),
        ("net.layers.0", "Linear", 0),
        ("net.layers.1", "ReLU", 0),
        ("net.layers.2", "Linear", 0),
    ]
    assert made["graph"]["nodes"]["kind"].count("parameter") == 4


def test_anything_with_a_graph_has_a_document():
    f = circuit()
    trace = ad.Graph.of(lambda a, b: a * b, a=2.0, b=3.0).forward()
    net = ad.nn.Linear(2, 1)
    assert document(f) == document(f.graph)
    assert document(trace)["traces"][0]["values"] == [2.0, 3.0, 6.0]
    assert document(lambda a, b: a @ b, [1.0, 2.0], np.array([3.0, 4.0]))["graph"]["nodes"]["label"][:2] == ["a", "b"]
    assert document(net, [[1.0, 2.0]])["graph"]["nodes"]["kind"][0] == "constant"
    with pytest.raises(ad.AdjointError, match="expected a Graph, a Tensor, a module or a function, got str"):
        document("f")
    with pytest.raises(ad.AdjointError, match="to return a Tensor, got float"):
        document(lambda x: 3.0, 1.0)


# --- levels of detail -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("detail", ["structure", "statistics", "histograms", "full"])
def test_levels_write_more_and_more_and_small_arrays_always(detail):
    loss = network()
    loss.backward()
    made = document(loss, detail=detail)
    if detail == "structure":
        assert made["traces"] == []
        return
    nodes, trace = made["graph"]["nodes"], made["traces"][0]
    large = trace["values"][nodes["shape"].index([20, 12])]
    expected = {"statistics": {"statistics"}, "histograms": {"statistics", "histogram", "map"}, "full": {"data"}}
    assert large.keys() == expected[detail]
    assert trace["values"][nodes["shape"].index([12])].keys() == {"data"}
    assert trace["values"][-1] == loss.item()


def test_every_number_comes_back_bit_by_bit():
    loss = network()
    loss.backward()
    made = from_bytes(to_bytes(document(loss, detail="full")))
    nodes, trace = made["graph"]["nodes"], made["traces"][0]
    for index, t in enumerate(loss.graph.nodes):
        value = restored(trace["values"][index], tuple(nodes["shape"][index]), nodes["dtype"][index])
        assert value.dtype == t.dtype
        np.testing.assert_array_equal(value, t.value)


def test_numbers_that_json_lacks_are_strings():
    x = ad.tensor([np.nan, np.inf, -np.inf, -0.0, 5e-324], name="x")
    made = document(x)
    assert made["traces"][0]["values"][0]["data"] == ["nan", "inf", "-inf", -0.0, 5e-324]
    assert document(ad.tensor(2**60))["traces"][0]["values"] == [str(2**60)]
    back = restored(from_bytes(to_bytes(made))["traces"][0]["values"][0], (5,), "float64")
    np.testing.assert_array_equal(np.signbit(back), [False, False, True, True, False])
    assert [finding["node"] for finding in made["findings"]] == [0]


def test_statistics_are_those_of_the_finite_elements():
    value = np.arange(100.0).reshape(10, 10)
    value[0, 0], value[9, 9] = np.nan, np.inf
    found = written(value, "histograms")
    assert found["statistics"] == {
        **{"min": 1.0, "max": 98.0, "zeros": 0, "infinite": 2},
        **{"mean": pytest.approx(49.5), "std": pytest.approx(np.std(np.arange(1.0, 99.0)))},
    }
    assert sum(found["histogram"]["counts"]) == 98
    assert (found["map"]["rows"], found["map"]["columns"]) == (8, 10)
    assert found["map"]["data"][10:12] == [10.0, 11.0]


@pytest.mark.parametrize(
    "value",
    [
        np.full((9, 9), np.nan),
        np.zeros((9, 9)),
        np.array([-1.7e308, 1.7e308] * 45),
        np.linspace(0.0, 1e-320, 90),
        np.ones((70, 2), bool),
        np.zeros((0, 3)),
    ],
)
def test_summaries_of_odd_arrays_can_be_read(value):
    made = document(ad.constant(value), detail="histograms")
    assert from_bytes(to_bytes(made)) == made


def test_a_document_that_would_be_too_large_is_refused_before_it_is_made():
    x = ad.tensor(np.zeros((1000, 1000)), name="x")
    with pytest.raises(DocumentError, match=r"expected at most 1,000,000 bytes, .* try detail='histograms'"):
        document(x, detail="full", limit=1_000_000)
    assert document(x)["detail"] == "histograms"


# --- the same for the same run --------------------------------------------------------------------------------------

_RUN = """
import sys, numpy as np, adjoint as ad
from adjoint.view.document import document, to_bytes
[ad.tensor(1.0) for _ in range(int(sys.argv[1]))]
net = ad.nn.Sequential(ad.nn.Linear(20, 12), ad.nn.ReLU(), ad.nn.Linear(12, 3))
loss = ad.nn.cross_entropy(net(np.random.default_rng(0).normal(size=(8, 20))), np.arange(8) % 3)
loss.backward()
runs = {"t": {"loss": [0.5, float("nan")], "seconds": [float(sys.argv[1])]}}
sys.stdout.buffer.write(to_bytes(document(loss, runs=runs)))
"""


def test_identical_runs_give_identical_bytes():
    runs = [
        subprocess.run([sys.executable, "-c", _RUN, count], capture_output=True, check=True).stdout
        for count in ("0", "1000")
    ]
    assert runs[0] == runs[1]
    assert json.loads(runs[0])["runs"] == [{"title": "t", "series": {"loss": [0.5, "nan"]}}]


def test_no_file_is_named_by_its_place_on_this_machine():
    assert document(circuit())["graph"]["files"] == ["tests/view/test_document.py"]
    elsewhere = compile("import adjoint as ad\nx = ad.tensor(1.0)", "/home/somebody/secret/run.py", "exec")
    names = {}
    exec(elsewhere, names)  # noqa: S102 (code with a file name of another folder)
    assert document(names["x"])["graph"]["files"] == ["run.py"]


# --- reading --------------------------------------------------------------------------------------------------------


def test_a_document_is_read_as_it_was_written(tmp_path):
    made = document(network(), view={"budget": 20, "open": ["net@1"]})
    save(made, tmp_path / "a.json")
    assert load(tmp_path / "a.json") == made
    with pytest.raises(DocumentError, match="expected at most 100 bytes, got more"):
        load(tmp_path / "a.json", limit=100)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected JSON"),
        (b"\x80", "expected JSON"),
        (b"[]", "expected object at the document, got an array"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"format": NaN}', "NaN is no JSON number"),
        (b'{"format": 1e999}', "beyond the range of float64"),
        (b'{"format": 1, "format": 2}', "the same name twice"),
        (b"9" * 10_000, "expected JSON"),
    ],
)
def test_what_is_no_document_is_refused(content, message):
    with pytest.raises(DocumentError, match=message):
        from_bytes(content)


def test_a_document_of_version_1_is_read_without_what_its_gates_carry():
    made = document(circuit() * 2.0)
    older = copy.deepcopy(made) | {"version": 1}
    del older["graph"]["constants"]
    for row in older["graph"]["ops"]:
        del row["parts"]
    read = from_bytes(json.dumps(older))
    assert made["graph"]["constants"] == {"node": [5], "position": [1], "value": [2.0]}
    made["graph"]["constants"] = {"node": [], "position": [], "value": []}
    assert read == made


def _set(*path):
    *steps, last, value = path

    def change(made):
        for step in steps:
            made = made[step]
        made[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("version", 3), "expected one of 2 at version, got 3"),
        (_set("graph", "constants", "node", [0]), "expected 1 entries in graph.constants.position, got 0"),
        (_set("graph", "constants", {"node": [0], "position": [0], "value": [1.0]}), "to stand in an op, got node 0"),
        (
            _set("graph", "ops", 0, "parts", [{"op": "exp", "inputs": [{"part": 0}]}]),
            "expected one input or one earlier",
        ),
        (_set("graph", "count", 6), "expected 6 entries in graph.nodes.*, got 5"),
        (_set("graph", "output", 5), "expected graph.output among 5 nodes, got 5"),
        (_set("graph", "nodes", "op", 3, 9), "expected a place among 2 ops in graph.nodes.op, got 9"),
        (_set("graph", "nodes", "op", 3, -1), "expected an op for node 3 exactly if its kind is op"),
        (_set("graph", "nodes", "shape", 0, [-1]), r"expected at least 0 at graph.nodes.shape\[0\]\[0\], got -1"),
        (_set("graph", "nodes", "dtype", 0, "float7"), r"expected one of bool, .* at graph.nodes.dtype\[0\]"),
        (_set("graph", "nodes", "label", 0, None), r"expected string at graph.nodes.label\[0\], got None"),
        (_set("graph", "edges", "source", 0, 3), "expected edge 0 from a lower node to a higher below 5, got 3 to 3"),
        (_set("graph", "edges", "target", 0, 2), "expected edge 0 to end in an op, got node 2, a leaf"),
        (_set("graph", "edges", "target", 0, 5), "expected edge 0 from a lower node to a higher below 5, got 0 to 5"),
        (_set("graph", "edges", "position", []), "expected 4 entries in graph.edges.position, got 0"),
        (_set("traces", 0, "values", 0, {"data": [1.0, 2.0]}), r"expected 1 numbers, got 2 at traces\[0\].values\[0\]"),
        (_set("traces", 0, "values", 0, "three"), r"expected a number at traces\[0\].values\[0\], got 'three'"),
        (_set("traces", 0, "values", 0, 10**400), r"expected numbers of float64 at traces\[0\].values\[0\]"),
        (_set("traces", 0, "values", 0, None), "expected a value at traces"),
        (_set("traces", 0, "gradients", 0, None), "expected a gradient at .* exactly if its state says so"),
        (_set("traces", 0, "values", 0, {}), "expected a summary that can be drawn"),
        (_set("traces", 0, "states", 0, "lost"), r"expected one of unknown, .* at traces\[0\].states\[0\]"),
        (_set("view", "zoom", 3), "expected no 'zoom' in view"),
        (_set("view", "digits", 1000), "expected at most 17 at view.digits, got 1000"),
    ],
)
def test_a_damaged_document_is_refused_with_the_place(change, message):
    f = circuit()
    f.backward()
    made = copy.deepcopy(document(f))
    change(made)
    with pytest.raises(DocumentError, match=message):
        from_bytes(json.dumps(made))
