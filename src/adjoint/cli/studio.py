"""`adjoint studio`: the web app on this machine; and what `adjoint view` and `adjoint train --watch` share with it."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Final

import click

from adjoint.cli import HELP, Mistake
from adjoint.view.recorder import Recorder

if TYPE_CHECKING:
    from adjoint.cli.train import Plan
    from adjoint.view.server.studio import Studio

RUNS: Final = "adjoint-runs"

port = click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1. Default: one that is free."
)
no_browser = click.option("--no-browser", is_flag=True, help="Print the address and open nothing.")


@click.command(context_settings=HELP)
@port
@no_browser
@click.option("--runs", metavar="FOLDER", default=RUNS, show_default=True, help="Where trainings are logged.")
def studio(port: int, no_browser: bool, runs: str) -> None:
    """Open the studio in a browser: try functions, watch networks learn, open graphs and runs.

    It listens on this machine only, and the address holds a token. Ctrl-C ends it.
    """
    serve(new_studio("studio", runs), port, not no_browser)


def new_studio(command: str, runs: str) -> Studio:
    """A studio; a Mistake that says what to install where the extra is missing."""
    for package in ("starlette", "uvicorn"):
        if find_spec(package) is None:
            raise Mistake(f"adjoint {command}: expected the extra studio; pip install 'adjoint[studio]'")
    from adjoint.cli.workshop import tools
    from adjoint.view.server.studio import Studio

    return Studio(tools(), runs)


def serve(made: Studio, port: int, browser: bool) -> None:
    """Serve until Ctrl-C, and say where."""
    from adjoint.view.server.serving import Serving

    serving = Serving(made, port)
    announce(serving.address, browser)
    until_interrupted(serving.run)


def announce(address: str, browser: bool) -> None:
    """Print the address and open it."""
    click.echo(f"studio: {address}\n(Ctrl-C ends it)")
    sys.stdout.flush()
    if browser:
        webbrowser.open(address)


@contextmanager
def watched(plan: Plan, path: str, *, browser: bool = True) -> Iterator[list[Recorder]]:
    """A training of `adjoint train` in the studio: gives the callbacks of `fit`; ends at Ctrl-C.

    The run is logged beside the model file, under its name. What is done inside the block, training and saving, is
    done before anybody is waited for; when it fails, nobody is.
    """
    title = Path(path).name.partition(".")[0]
    made = new_studio("train --watch", str(Path(path).resolve().parent))
    from adjoint.cli.workshop import task_of
    from adjoint.view.server.serving import Serving  # after the extra was asked for

    log = made.new_path(title)
    with task_of(plan, title).recorder(log) as recorder, Serving(made).beside() as serving:
        made.first = made.add_run(log)
        announce(serving.address, browser)
        yield [recorder]
        recorder.end("finished")
        click.echo(f"run:   {log}\nthe page stays open until Ctrl-C")
        until_interrupted(Event().wait)


def until_interrupted(wait: Callable[[], Any]) -> None:
    """Wait for Ctrl-C, which is how this ends well."""
    try:
        wait()
    except KeyboardInterrupt:
        click.echo()
