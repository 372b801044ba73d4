"""The reference: docs/reference/*.md, made from the registry of ops and the docstrings of the public names.

`make docs` runs this file, which also refreshes the outputs on the pages (`pages.py`). A test compares the committed
files with what would be written.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "reference"
sys.path.insert(0, str(ROOT))  # `python scripts/reference.py` puts scripts/ there instead

import click  # noqa: E402

import adjoint as ad  # noqa: E402
from adjoint.op import Op  # noqa: E402


class Page(NamedTuple):
    """A page: its file, its title, what it is about, and the modules whose public names it shows."""

    file: str
    title: str
    about: str
    modules: tuple[str, ...]


PAGES = (
    Page("graphs", "Graphs", "Tensors, leaves, graphs, gates of your own.", (
        "leaves", "tensor", "graph", "autodiff", "paths", "recording", "gates",
    )),
    Page("derivatives", "Derivatives", "Functions of functions, Jacobians, gradient checks.", (
        "transforms", "jacobian.transforms", "jacobian.dense", "check",
    )),
    Page("elementwise", "Elementwise ops", "Element by element, with broadcasting.", tuple(
        f"ops.elementwise.{name}"
        for name in ("arithmetic", "exponential", "trigonometric", "activation", "extremes", "comparison")
    )),
    Page("arrays", "Ops on arrays", "Reductions, shapes, indexing, products, a loss, random draws.", tuple(
        f"ops.{name}" for name in ("reduce", "shape", "index", "linalg", "loss", "functions", "random")
    )),
    Page("own-ops", "Ops of your own", "The decorators that make an op of a rule; see [add an op](../add-an-op.md).", (
        "families", "shaped", "op",
    )),
    Page("compile", "Compiled functions", "Machine code of functions and training steps, choices and loops, threads.", (
        "compiler.compiled", "compiler.taps", "compiler.export", "control.choice", "control.loops", "configuration",
    )),
    Page("nn", "Networks", "`ad.nn`: modules, layers, losses, initialisers.", ("nn", "nn.init")),
    Page("optim", "Optimisers", "`ad.optim`", ("optim",)),
    Page("data", "Data", "`ad.data`: data sets, tables, encoders, minibatches.", ("data",)),
    Page("train", "Training", "`ad.train`: the training loop, its history, metrics.", ("train",)),
    Page("formats", "Model files", "`ad.formats`", ("formats",)),
    Page("view", "Pictures", "`ad.view`", ("view",)),
    Page("errors", "Errors", "The exceptions that are raised on purpose.", ("errors",)),
)  # fmt: skip


# --- what is public ---------------------------------------------------------------------------------------------------


def entries(module: ModuleType) -> dict[str, Any]:
    """Public names of a module: its list; else what the package or Tensor offers of it; else what it defines."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return {name: x for name in listed if _is_public(name, x := getattr(module, name))}
    own = {n: x for n, x in vars(module).items() if _is_public(n, x) and x.__module__.startswith(module.__name__)}
    offered = {**vars(ad.Tensor), **{name: getattr(ad, name) for name in ad.__all__}}
    exported = {name: x for x in own.values() for name, y in offered.items() if x is y and not name.startswith("_")}
    return exported if exported and module.__name__ != "adjoint.errors" else own


def _is_public(name: str, x: Any) -> bool:
    return not name.startswith("_") and (isinstance(x, Op) or inspect.isclass(x) or inspect.isfunction(x))


def grouped(names: dict[str, Any]) -> list[tuple[list[str], Any]]:
    """Objects with all their names, the first being their own."""
    groups: dict[int, tuple[list[str], Any]] = {}
    for name, x in names.items():
        groups.setdefault(id(x), ([], x))[0].append(name)
    return [(sorted(found, key=lambda n: n != getattr(x, "__name__", n)), x) for found, x in groups.values()]


# --- one entry --------------------------------------------------------------------------------------------------------


def entry(names: list[str], x: Any) -> Iterator[str]:
    """Heading, docstring, what the registry knows, members."""
    also = f" (also {', '.join(f'`{n}`' for n in names[1:])})" if len(names) > 1 else ""
    yield f"### `{names[0]}{signature(x)}`{also}"
    yield rendered(inspect.getdoc(x) or "")
    if isinstance(x, Op):
        yield from facts(x)
    if inspect.isclass(x) and (rows := list(members(x))):
        yield "\n".join(["| member | |", "|---|---|", *rows])


def signature(x: Any, skip: int = 0) -> str:
    """The call without annotations and without the first parameters; nothing for what users do not call."""
    made_elsewhere = inspect.isclass(x) and issubclass(x, Exception | tuple | ad.Tensor) and not issubclass(x, ad.State)
    if made_elsewhere or getattr(x, "_is_protocol", False):
        return ""
    try:
        given = inspect.signature(x)
    except (TypeError, ValueError):
        return ""
    bare = [p.replace(annotation=p.empty) for p in given.parameters.values()][skip:]
    return str(given.replace(parameters=bare, return_annotation=given.empty))


