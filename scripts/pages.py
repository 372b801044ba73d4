"""The pages of README.md and docs/: their code is run, and what they show is what it printed.

A page holds fenced blocks. The `python` blocks of a page run one after the other in one namespace; a `text` block
straight after one is what it printed. The commands of `console` blocks (behind `$`) run in a folder of the page's own,
into which a block such as `csv fruit.csv` is written. `refreshed` returns the page with outputs as they are now:
`make docs` writes that, the tests compare it.
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

#: Commands that train: their last digits differ between processors, which is no difference to a test.
_TRAINS = re.compile(r"\$ adjoint (demo|train|predict)\b")
_FENCED = re.compile(
    r"^```(?P<kind>python|console|csv)(?P<name> \S+)?\n(?P<body>.*?)^```\n(?:\n```text\n.*?^```\n)?",
    re.MULTILINE | re.DOTALL,
)


def pages() -> list[Path]:
    """Every page with code, in reading order."""
    return [path for pattern in PAGES for path in sorted(ROOT.glob(pattern))]


def refreshed(path: Path, *, tolerant: bool = False) -> str:
    """The text of a page with the outputs that its code gives now; tolerant: keeping decimals of a training."""
    text = path.read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "__main__"}
    with tempfile.TemporaryDirectory() as folder:

        def answered(block: re.Match[str]) -> str:
            if block["kind"] == "python":
                printed = run(block["body"], names, path, text.count("\n", 0, block.start("body")))
                return f"```python\n{block['body']}```\n" + (f"\n```text\n{printed}```\n" if printed else "")
            if block["kind"] == "console":
                return f"```console\n{''.join(_answers(block['body'], folder, tolerant))}```\n"
            Path(folder, block["name"].strip()).write_text(block["body"], encoding="utf-8")
            return block[0]

        return _FENCED.sub(answered, text)


def run(code: str, names: dict[str, Any], path: Path, line: int) -> str:
    """What a block prints; the places in its error messages are the page's own lines."""
    compiled = compile("\n" * line + code, str(path.relative_to(ROOT)), "exec")
    with redirect_stdout(StringIO()) as printed:
        exec(compiled, names)  # noqa: S102 (the code of our own pages)
    return "\n".join(row.rstrip() for row in printed.getvalue().splitlines()) + "\n" if printed.getvalue() else ""


def _answers(session: str, folder: str, tolerant: bool) -> Iterator[str]:
    """Each command of a session and what it says on both streams."""
    for line, shown in re.findall(r"^(\$ .*\n)((?:(?!\$ ).*\n)*)", session, re.MULTILINE):
        said = _said(shlex.split(line[2:]), folder)
        same = tolerant and _TRAINS.match(line) and _without_decimals(said) == _without_decimals(shown)
        yield line + (shown if same else said)


def _said(words: list[str], folder: str) -> str:
    """The output of one of our own commands, as it is where no terminal is."""
    assert words[0] == "adjoint", f"only our own command is run in pages, not {words[0]}"
    settings = os.environ | {"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder, env=settings, text=True, encoding="utf-8", check=False, timeout=120,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return "".join(f"{row.rstrip()}\n" for row in done.stdout.splitlines())


def _without_decimals(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\d+\.\d+(e[-+]\d+)?", "#", text))


def write() -> None:
    """Refresh every page, until the places in its error messages are those of the lines that it has now."""
    for path in pages():
        while (text := refreshed(path)) != path.read_text(encoding="utf-8"):
            path.write_text(text, encoding="utf-8")
