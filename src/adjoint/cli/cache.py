"""`adjoint cache`: what compiled code is kept on this machine, and how to be rid of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import click
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from adjoint.cli import HELP, Mistake
from adjoint.compiler.cache import LIMIT_VARIABLE, MIB, Entry, ObjectCache

PIPED_WIDTH: Final = 300  # columns where no terminal sets a limit: a line for each entry, however long its name


@click.command(context_settings=HELP)
@click.option("--clear", is_flag=True, help="Remove all entries; programs compile anew when they next run.")
@click.option("--path", is_flag=True, help="Print the folder only.")
def cache(clear: bool, path: bool) -> None:
    """Show the compiled code that is kept on this machine.

    ADJOINT_CACHE_DIR names another folder (off: keep none), ADJOINT_CACHE_MB another limit than 256 MiB for all.
    """
    if clear and path:
        raise Mistake("adjoint cache: --clear and --path exclude each other; give one")
    kept = ObjectCache()
    problem = kept.problem()
    if kept.folder is None:
        if path:
            raise Mistake(f"adjoint cache: --path: {problem}")
        click.echo(problem)
    elif path:  # also of a folder that cannot be used: who looks for it needs to know it
        click.echo(str(kept.folder))
    elif problem is not None:
        raise Mistake(f"adjoint cache: {problem}")
    elif clear:
        click.echo(_cleared(kept))
    else:
        _show(Console(file=sys.stdout, highlight=False), kept)


def _cleared(kept: ObjectCache) -> str:
    entries = kept.entries()
    if not entries:
        return f"nothing to remove: no entries in {kept.folder}"
    try:
        count = kept.clear()
    except OSError as error:
        raise Mistake(f"adjoint cache: {kept.folder} cannot be cleared: {error.strerror}") from None
    return f"{_counted(count)} removed, {_size(_total(entries))}"


def _show(console: Console, kept: ObjectCache) -> None:
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    entries = kept.entries()
    sizes = f"{_size(_total(entries))} of at most {_size(kept.limit)} ({LIMIT_VARIABLE})"
    console.print(Text(f"folder:  {kept.folder}\nkept:    {_counted(len(entries))}, {sizes}"), soft_wrap=True)
    if entries:
        console.print()
        console.print(_grid(entries))


def _grid(entries: Sequence[Entry]) -> Grid:
    grid = Grid(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    grid.add_column("function", overflow="fold")
    grid.add_column("size", justify="right", no_wrap=True)
    grid.add_column("created", no_wrap=True)
    grid.add_column("last used", no_wrap=True)
    for entry in entries:
        name = "".join(sign if sign.isprintable() else "�" for sign in entry.name)  # a terminal obeys what is not
        grid.add_row(Text(name), Text(_size(entry.size)), Text(_date(entry.created)), Text(_date(entry.last_used)))
    return grid


def _total(entries: Sequence[Entry]) -> int:
    return sum(entry.size for entry in entries)


def _counted(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"


def _size(count: int) -> str:
    if count < 1024:
        return f"{count} bytes"
    return f"{count / 1024:.1f} KiB" if count < MIB else f"{count / MIB:,.1f} MiB"


def _date(seconds: float) -> str:
    """Local time to the minute."""
    try:
        return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):  # a date that no calendar has, in a header that somebody wrote
        return "?"
