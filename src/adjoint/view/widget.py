"""The viewer as a widget of a notebook, with the picture as SVG and text beside it.

Widgets vanish when a notebook is exported or opened without a kernel; what is beside the widget stays. The widget is an
anywidget, hence works wherever those do (JupyterLab, VS Code, Colab, marimo); it needs the extra `notebook`.

The page reads three traits: `document`, `height` and `options`. Assigning a document shows another graph in place.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from adjoint.errors import DocumentError, ExtraMissingError
from adjoint.recording import here
from adjoint.view.document import document
from adjoint.view.html import LANGUAGES, THEMES, viewer
from adjoint.view.svg import svg
from adjoint.view.text import text

SMALLEST = 120  # pixels


def widget(subject: Any, *args: Any, height: int = 480, theme: str = "auto", language: str | None = None) -> Any:
    """The viewer of a graph as a notebook shows it: the last line of a cell, or `display(widget(f))`.

    Parameters
    ----------
    subject : Graph, Tensor, Trace, Module, function, or a graph document, such as a `quiz`
        A module or function is run on the arguments, to record it.
    *args : numbers, arrays or Tensors
    height : int
        In pixels.
    theme : "auto", "light" or "dark"
    language : "en" or "zh", optional
        Without it, that of the reader's browser.

    Returns
    -------
    anywidget.AnyWidget
        Its trait `document` may be assigned; its MIME bundle also holds SVG and text.

    Raises
    ------
    ExtraMissingError
        anywidget is not installed.
    ViewerMissingError
        The viewer was not built into this package.
    DocumentError
        The height, the theme or the language is none that there is.
    GradientError
        The subject has no graph.

    Example
    -------
    >>> import adjoint as ad
    >>> f = (ad.tensor(3.0, name="x") * ad.tensor(-4.0, name="y")).named("f")
    >>> f.backward()
    >>> shown = widget(f)
    >>> shown.document["graph"]["nodes"]["label"], shown.height
    (['x', 'y', 'f'], 480)
    """
    if theme not in THEMES or language not in (None, *LANGUAGES) or type(height) is not int or height < SMALLEST:
        raise DocumentError(
            f"widget: expected a theme of {THEMES}, a language of {LANGUAGES} and a height of at least {SMALLEST}, "
            f"got {theme!r}, {language!r}, {height!r}{here()}"
        )
    options = {"theme": theme} | ({} if language is None else {"language": language})
    made = subject if isinstance(subject, dict) else document(subject, *args)
    return _kind()(document=made, height=height, options=options)


@cache
def _kind() -> Any:
    """The class of the widget, made when one is shown: neither anywidget nor the viewer is needed before."""
    try:
        import anywidget
        import traitlets
    except ImportError:
        fix = "pip install 'adjoint[notebook]', or show the SVG and text of the graph with ad.show"
        raise ExtraMissingError(f"widget: expected the package anywidget, which is not installed; {fix}") from None

    class GraphWidget(anywidget.AnyWidget):
        """A graph in a notebook."""

        _esm = viewer()
        document = traitlets.Dict().tag(sync=True)
        height = traitlets.Int(480).tag(sync=True)
        options = traitlets.Dict().tag(sync=True)

        def _repr_mimebundle_(self, **settings: Any) -> Any:
            """The widget, with SVG and text for where there are no widgets."""
            data, about = super()._repr_mimebundle_(**settings) or ({}, {})
            return data | {"text/plain": text(self.document), "image/svg+xml": svg(self.document)}, about

    return GraphWidget
