"""Quizzes: a document in which chosen labels are blank until a reader has found the numbers.

The numbers stay in the document, so that a page can check answers offline; text and SVG print `[ ? ]` in their place,
in the picture and in its description.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

from adjoint.errors import DocumentError
from adjoint.recording import here
from adjoint.view.arrays import number, restored
from adjoint.view.document import Document
from adjoint.view.patterns import LANGUAGES
from adjoint.view.references import document_of, places

WHAT: Final = ("gradient", "value")
_COLUMNS: Final = {"gradient": "gradients", "value": "values"}


def quiz(subject: Any, hide: Iterable[Any], what: str = "gradient", *, tolerance: float | None = None) -> Document:
    """The document in which some values or gradients are blank.

    An answer a is right if |a − x| ≤ tolerance. Without a tolerance 1 % of |x|, and of numbers of at least 0.05 what
    two decimals round away (0.005).

    Parameters
    ----------
    subject : Graph, Tensor, Trace, function without arguments, or a document
        Of a document that is a quiz, the blanks remain and new ones are added.
    hide : iterable of Tensor, str or int
        The nodes, by themselves, by label ("q", "#7") or by number.
    what : "gradient" or "value"
    tolerance : float, optional

    Returns
    -------
    dict
        A document; its `view.quiz` says what is blank, how far off an answer may be, and the rule to be shown then.

    Raises
    ------
    DocumentError
        A node is not in the graph, or has no such number: before a backward pass there are no gradients.

    Example
    -------
    >>> import adjoint as ad
    >>> x, y = ad.tensor(3.0, name="x"), ad.tensor(-4.0, name="y")
    >>> f = (x * y).named("f")
    >>> f.backward()
    >>> made = quiz(f, hide=["x"])
    >>> made["view"]["quiz"][0]["tolerance"], made["view"]["quiz"][0]["rule"]["en"]
    (0.04, 'f = x × y: multiply swaps: each input gets upstream × the other input')
    >>> print(ad.view.text(made))
            3
    x ───────────╮
       ∂ [ ? ]   │      -12
                (×)─ f ──────
            -4   │      ∂ 1
    y ───────────╯
           ∂ 3
    """
    made = document_of(subject)
    if what not in WHAT:
        raise DocumentError(f"quiz: expected {' or '.join(WHAT)}, got {what!r}{here()}")
    asked = {(question["node"], question["what"]): question for question in made["view"].get("quiz", ())}
    for node in places(subject, made, hide, "quiz"):
        allowed = _tolerance(made, node, what) if tolerance is None else tolerance
        rule = {language: _rule(made, node, what, language) for language in LANGUAGES}
        asked[node, what] = {"node": node, "what": what, "tolerance": number(float(allowed)), "rule": rule}
    questions = sorted(asked.values(), key=lambda question: (question["node"], question["what"]))
    return made | {"view": made["view"] | {"quiz": questions}}


def _tolerance(made: Document, node: int, what: str) -> float:
    """How far off an answer may be; DocumentError where there is nothing to be asked."""
    nodes, traces = made["graph"]["nodes"], made["traces"]
    entry = traces[-1][_COLUMNS[what]][node] if traces else None
    found = restored(entry, tuple(nodes["shape"][node]), nodes["dtype"][node])
    if found is None or found.size == 0:
        fix = "; call backward first" if what == "gradient" else ""
        raise DocumentError(f"quiz: expected a {what} at {nodes['label'][node]}, which has none{here()}{fix}")
    largest = float(np.max(np.abs(np.nan_to_num(found.astype(np.float64)))))
    return max(0.01 * largest, min(0.005, 0.1 * largest))


def _rule(made: Document, node: int, what: str, language: str) -> str:
    """The formula of a value; of a gradient, what each gate does that uses the node."""
    graph = made["graph"]
    formula, label = graph["nodes"]["formula"], graph["nodes"]["label"]
    if what == "value":
        return f"{label[node]} = {formula[node]}" if formula[node] else _GIVEN[language]
    pairs = zip(graph["edges"]["source"], graph["edges"]["target"], strict=True)
    users = list(dict.fromkeys(target for source, target in pairs if source == node))
    texts = [f"{label[user]} = {formula[user]}{_said(graph, user, language)}" for user in users]
    if node == graph["output"]:
        return _SEED[language]
    return "; ".join(texts + ([_SUM[language]] if len(users) > 1 else []))


def _said(graph: Mapping[str, Any], user: int, language: str) -> str:
    pattern = graph["ops"][graph["nodes"]["op"][user]]["pattern"]
    return f": {pattern[language]}" if pattern else ""


_GIVEN: Final = {"en": "given", "zh": "已知"}
_SEED: Final = {"en": "the gradient of the output is 1", "zh": "输出的梯度是 1"}
_SUM: Final = {"en": "at a branch gradients add up", "zh": "分支处的梯度相加"}
