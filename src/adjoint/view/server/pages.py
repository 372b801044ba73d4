"""The page of the studio, its style and scripts, and the page in their place where the viewer was not built."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>adjoint studio</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/studio.css">
</head>
<body>
<div id="studio"></div>
<script type="module" src="/studio.js"></script>
</body>
</html>
"""
SCRIPT: Final = """import { mount } from "/viewer.js";

const status = await (await fetch("/api/status")).json();
const { kind, id } = status.first;
const document_ = kind === "document" ? await (await fetch(`/api/documents/${id}`)).json() : null;
mount(document.getElementById("studio"), document_, {
  view: { document: "graph", run: "training" }[kind] ?? "playground",
  page: true,
  server: { base: "", token: "" },
});
"""
STYLE: Final = """html, body, #studio { height: 100%; margin: 0; }
"""
NOT_BUILT: Final = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>adjoint studio</title><link rel="icon" href="data:,"></head>
<body>
<h1>The viewer is not built</h1>
<p>This copy of adjoint has no viewer.js: it comes from a source tree. Build it with Node:</p>
<pre>cd viewer
npm ci
npm run build</pre>
<p>and load this page again. A wheel of adjoint has it inside.</p>
</body>
</html>
"""


@cache
def viewer() -> bytes | None:
    """The built viewer, if this copy has one."""
    source = files("adjoint.view").joinpath("viewer.js")
    return source.read_bytes() if source.is_file() else None
