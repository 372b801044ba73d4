"""One HTML file that shows a graph anywhere: the viewer and the document inside it, and no request at all.

Concepts here: the page, whose policy forbids everything but the one script that is written in it; and the data block,
the document as gzip in base64, so that nothing in a name can end the block or be read as a tag. The script is named in
the policy by its hash: a script that a name might smuggle in would not run even if there were a way in.

The viewer is `viewer.js`, which is built from the folder `viewer` of the repository and is part of every release.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from adjoint.atomic import write_atomically
from adjoint.errors import DocumentError, ViewerMissingError
from adjoint.view.document import checked, document
from adjoint.view.escape import escaped

THEMES: Final = ("auto", "light", "dark")
LANGUAGES: Final = ("en", "zh")
_STYLE: Final = "html,body,#adjoint{height:100%;margin:0}"

_PAGE: Final = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<div id="adjoint"></div>
<noscript>{noscript}</noscript>
<script type="application/octet-stream" id="adjoint-document">{data}</script>
<script type="module">{script}</script>
</body>
</html>
"""


def to_html(
    subject: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    title: str | None = None,
    language: str | None = None,
    theme: str = "auto",
) -> str:
    """The viewer with a graph in it, as one HTML file that works from the disk, offline.

    Parameters
    ----------
    subject : Graph, Tensor, Trace, function without arguments, or a graph document, such as a `quiz`
    path : path, optional
        A file to write as well, whole or not at all.
    title : str, optional
        Title of the page; without one, the name of the output.
    language : "en" or "zh", optional
        Without it, that of the reader's browser.
    theme : "auto", "light" or "dark"
        Colours; "auto" follows the setting of who looks at it.

    Returns
    -------
    str

    Raises
    ------
    DocumentError
        The subject is a document with something wrong in it, or the theme or language is unknown.
    GradientError
        The subject has no graph.
    ViewerMissingError
        The viewer was not built into this package.
    OSError
        The file cannot be written.

    Example
    -------
    >>> import adjoint as ad
    >>> f = (ad.tensor(3.0, name="x") * ad.tensor(-4.0, name="y")).named("f")
    >>> f.backward()
    >>> page = to_html(f)
    >>> page[:15], "http:" in page.split("<script")[0]
    ('<!doctype html>', False)
    """
    made = checked(subject) if isinstance(subject, dict) else document(subject)
    if theme not in THEMES or language not in (None, *LANGUAGES):
        raise DocumentError(
            f"html: expected a theme of {THEMES} and a language of {LANGUAGES}, got {theme}, {language}"
        )
    options = {"theme": theme} | ({} if language is None else {"language": language})
    name = title if title is not None else made["graph"]["nodes"]["label"][made["graph"]["output"]]
    page = _page(made, options, name, language or "en")
    if path is not None:
        write_atomically(path, page.encode("utf-8"))
    return page


def _page(made: Mapping[str, Any], options: Mapping[str, Any], title: str, language: str) -> str:
    script = viewer()
    return _PAGE.format(
        language=language,
        policy=_policy(script),
        title=escaped(title),
        style=_STYLE,
        noscript="This page needs JavaScript to show its graph. It makes no request.",
        data=_packed({"document": made, "options": options}),
        script=script,
    )


def _packed(content: Mapping[str, Any]) -> str:
    """JSON as gzip in base64; without a clock, so that the same document gives the same bytes."""
    text = json.dumps(content, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode("ascii"), compresslevel=9, mtime=0)).decode("ascii")


def _policy(script: str) -> str:
    """Nothing is fetched, and only this script and this style are used."""
    rules = {
        "default-src": "'none'",
        "script-src": f"'{_hash(script)}'",
        "style-src": f"'{_hash(_STYLE)}'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


@cache
def viewer() -> str:
    """The module of the viewer, so that it can stand in a script element."""
    file = files("adjoint.view").joinpath("viewer.js")
    if not file.is_file():
        raise ViewerMissingError(
            "html: expected viewer.js in the package adjoint.view, which was not built into it; "
            "in the repository: cd viewer && npm ci && npm run build"
        )
    return inline(file.read_text("utf-8"))


def inline(script: str) -> str:
    """A script without what would end or hide the element it stands in; in a string, a backslash changes nothing."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--").replace("\r\n", "\n")
