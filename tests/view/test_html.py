"""The one-file HTML: what is in it, that nothing in a name gets out of its place, and that it is small."""

import base64
import gzip
import hashlib
import json
import re

import pytest

import adjoint as ad
from adjoint.view import DocumentError, document
from adjoint.view import html as module
from adjoint.view.document import to_bytes
from adjoint.view.html import ViewerMissingError, inline, to_html


def product():
    x, y = ad.tensor(3.0, name="x"), ad.tensor(-4.0, name="y")
    f = (x * y).named("f")
    f.backward()
    return f


def held(page):
    """What the data block of a page holds."""
    found = re.search(r'<script type="application/octet-stream" id="adjoint-document">([A-Za-z0-9+/=]*)</script>', page)
    return json.loads(gzip.decompress(base64.b64decode(found.group(1))))


def test_the_page_holds_the_document_and_its_settings():
    f = product()
    page = to_html(f, title="A <title>", language="zh", theme="dark")
    assert held(page) == {"document": document(f), "options": {"theme": "dark", "language": "zh"}}
    assert "<title>A &lt;title&gt;</title>" in page
    assert '<html lang="zh">' in page


def test_the_same_document_gives_the_same_bytes(tmp_path):
    made = document(product())
    pages = {to_html(made, tmp_path / name) for name in ("a.html", "b.html")}
    assert len(pages) == 1
    assert (tmp_path / "a.html").read_text("utf-8") in pages


def test_nothing_is_fetched_and_only_the_viewer_may_run():
    page = to_html(product())
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page).group(1)
    script = re.search(r'<script type="module">(.*)</script>\n</body>', page, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.split("; ")[:2] == ["default-src 'none'", f"script-src 'sha256-{digest}'"]
    assert "unsafe" not in policy
    head = page.split("<body>")[0]
    assert re.findall(r'(?:src|href)="([^"]*)"', head) == ["data:,"]


def test_a_script_in_a_string_ends_no_element():
    assert inline("a='</script>';b='<!--'") == "a='<\\/script>';b='<\\!--'"
    page = to_html(product())
    assert page.count("</script>") == 2
    assert "<!--" not in page


def test_names_reach_the_page_only_inside_the_packed_block():
    name = "</script><img src=x onerror=alert(1)>"
    x = ad.tensor(1.0, name=name)
    f = (x * 2.0).named("javascript:alert(2)//\u2028")
    page = to_html(f)
    assert "onerror" not in page.replace(inline(module.viewer()), "")
    assert held(page)["document"]["graph"]["nodes"]["label"] == document(f)["graph"]["nodes"]["label"]
    assert "\u2028" not in page.split("<script")[0]


def test_a_thousand_nodes_take_less_than_two_megabytes():
    x = ad.tensor(1.5, name="x")
    y = x
    for index in range(999):
        y = y * 1.001 if index % 2 else y + x
    y.backward()
    assert document(y)["graph"]["count"] == 1000
    assert len(to_html(y).encode()) < 2_000_000


def test_a_document_that_is_wrong_is_refused():
    made = document(product())
    made["graph"]["output"] = 99
    with pytest.raises(DocumentError, match=r"expected graph\.output among 3 nodes, got 99"):
        to_html(made)
    with pytest.raises(DocumentError, match="expected a theme of"):
        to_html(product(), theme="pink")
    with pytest.raises(DocumentError, match="expected a theme of"):
        to_html(product(), language="de")


def test_a_package_without_the_viewer_says_how_to_build_it(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "files", lambda _: tmp_path)
    module.viewer.cache_clear()
    with pytest.raises(ViewerMissingError, match="npm ci && npm run build"):
        to_html(product())
    module.viewer.cache_clear()


def test_the_document_in_the_page_is_a_document():
    made = document(product())
    assert to_bytes(held(to_html(made))["document"]) == to_bytes(made)
