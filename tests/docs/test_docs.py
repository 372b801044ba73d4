"""README, guide and reference are true: their code runs, prints what they show, and their links lead somewhere."""

from __future__ import annotations

import doctest
import inspect
import math
import re
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scripts import pages, reference

import adjoint as ad
from adjoint.vocabulary import ARRAYS, REGISTRY

ROOT = Path(__file__).parents[2]
WRITTEN = sorted(path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])


def named(paths: list[Path]) -> Any:
    """A test for each page, named by its path."""
    return pytest.mark.parametrize("path", paths, ids=[str(p.relative_to(ROOT)) for p in paths])


@named(pages.pages())
@pytest.mark.usefixtures("own_ops")
def test_page_shows_what_its_code_prints(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # messages name places relative to where the program runs
    assert pages.refreshed(path, tolerant=True) == path.read_text(encoding="utf-8"), "make docs writes it anew"


@named(WRITTEN)
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        assert target.startswith("https://") or (path.parent / target).exists(), target


def test_reference_is_up_to_date() -> None:
    made = reference.files()
    assert {p.name for p in reference.FOLDER.glob("*.md")} == {p.name for p in made}
    for path, text in made.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: make docs writes it anew"


def test_every_public_name_is_in_the_reference() -> None:
    headings = re.findall(r"^### (.*)$", "".join(reference.files().values()), re.MULTILINE)
    shown = {name for heading in headings for name in re.findall(r"`(\w+)", heading)}
    public = [name for name in ad.__all__ if not inspect.ismodule(getattr(ad, name))]
    assert len(public) > 120
    assert [name for name in public if name not in shown] == []


def _public_functions() -> dict[str, Any]:
    modules = [name for page in reference.PAGES for name in page.modules]
    shown = {f"{m}.{n}": x for m in modules for n, x in reference.entries(import_module(f"adjoint.{m}")).items()}
    return {name: x for name, x in shown.items() if inspect.isfunction(x) or isinstance(x, ad.op.Op)}


@pytest.mark.parametrize("name", _public_functions())
def test_every_public_function_says_what_it_takes_and_gives(name: str) -> None:
    function = _public_functions()[name]
    doc = inspect.getdoc(function) or ""
    wanted = ["Example"]
    if inspect.signature(function).parameters:
        wanted.append("Parameters")
    if getattr(function, "__annotations__", {}).get("return") != "None":
        wanted.append("Returns")
    assert [title for title in wanted if f"\n{title}\n---" not in doc] == []


# --- docstrings of ops ----------------------------------------------------------------------------------------------


def test_docstring_of_an_op_is_filled_in_by_its_family() -> None:
    assert ad.maximum.__doc__ == (
        """The larger of two values, element by element; NaN if one is NaN.

out = max(x, y)

Parameters
----------
x, y : number, array or Tensor, of shapes that broadcast

Returns
-------
Of the broadcast shape: a Tensor if an input is one, else an array or a number.

Gradient: the max gate routes: the larger input gets all, the other 0. At a tie each gets half (the
minimum-norm subgradient), and against a constant nothing.

Raises
------
ShapeError
    If the shapes do not broadcast.
DTypeError
    For complex numbers, text or ragged lists.

Example
-------
>>> import adjoint as ad
>>> ad.grad(ad.maximum, argnums=(0, 1))(2.0, -1.0)
(1.0, 0.0)

Source: CS231n 2017, lecture 4, "max gate: gradient router"."""
    )


@pytest.mark.parametrize(
    ("op", "lines"),
    [
        (ad.exp, ["x : number, array or Tensor"]),
        (ad.leaky_relu, ["x, slope : number, array or Tensor, of shapes that broadcast (slope=0.01 if left out)"]),
        (ad.sum, ["axis : int, tuple of int, or None for all axes, default None", "keepdims : bool, default False"]),
        (ad.concatenate, ["xs : sequence of (number, array or Tensor)", "axis : int, default 0"]),
        (ad.reshape, ["x : number, array or Tensor", "shape : tuple of int"]),
    ],
    ids=lambda x: getattr(x, "name", ""),
)
def test_parameters_of_an_op(op: Any, lines: list[str]) -> None:
    parameters = op.__doc__.partition("Parameters\n----------\n")[2].partition("\n\nReturns")[0]
    assert parameters.splitlines()[-len(lines) :] == lines


def test_every_setting_of_an_op_is_described() -> None:
    ours = {name: op for name, op in REGISTRY.items() if op.__module__.startswith("adjoint.ops.")}
    assert len(ours) > 70
    assert [name for name, op in ours.items() if not set(op.signature.params) <= set(op.shared.settings)] == []


@pytest.mark.usefixtures("own_ops")
def test_docstring_of_a_users_op_may_be_short_or_missing() -> None:
    @ad.elementwise(name="test_documented")
    def documented(m: Any, x: Any) -> Any:
        """One line."""
        return x

    assert documented.__doc__.startswith("One line.\n\nParameters\n")
    assert ad.elementwise(lambda m, x: x).__doc__ is None


# --- add an op ------------------------------------------------------------------------------------------------------


@pytest.fixture
def added(own_ops: None, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the code of docs/add-an-op.md leaves behind, with its op under the public name that the page gives it."""
    names: dict[str, Any] = {"__name__": "__main__"}
    path = ROOT / "docs" / "add-an-op.md"
    for code in re.findall(r"^```python\n(.*?)^```\n", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        pages.run(code, names, path, 0)
    monkeypatch.setattr(ad, "mish", names["mish"], raising=False)
    return SimpleNamespace(**names)


def test_the_example_of_the_added_op_runs(added: SimpleNamespace) -> None:
    parsed = doctest.DocTestParser().get_doctest(added.mish.__doc__, {}, "mish", None, 0)
    assert doctest.DocTestRunner().run(parsed).failed == 0


def test_the_added_op_equals_its_reference(added: SimpleNamespace) -> None:
    x = np.array([-800.0, -30.0, -1.0, 0.0, 1e-9, 0.5, 30.0, 800.0, np.inf])
    np.testing.assert_allclose(added.mish(x), added.mish_reference(x), rtol=1e-14, atol=1e-300)
    assert ad.gradcheck(added.mish, x[1:7], order=2).skipped == ()


def test_the_added_kinks_are_as_declared(added: SimpleNamespace) -> None:
    for kink in added.hardtanh.kinks:
        assert ad.grad(added.hardtanh)(*kink.inputs) == kink.gradient[0]
    assert len(ad.gradcheck(added.hardtanh, np.array([-1.0, 0.5, 1.0])).skipped) >= 2


def test_the_words_on_the_page_are_words() -> None:
    text = (ROOT / "docs" / "add-an-op.md").read_text(encoding="utf-8")
    table = text.partition("<!-- words -->\n")[2].partition("\n\n")[0]
    words = re.findall(r"`(\w+)`", table)
    assert len(words) > 30
    assert [word for word in words if word not in vars(ARRAYS)] == []


@pytest.mark.usefixtures("own_ops")
@pytest.mark.parametrize(
    ("forward", "local"),
    [
        (lambda m, x: m.tanhh(x), None),
        (lambda m, x: x if x > 0.0 else 0.0, None),
        (lambda m, x: m.tanh(x), lambda m, out, x: 1.0 if x > 0.0 else 0.0),
        (lambda m, x: np.tanh(x), None),
        (lambda m, x: math.tanh(x), None),
        (lambda m, x: x**2.0, None),
        (lambda m, x: m.tanh(x), None),
        (lambda m, x: m.tanh(x), lambda m, out, x: 1.0 - out),
    ],
    ids=["word", "branch", "branch in a gradient", "numpy", "math", "power", "no rule", "wrong rule"],
)
def test_the_messages_on_the_page_are_said(forward: Any, local: Any) -> None:
    text = (ROOT / "docs" / "add-an-op.md").read_text(encoding="utf-8").partition("## What you may see")[2]
    op = ad.elementwise(name="test_on_the_page")(forward)
    if local is not None:
        op.local(local)
    with pytest.raises(Exception) as caught:  # noqa: PT011 (the page says which words, and the assertion compares)
        ad.gradcheck(op, 0.5)
    rows = [row.strip("… ") for row in re.findall(r"^\| `(.*?)` \|", text, re.MULTILINE)]
    assert any(row in str(caught.value) for row in rows), str(caught.value)
