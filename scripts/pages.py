"""The pages of README.md and docs/: their code is run, and what they show is what it printed.

A page holds fenced blocks. The `python` blocks of a page run one after the other in one namespace, the commands of its
`console` blocks (behind `$`) in an empty folder of its own; a `text` block straight after a `python` block is what that
one printed. `refreshed` returns the page with outputs as they are now: `make docs` writes that, the tests compare it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/add-an-op.md", "docs/guide/*.md")

_FENCED = re.compile(r"^```(python|console)\n(.*?)^```\n(\n```text\n(?:.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """Every page with code, in reading order."""
    return [path for pattern in PAGES for path in sorted(ROOT.glob(pattern))]


def refreshed(path: Path) -> str:
    """The text of a page with the outputs that its code gives now."""
    text = path.read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "__main__"}
    with tempfile.TemporaryDirectory() as folder:

        def answered(block: re.Match[str]) -> str:
            if block[1] == "console":
                return f"```console\n{''.join(_answers(block[2], folder))}```\n{block[3] or ''}"
            line = text.count("\n", 0, block.start(2))
            printed = run(block[2], names, path, line)
            shown = f"\n```text\n{printed}```\n" if printed else ""
            return f"```python\n{block[2]}```\n{shown}"

        return _FENCED.sub(answered, text)


def run(code: str, names: dict[str, Any], path: Path, line: int) -> str:
    """What a block prints; the places in its error messages are the page's own lines."""
    compiled = compile("\n" * line + code, str(path.relative_to(ROOT)), "exec")
    with redirect_stdout(StringIO()) as printed:
        exec(compiled, names)  # noqa: S102 (the code of our own pages)
    return "\n".join(row.rstrip() for row in printed.getvalue().splitlines()) + "\n" if printed.getvalue() else ""


def _answers(session: str, folder: str) -> Iterator[str]:
    """Each command of a session and what it says on both streams."""
    settings = os.environ | {"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb", "PYTHONIOENCODING": "utf-8"}
    for line in session.splitlines():
        if line.startswith("$ "):
            words = shlex.split(line[2:])
            assert words[0] == "adjoint", f"only our own command is run in pages, not {words[0]}"
            command = [sys.executable, "-m", *words]
            done = subprocess.run(
                command, cwd=folder, env=settings, text=True, encoding="utf-8", check=False, timeout=120,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            yield f"{line}\n" + "".join(f"{row.rstrip()}\n" for row in done.stdout.splitlines())


def write() -> None:
    """Refresh every page, until the places in its error messages are those of the lines that it has now."""
    for path in pages():
        while (text := refreshed(path)) != path.read_text(encoding="utf-8"):
            path.write_text(text, encoding="utf-8")
