"""What came out: printed as tables, written as JSON and RESULTS.md. Reads outcomes and measures nothing.

Invariant: a file is replaced whole or not at all. No name of the machine and no path goes into it.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.harness import Outcome, Row, Verdict
from benchmarks.task import SECONDS

METHOD = """\
Each peer runs in a process of its own, on the same inputs. Its results are compared with those of a
reference, the implementation by hand, before anything is timed; a peer that disagrees is not timed. Then the
peers take turns, one sample each a round; a sample repeats short work until it lasts 50 ms, with Python's
collector of cycles on. Times are medians over the rounds, with the quartiles in brackets.
*adjoint / peer* is adjoint's time over the peer's: below 1, adjoint is faster."""

QUIET = 0.1  # of one processor: the system's own chores
WORDS = ("peer", "version", "note")  # columns that read from the left


def environment(command: str, threads: int) -> dict[str, Any]:
    """The machine and the moment of a run."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": command,
        "processor": _processor(),
        "processors": os.cpu_count(),
        "threads": threads,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    facts = dict(reversed([(k.strip(), v.strip()) for k, _, v in (line.partition(":") for line in lines)]))
    family = f"family {facts.get('cpu family', '?')}, model {facts.get('model', '?')}"
    return f"{facts.get('model name', 'unknown')} ({family})"


def number(value: float) -> str:
    """Three significant digits, and no exponent for large ones."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def ratio(outcome: Outcome, row: Row) -> str:
    ours = outcome.row("adjoint")
    return "—" if ours is None or ours is row else f"{number(ours.median / row.median)}×"


def columns(outcome: Outcome) -> list[str]:
    memory = ["bytes"] if outcome.task.memory else []
    return ["peer", f"{outcome.task.unit}", "quartiles", *memory, "adjoint / peer", "version", "note"]


def cells(outcome: Outcome, row: Row) -> list[str]:
    scale = SECONDS[outcome.task.unit]
    low, high = (number(q / scale) for q in row.quartiles)
    memory = ["—" if row.bytes_peak is None else number(row.bytes_peak)] if outcome.task.memory else []
    share = ratio(outcome, row)
    return [row.label, number(row.median / scale), f"[{low}, {high}]", *memory, share, row.version, row.note]


def ranked(outcome: Outcome) -> list[Row]:
    return sorted(outcome.rows, key=lambda row: row.median)


def amount(verdict: Verdict, value: float, unit: str) -> str:
    """A target's number in the unit that the target is stated in."""
    if verdict.measure in ("ratio", "best"):
        return f"{number(value)}×"
    if verdict.measure == "bytes":
        return f"{number(value)} bytes"
    return f"{number(value / SECONDS[unit])} {unit}"


def verdict_line(verdict: Verdict, unit: str) -> str:
    if verdict.measured is None:
        return f"not measured: {verdict.text}"
    word = "met" if verdict.met else "missed"
    found, limit = (amount(verdict, value, unit) for value in (verdict.measured, verdict.at_most))
    best = f" of {verdict.against}" if verdict.measure == "best" else ""
    return f"{word}: {verdict.text} ({found}{best}, at most {limit})"


def company(outcome: Outcome) -> str:
    """Whether the figures can be trusted: on a busy machine they cannot."""
    if outcome.others is None:
        return "what else ran meanwhile is not known"
    word = "quiet" if outcome.others <= QUIET else "disturbed, measure again"
    return f"{word}: other processes kept {outcome.others:.2f} of the machine's processors busy meanwhile"


def show(outcome: Outcome, console: Console) -> None:
    """One task as a table, its targets under it."""
    table = Table(title=f"{outcome.task.name}: {outcome.task.title}", title_justify="left")
    for heading in columns(outcome):
        table.add_column(heading, justify="left" if heading in WORDS else "right", no_wrap=heading != "note")
    for row in ranked(outcome):
        table.add_row(*map(escape, cells(outcome, row)), style="bold" if row.label == "adjoint" else "")
    console.print(table)
    colours = {True: "green", False: "red", None: "yellow"}
    for verdict in outcome.verdicts:
        console.print(escape(verdict_line(verdict, outcome.task.unit)), style=colours[verdict.met], highlight=False)
    console.print(company(outcome), style="dim", highlight=False)
    console.print()


def _line(values: Sequence[str]) -> str:
    return "| " + " | ".join(value.replace("|", "\\|") for value in values) + " |"


def _section(outcome: Outcome) -> list[str]:
    headings = columns(outcome)
    lines = [f"## {outcome.task.name}", "", f"{outcome.task.title}.", ""]
    if outcome.rows:
        lines += [_line(headings), "|" + "---|" * len(headings)]
        lines += [_line(cells(outcome, row)) for row in ranked(outcome)] + [""]
    lines += [f"- {verdict_line(verdict, outcome.task.unit)}" for verdict in outcome.verdicts]
    lines += [f"- skipped: {label}, {reason}" for label, reason in outcome.skipped.items()]
    return [*lines, f"- {company(outcome)}", ""]


def _targets(outcomes: Sequence[Outcome]) -> list[str]:
    """Every target in one table."""
    said = [(o.task.name, verdict_line(verdict, o.task.unit)) for o in outcomes for verdict in o.verdicts]
    rows = [_line([name, *line.split(": ", 1)]) for name, line in said]
    return ["## Targets", "", _line(["task", "", "target"]), "|---|---|---|", *rows, ""] if rows else []


def markdown(outcomes: Sequence[Outcome], facts: dict[str, Any]) -> str:
    """The whole of RESULTS.md."""
    machine = (
        f"{facts['processor']}, {facts['processors']} processors, {facts['memory_gib']} GiB, "
        f"{facts['system']}, {facts['python']}; {facts['threads']} threads; "
        f"load before the run {facts['load_before']}."
    )
    head = [
        "# Benchmark results",
        "",
        f"Written by `{facts['command']}` on {facts['date']}. {machine}",
        "",
        METHOD,
        "",
    ]
    lines = head + _targets(outcomes) + [line for outcome in outcomes for line in _section(outcome)]
    return "\n".join(lines).rstrip() + "\n"


def _row_data(outcome: Outcome, row: Row) -> dict[str, Any]:
    ours = outcome.row("adjoint")
    share = None if ours is None else ours.median / row.median
    return vars(row) | {"median": row.median, "quartiles": row.quartiles, "adjoint_over_peer": share}


def data(outcomes: Sequence[Outcome], facts: dict[str, Any]) -> dict[str, Any]:
    """Everything, JSON-clean: seconds and bytes for one unit of work."""
    tasks = [
        {
            "name": outcome.task.name,
            "title": outcome.task.title,
            "processors": outcome.processors,
            "processors_busy_with_others": outcome.others,
            "peers": [_row_data(outcome, row) for row in outcome.rows],
            "skipped": outcome.skipped,
            "targets": [vars(verdict) | {"met": verdict.met} for verdict in outcome.verdicts],
        }
        for outcome in outcomes
    ]
    return {"environment": facts, "tasks": tasks}


def write(path: Path, text: str) -> None:
    """Replace a file in one step: a run that is interrupted leaves the old one."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644)  # mkstemp's own mode is for secrets
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: Path, outcomes: Sequence[Outcome], facts: dict[str, Any]) -> None:
    write(path, json.dumps(data(outcomes, facts), indent=1, ensure_ascii=False) + "\n")
