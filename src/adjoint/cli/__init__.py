"""The `adjoint` command: its subcommands, loaded when they are asked for, and how it speaks of mistakes.

A user's mistake is one line on stderr and exit code 2, whether click found it or the library did; Ctrl-C is exit code
130. Only a fault of this program shows a traceback.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, NoReturn

import click

import adjoint
from adjoint.errors import AdjointError

#: Each command is the attribute of its own name in the module of its own name.
COMMANDS: Final[Mapping[str, str]] = {
    "demo": "Show the lecture's circuits, then train a network on handwritten digits.",
    "explain": "Show the graph of an expression with every value and gradient.",
    "train": "Train a network on a table (CSV, Parquet) or on the digits.",
    "predict": "Predict with a trained network.",
    "view": "Look at a graph, a run or a model in the browser.",
    "studio": "Open the web app: try functions, watch networks learn.",
    "export": "Write a trained network as machine code for C.",
    "cache": "Show or remove the compiled code that is kept on this machine.",
}
#: Every command says it for itself: click keeps a command's help option from whoever asked first.
HELP: Final[dict[str, Any]] = {"help_option_names": ["-h", "--help"]}
MISTAKE: Final = 2
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells count
_FUNCTION: Final = re.compile(r"^(?:fit|split|Encoder\.fit|optimiser|read_table|export_native): ")


class Mistake(click.ClickException):
    """What a user can put right, in one line."""

    exit_code = MISTAKE


class Commands(click.Group):
    """Subcommands by name, imported when one is called: `adjoint --help` needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"adjoint.cli.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands in the help."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """The command that is called, or the likely one in the message."""
        name = args[0]
        if name in COMMANDS or name.startswith("-"):
            return super().resolve_command(ctx, args)
        close = difflib.get_close_matches(name.lower(), COMMANDS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(COMMANDS)}"
        raise Mistake(f"adjoint: no command {_shown(name)}; {hint}")

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what the library refuses is a user's mistake."""
        try:
            return super().invoke(ctx)
        except AdjointError as error:
            raise Mistake(f"adjoint {ctx.invoked_subcommand}: {_one_line(error)}") from None

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """As click's, with one line for a mistake."""
        run: Any = super().main
        if not standalone_mode:
            return run(*args, standalone_mode=False, **extra)
        try:
            code = run(*args, standalone_mode=False, **extra)
        except click.ClickException as error:
            click.echo(_complaint(error), err=True)
            sys.exit(error.exit_code)
        except click.Abort:
            click.echo("adjoint: interrupted", err=True)
            sys.exit(INTERRUPTED)
        sys.exit(code if isinstance(code, int) else 0)


def _complaint(error: click.ClickException) -> str:
    """One line: which command, what is wrong, where to look."""
    context = getattr(error, "ctx", None)
    if context is None:
        return error.format_message()
    message = " ".join(error.format_message().split()).rstrip(".")
    return f"{context.command_path}: {message[:1].lower()}{message[1:]}; see {context.command_path} --help"


def _one_line(error: AdjointError) -> str:
    """The message without function, file and line: those of the library say nothing to somebody at a terminal."""
    from adjoint.cli.evaluation import without_place

    return _FUNCTION.sub("", " ".join(without_place(str(error)).split()))


def _shown(name: str) -> str:
    return repr(name if len(name) <= 40 else name[:40] + "…")


@click.group(cls=Commands, invoke_without_command=True, context_settings=HELP)
@click.version_option(adjoint.__version__, "-V", "--version", prog_name="adjoint", message="%(prog)s %(version)s")
@click.pass_context
def commands(ctx: click.Context) -> None:
    """Computational graphs: see every gradient, train networks.

    Start with `adjoint demo`; `adjoint COMMAND --help` tells more of a command.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> NoReturn:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without × shows ? and goes on
    commands(prog_name="adjoint")
    raise AssertionError("click leaves by sys.exit")
