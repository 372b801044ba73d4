"""`adjoint explain --step`: the graph of an expression one gate at a time, with the keys of the viewer.

Concepts here: `advance`, what a key does, and `run`, which shows steps until q. Where nobody can press a key, because
standard input or output is no terminal, all steps are printed one after the other. What a step shows is in
`adjoint.view.steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import IO, Final

import click

HELP: Final = ". next   , back   Home first   End last   q quit"
NEXT: Final = (".", " ", "\r", "\n", "\x1b[C", "\xe0M", "\x00M")
BACK: Final = (",", "\x7f", "\x1b[D", "\xe0K", "\x00K")
FIRST: Final = ("\x1b[H", "\x1bOH", "\x1b[1~", "\x1b[7~", "\xe0G", "\x00G", "g")
LAST: Final = ("\x1b[F", "\x1bOF", "\x1b[4~", "\x1b[8~", "\xe0O", "\x00O", "G")
QUIT: Final = ("q", "Q", "\x1b", "\x04")


def advance(key: str, at: int, count: int) -> int | None:
    """The step after a key, None to leave; a key without a meaning stays.

    Example
    -------
    >>> advance(".", 0, 5), advance(",", 0, 5), advance("G", 0, 5), advance("?", 3, 5), advance("q", 3, 5)
    (1, 0, 4, 3, None)
    """
    if key in QUIT:
        return None
    if key in FIRST or key in LAST:
        return 0 if key in FIRST else count - 1
    return max(0, min(count - 1, at + (key in NEXT) - (key in BACK)))


def run(pages: Sequence[str], out: IO[str], *, color: bool, getchar: Callable[[], str] = click.getchar) -> None:
    """Show pages, one at a time, as the keys say."""
    at: int | None = 0
    while at is not None:
        click.clear()
        click.echo(f"{pages[at]}\n\n{HELP}", file=out, color=color)
        try:
            at = advance(getchar(), at, len(pages))
        except EOFError:
            return


def print_all(pages: Sequence[str], out: IO[str], *, color: bool) -> None:
    """Print all pages, two blank lines between them."""
    click.echo("\n\n\n".join(pages), file=out, color=color)