def members(x: type) -> Iterator[str]:
    """Rows for the methods and properties that a class defines itself."""
    for name, member in vars(x).items():
        function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        doc = inspect.getdoc(function) or ""
        if name.startswith("_") or not doc or not (callable(function) or isinstance(member, property)):
            continue
        call = "" if isinstance(member, property) else signature(function, not isinstance(member, staticmethod))
        yield f"| `.{name}{call}` | {_cell(doc.splitlines()[0])} |"


def facts(op: Op) -> Iterator[str]:
    """What the registry knows of an op beside its docstring."""
    known = [f"{type(op).__name__.strip('_').lower()} op"]
    if op.symbol != op.name:
        known.append(f"drawn as `{op.symbol}`")
    if op.kink:
        known.append(f"kink at {op.kink}")
    if op.nondiff:
        known.append(f"no gradient: {op.nondiff}")
    yield f"*{'; '.join(known)}.*"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


# --- docstrings as Markdown -------------------------------------------------------------------------------------------


def rendered(doc: str) -> str:
    """A docstring in NumPy's sections as Markdown."""
    parts = []
    for block in re.split(r"\n\s*\n", doc.strip()):
        heading = re.match(r"(\w+)\n-+\n(.*)", block, re.DOTALL)
        parts.append(_section(*heading.groups()) if heading else _paragraph(block))
    return _joined("\n\n".join(parts))


def _section(title: str, body: str) -> str:
    if title == "Example":
        return f"**Example**\n\n{_code(body)}"
    listed = title in ("Parameters", "Attributes", "Raises") or (title == "Returns" and "\n    " in body)
    return f"**{title}**\n\n{_items(body) if listed else body}"


def _paragraph(block: str) -> str:
    if block.startswith(">>>"):
        return _code(block)
    if block.startswith("    "):
        return f"```text\n{inspect.cleandoc(block)}\n```"
    title = re.match(r"(Gradient|Source): ", block)
    if title:
        return f"**{title[1]}** {block[title.end() :]}"
    return block if block[-1] in ".:;" else f"```text\n{block}\n```"  # sentences end in a stop, formulas do not


def _code(body: str) -> str:
    return f"```python\n{body}\n```"


def _joined(text: str) -> str:
    """Code blocks that only a blank line in an example has cut become one again."""
    return text.replace("\n```\n\n```python\n", "\n\n")


def _items(body: str) -> str:
    rows: list[str] = []
    for line in body.splitlines():
        if line.startswith("    "):
            rows[-1] += f" {line.strip()}"
        else:
            name, colon, kind = line.partition(" : ")
            rows.append(f"- `{name}`{': ' if colon else ''}{kind}{'.' if colon else ':'}")
    return "\n".join(row.removesuffix(":") for row in rows)


# --- pages ------------------------------------------------------------------------------------------------------------


def page(p: Page) -> str:
    """The text of a page."""
    parts = [f"# {p.title}", p.about]
    for name in p.modules:
        module = import_module(f"adjoint.{name}")
        shown = [part for names, x in grouped(entries(module)) for part in entry(names, x)]
        if shown:
            parts += [f"## {_first_line(module)}", *shown] if len(p.modules) > 1 else shown
    return "\n\n".join(part for part in parts if part) + "\n"


def _first_line(module: ModuleType) -> str:
    return (module.__doc__ or module.__name__).strip().splitlines()[0].rstrip(".:")


def command_line() -> str:
    """The text of the page of the `adjoint` command: its help, and that of its commands."""
    from adjoint.cli import COMMANDS, HELP, commands

    width: dict[str, Any] = {"terminal_width": 100, "max_content_width": 100} | HELP
    root = click.Context(commands, info_name="adjoint", **width)
    parts = ["# Command line", f"```text\n{commands.get_help(root)}\n```"]
    for name in COMMANDS:
        command = commands.get_command(root, name)
        assert command is not None, "COMMANDS names every command"
        said = command.get_help(click.Context(command, root, name, **width))
        parts += [f"## adjoint {name}", f"```text\n{said}\n```"]
    return "\n\n".join(parts) + "\n"


def index() -> str:
    """The text of the first page."""
    lines = [f"- [{p.title}]({p.file}.md): {p.about}" for p in PAGES]
    lines.append("- [Command line](command-line.md): what `adjoint --help` and the help of its commands say.")
    made = "Made by `make docs` from the docstrings and the registry of ops; the examples are run by the tests."
    return f"# Reference\n\n{made}\n\n" + "\n".join(lines) + "\n"


def files() -> dict[Path, str]:
    """Every file of the reference and its text."""
    first = {FOLDER / "README.md": index(), FOLDER / "command-line.md": command_line()}
    return first | {FOLDER / f"{p.file}.md": page(p) for p in PAGES}


def main() -> None:
    """Write the reference and refresh the pages."""
    from scripts import pages

    made = files()
    for old in set(FOLDER.glob("*.md")) - made.keys():
        old.unlink()
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    pages.write()


if __name__ == "__main__":
    main()
