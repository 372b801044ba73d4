"""The command: which tasks, which peers, where the figures go."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import report
from benchmarks.harness import THREADS, Outcome, chosen, run_task
from benchmarks.task import Task
from benchmarks.tasks import load

FOLDER = Path(__file__).resolve().parent


def names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="adjoint beside its peers.")
    parser.add_argument("--only", metavar="NAME", type=names, help="these tasks only, separated by commas")
    parser.add_argument(
        "--peers", metavar="A,B", type=names, help="adjoint and these only: jax (in all ways) or jax.jit"
    )
    parser.add_argument("--rounds", metavar="N", type=int, help="samples of each peer (default: the task's own)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures there as well")
    return parser


def checked(parser: argparse.ArgumentParser, words: Sequence[str] | None) -> tuple[argparse.Namespace, list[Task]]:
    """The options and the tasks they name; an unknown name ends the command before anything is measured."""
    options, tasks = parser.parse_args(words), load()
    known = [task.name for task in tasks]
    for name in options.only or ():
        if name not in known:
            parser.error(f"--only: no task {name!r}; there are {', '.join(known)}")
    labels = {label for task in tasks for p in task.peers.values() for label in (p.label, p.library)}
    for name in options.peers or ():
        if name not in labels:
            parser.error(f"--peers: no peer {name!r}; there are {', '.join(sorted(labels))}")
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds: expected 1 or more")
    if options.json and not options.json.parent.is_dir():
        parser.error(f"--json: no folder {options.json.parent}")
    return options, [task for task in tasks if not options.only or task.name in options.only]


def command(options: argparse.Namespace) -> str:
    """The command as another reader would repeat it: without the place where the figures were put."""
    lists = {
        "--only": options.only,
        "--peers": options.peers,
        "--rounds": options.rounds and [str(options.rounds)],
    }
    given = [part for name, values in lists.items() if values for part in (name, ",".join(values))]
    return shlex.join(["python", "-m", "benchmarks", *given])


def measure(task: Task, options: argparse.Namespace, console: Console) -> Outcome:
    count = len(chosen(task, options.peers))
    console.print(f"{task.name}: {count} peers", style="dim", highlight=False)
    outcome = run_task(task, peers=options.peers, rounds=options.rounds, say=lambda line: console.print("  " + line))
    report.show(outcome, console)
    return outcome


def main(words: Sequence[str] | None = None) -> int:
    options, tasks = checked(arguments(), words)
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)  # a log or a pipe has no width of its own, and 80 columns are too few
    facts = report.environment(command(options), THREADS)
    outcomes = [measure(task, options, console) for task in tasks]
    if options.json:
        report.write_json(options.json, outcomes, facts)
    if options.only or options.peers:
        console.print("A part of the tasks or peers: RESULTS.md and results.json are left as they are.")
    else:
        report.write_json(FOLDER / "results.json", outcomes, facts)
        report.write(FOLDER / "RESULTS.md", report.markdown(outcomes, facts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
