"""Showing a graph where somebody sits: terminal and notebook."""

import sys
import types

import adjoint as ad
from adjoint.view import mimebundle, show


def branch():
    x, y = ad.tensor(3.0, name="x"), ad.tensor(2.0, name="y")
    f = (x * y).named("p") + x
    f.backward()
    return f


def test_a_terminal_gets_text_with_the_terms_of_branches(capsys):
    f = branch()
    show(f)
    assert capsys.readouterr().out == f.graph.text(ledger=ad.ledger(f)) + "\n"


def test_a_function_is_run_on_its_arguments(capsys):
    show(lambda x, y: x * y, 3.0, -4.0)
    assert "x ───" in capsys.readouterr().out


def test_a_notebook_gets_a_picture(monkeypatch, capsys):
    shown = []
    display = types.SimpleNamespace(display=lambda bundle, raw: shown.append((bundle, raw)))
    kernel = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: kernel, display=display))
    show(branch())
    ((bundle, raw),) = shown
    assert raw
    assert bundle["image/svg+xml"].startswith("<svg ")
    assert capsys.readouterr().out == ""


def test_a_bundle_holds_what_is_asked_for():
    graph = branch().graph
    assert mimebundle(graph, include=["text/plain"]).keys() == {"text/plain"}
    assert mimebundle(graph, exclude=["text/plain"]).keys() == {"image/svg+xml"}
    assert mimebundle(graph, None, None).keys() == {"text/plain", "image/svg+xml"}


def test_a_graph_draws_itself(tmp_path):
    """What Graph has of drawing is what the folder has."""
    graph = branch().graph
    assert graph.svg(tmp_path / "f.svg") == ad.view.svg(graph)
    assert (tmp_path / "f.svg").read_text(encoding="utf-8") == graph.svg() + "\n"
    page = graph.html(tmp_path / "f.html")
    assert (tmp_path / "f.html").read_text(encoding="utf-8").rstrip("\n") == page.rstrip("\n")
    assert ad.view.to_html(graph) == graph.html()
    assert graph._repr_mimebundle_().keys() == {"text/plain", "image/svg+xml"}
    assert ad.show is show
