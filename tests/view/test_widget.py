"""The widget of a notebook, without a browser: its traits, what stands beside it, and its error without the extra."""

import json
import sys
from importlib.resources import files

import pytest

import adjoint as ad
from adjoint.errors import ExtraMissingError
from adjoint.view import DocumentError, document, quiz, svg, text
from adjoint.view.html import viewer
from adjoint.view.widget import _kind, widget

BUILT = files("adjoint.view").joinpath("viewer.js").is_file()
pytestmark = pytest.mark.skipif(not BUILT, reason="no viewer.js: built in viewer/")
VIEW = "application/vnd.jupyter.widget-view+json"


def product():
    f = (ad.tensor(3.0, name="x") * ad.tensor(-4.0, name="y")).named("f")
    f.backward()
    return f


@pytest.fixture
def extra():
    pytest.importorskip("anywidget", reason="the extra notebook is not installed")


def bundle(shown):
    data, _ = shown._repr_mimebundle_()
    return data


@pytest.mark.usefixtures("extra")
def test_the_page_gets_module_document_and_settings():
    shown = widget(product(), height=300, theme="dark", language="zh")
    state = shown.get_state()
    assert state["document"] == document(product())
    assert (state["height"], state["options"]) == (300, {"theme": "dark", "language": "zh"})
    assert state["_esm"] == viewer()
    assert "render" in state["_esm"].rpartition("export{")[0]
    json.dumps({name: state[name] for name in ("document", "height", "options")}, allow_nan=False)


@pytest.mark.usefixtures("extra")
def test_svg_and_text_stand_beside_the_widget():
    found = bundle(widget(product()))
    assert found.keys() == {VIEW, "image/svg+xml", "text/plain"}
    assert found["text/plain"] == text(document(product()))
    assert found["image/svg+xml"] == svg(product())
    assert found[VIEW]["model_id"]


@pytest.mark.usefixtures("extra")
def test_another_document_is_shown_in_the_same_place():
    shown, seen = widget(lambda x: x * 2.0, 3.0), []
    shown.observe(seen.append, names="document")
    made = quiz(product(), hide=["x"])
    shown.document = made
    assert [change["new"] for change in seen] == [made]
    assert "[ ? ]" in bundle(shown)["text/plain"]
    assert widget(made).document == made


@pytest.mark.parametrize("wrong", [{"theme": "pink"}, {"language": "fr"}, {"height": 10}, {"height": "all"}])
def test_settings_that_there_are_not_are_refused(wrong):
    with pytest.raises(DocumentError, match="widget: expected a theme of"):
        widget(product(), **wrong)


def test_without_the_extra_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "anywidget", None)
    _kind.cache_clear()
    with pytest.raises(ExtraMissingError, match=r"pip install 'adjoint\[notebook\]'") as caught:
        widget(product())
    _kind.cache_clear()
    assert isinstance(caught.value, ImportError)
