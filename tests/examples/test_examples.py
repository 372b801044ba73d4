"""Every example runs, with its own assertions, and its key numbers are those of the lecture.

An example runs in this process, as a script. What it leaves in its namespace is compared here with figures
that the slides or a few lines of NumPy give.
"""

import ast
import re
import runpy
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2] / "examples"
LECTURE = sorted(path.name for path in (ROOT / "lecture4").glob("*.py"))
EXAMPLES = ["tiny.py", *(f"lecture4/{name}" for name in LECTURE)]

# These two measure time, and the matrix products of one would slow the other's threads: they run alone.
TIMED = ("lecture4/11_neurons_as_matrix.py", "lecture4/12_two_layer_net.py")

# The lecture's items, in the order of the course, and the number of the example that shows each.
ITEMS = {
    "(x + y) z": "01",
    "sigmoid neuron": "02",
    "what each gate does": "03",
    "linear classifier": "04",
    "max(0, x) on 4,096": "05",
    "‖w x‖²": "06",
    "multiply gate and a graph object": "07",
    "caffe": "08",
    "svm and softmax losses by hand": "09",
    "biological neuron does beyond": "10",
    "loop of neurons against one matrix product": "11",
    "two-layer network in 20 lines": "12",
    "three-layer network, in three lines": "13",
    "gradient descent": "14",
    "numerical against analytic gradient": "15",
}


@cache
def run(name: str) -> dict[str, Any]:
    """The namespace that the example leaves behind, and under "printed" what it wrote."""
    with redirect_stdout(StringIO()) as printed:
        names = runpy.run_path(str(ROOT / name), run_name="__main__")
    return names | {"printed": printed.getvalue()}


def marked(name: str) -> Any:
    """The example as a test's parameter, marked if it is timed."""
    return pytest.param(name, marks=pytest.mark.timing if name in TIMED else ())


@pytest.mark.parametrize("name", list(map(marked, EXAMPLES)))
def test_example_runs_and_prints(name: str) -> None:
    assert len(run(name)["printed"].splitlines()) >= 3


def test_add_multiply_has_the_slides_numbers() -> None:
    names = run("lecture4/01_add_multiply.py")
    assert {name: names[name].value.item() for name in "qf"} == {"q": 3, "f": -12}
    gradients = {name: names[name].grad.item() for name in "fqxyz"}
    assert gradients == {"f": 1, "q": -4, "x": -4, "y": -4, "z": 3}


def test_sigmoid_neuron_prints_the_slides_decimals() -> None:
    names = run("lecture4/02_sigmoid_neuron.py")
    wires = [names[name] for name in ("exponential", "denominator", "f")]
    assert [f"{wire.item():.2f}" for wire in wires] == ["0.37", "1.37", "0.73"]
    gradients = [names[name].grad.item() for name in ("w0", "x0", "w1", "x1", "w2")]
    assert [f"{gradient:.2f}" for gradient in gradients] == ["-0.20", "0.39", "-0.39", "-0.59", "0.20"]


def test_gates_circuit_has_the_notes_numbers() -> None:
    names = run("lecture4/03_gates.py")
    assert names["f"].item() == -20
    assert [names[name].grad.item() for name in "xyzw"] == [-8, 6, 2, 0]


def test_linear_classifier_has_the_notes_loss() -> None:
    names = run("lecture4/04_linear_classifier.py")
    assert f"{names['data_loss'].item():.2f}" == "1.58"


def test_l2_vector_has_the_slides_numbers() -> None:
    names = run("lecture4/06_l2_vector.py")
    np.testing.assert_allclose(names["q"].grad, [0.44, 0.52], rtol=1e-14)
    np.testing.assert_allclose(names["x"].grad, [-0.112, 0.636], rtol=1e-14)


def test_rectifier_costs_numbers_not_their_square() -> None:
    names = run("lecture4/05_max_4096.py")
    assert names["dense"] == 134_217_728
    assert names["peak"] < 1_000_000


@pytest.mark.timing
def test_two_layer_net_trains_as_numpy_does() -> None:
    names = run("lecture4/12_two_layer_net.py")
    assert len(names["losses"]) == 2000
    np.testing.assert_allclose(names["losses"], names["expected"], rtol=1e-10)


@pytest.mark.timing
def test_neurons_loop_is_slower_than_the_matrix() -> None:
    names = run("lecture4/11_neurons_as_matrix.py")
    assert names["loop_time"] > 2 * names["matrix_time"]


def test_every_item_of_the_lecture_has_one_example() -> None:
    assert [name[:2] for name in LECTURE] == list(ITEMS.values())
    for (item, number), name in zip(ITEMS.items(), LECTURE, strict=True):
        document = " ".join(docstring(f"lecture4/{name}").lower().split())
        assert item in document, f"{number} does not say that it shows: {item}"
        assert "lecture 4" in document


def test_index_names_every_example() -> None:
    linked = re.findall(r"\]\(([\w/]+\.py)\)", (ROOT / "README.md").read_text())
    assert linked == EXAMPLES


def test_tiny_can_be_read_in_one_sitting() -> None:
    assert len((ROOT / "tiny.py").read_text().splitlines()) <= 100


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_uses_public_names_only(name: str) -> None:
    tree = ast.parse((ROOT / name).read_text())
    private = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and hidden(node.attr)]
    imported = [module for node in ast.walk(tree) for module in imports(node)]
    assert private == []
    assert [module for module in imported if module.startswith("adjoint")] == ["adjoint"]


def docstring(name: str) -> str:
    return ast.get_docstring(ast.parse((ROOT / name).read_text())) or ""


def hidden(attribute: str) -> bool:
    return attribute.startswith("_") and not attribute.endswith("__")


def imports(node: ast.AST) -> list[str]:
    """Modules that a statement imports; none for other statements."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []
