"""The public names: sorted, documented, with examples; and light to import."""

import inspect
import subprocess
import sys
import types

import pytest

import adjoint as ad

HEAVY = ("scipy", "polars", "optree", "rich", "click", "opt_einsum", "safetensors", "llvmlite", "pandas", "sklearn")


def test_the_public_list_is_sorted_and_complete():
    assert list(ad.__all__) == sorted(set(ad.__all__))
    missing = [name for name in ad.__all__ if not hasattr(ad, name)]
    assert missing == []
    star = {}
    exec("from adjoint import *", star)  # noqa: S102 (what a user may write; the text is fixed)
    assert set(ad.__all__) <= set(star)


def _documented():
    return [
        name for name in ad.__all__ if not name.startswith("__") and not isinstance(getattr(ad, name), types.ModuleType)
    ]


@pytest.mark.parametrize("name", _documented())
def test_every_public_name_has_a_docstring_with_an_example(name):
    doc = inspect.getdoc(getattr(ad, name))
    assert doc, f"{name} has no docstring"
    assert ">>> " in doc, f"{name} has no example"
    assert doc.splitlines()[0].endswith((".", "…", ":")) or "." in doc.splitlines()[0], (
        f"{name}: the first line is no sentence"
    )


@pytest.mark.parametrize("name", [n for n in ad.__all__ if isinstance(getattr(ad, n), types.ModuleType)])
def test_every_public_module_says_what_it_is(name):
    assert getattr(ad, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'adjoint' has no attribute 'gradients_please'"):
        ad.gradients_please


def test_importing_is_light():
    code = f"""
import sys, numpy, adjoint as ad
x = ad.tensor([1.0, 2.0])
(x * x + ad.tensor(3.0)).sum().backward()
print(*[name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_drawing_does_not_load_the_compiler():
    code = """
import sys, adjoint as ad
ad.view.svg(ad.tensor(3.0) * ad.tensor(2.0))
print(*[name for name in ("llvmlite", "adjoint.compiler") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_error_derives_from_the_base_and_stands_in_the_tree():
    from adjoint import errors

    classes = [c for c in vars(errors).values() if inspect.isclass(c)]
    for c in classes:
        assert issubclass(c, errors.AdjointError)
        assert c.__name__ in (errors.__doc__ or "")
        assert c.__doc__
