"""The program of a compiled function is a graph as any other: every surface draws it, without values."""

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import adjoint as ad
from adjoint.errors import TraceError
from adjoint.view import document, svg, text
from adjoint.view.document import from_bytes, to_bytes
from adjoint.view.html import to_html
from adjoint.view.show import mimebundle, show

STAGES = ("traced", "lowered", "simplified")
X, W = np.ones((3, 2)), np.ones((2, 4))


@pytest.fixture
def compiled():
    @ad.compile
    def f(x, w):
        return ad.tanh(x @ w).sum() * 2.0

    f(X, W)
    return f


@pytest.mark.parametrize("stage", STAGES)
def test_every_surface_draws_every_stage(compiled, stage):
    graph = compiled.graph(stage)
    made = document(graph)
    assert from_bytes(to_bytes(made)) == made
    assert made["traces"] == []
    assert "float64[3, 2]" in graph.text()
    assert mimebundle(graph)["text/plain"] == graph.text()
    drawn = graph.svg()
    assert drawn == svg(made)
    written = [t.text for t in ET.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert {"float64[3, 2]", "float64[2, 4]", "float64[3, 4]", "float64[]"} <= set(written)
    assert to_html(graph) == to_html(made)


def test_the_traced_program_has_the_functions_own_ops(compiled):
    made = document(compiled.graph("traced"))
    assert [op["name"] for op in made["graph"]["ops"]] == ["matmul", "tanh", "sum", "multiply"]
    assert made["graph"]["constants"]["value"] == [2.0]


def test_the_text_of_the_document_is_that_of_the_graph(compiled):
    graph = compiled.graph("traced")
    assert text(document(graph)) == graph.text()


def test_a_compiled_function_is_a_subject_with_and_without_arguments(compiled, capsys):
    assert document(compiled) == document(compiled, X, W) == document(compiled.graph())
    show(compiled)
    assert re.search(r"input 0 ─+", capsys.readouterr().out)


def test_one_that_was_never_called_says_so():
    with pytest.raises(TraceError, match="was not called yet"):
        document(ad.compile(lambda x: x * 2.0))


def test_modules_of_a_compiled_network_are_there_as_far_as_the_compiler_keeps_them():
    net = ad.nn.Sequential(ad.nn.Linear(2, 3), ad.nn.ReLU())
    run = ad.compile(net)
    run(np.ones((4, 2), np.float32))
    made = document(run.graph("traced"))
    assert made["graph"]["count"] == len(made["graph"]["nodes"]["label"])
    assert "relu" in [op["name"] for op in made["graph"]["ops"]]
