"""The benchmark harness itself: what it refuses to time, what it reports, how it writes. No timed tests."""

from __future__ import annotations

import importlib
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks import __main__ as command
from benchmarks import first, networks, report
from benchmarks.harness import Outcome, PeerError, Row, Verdict, Worker, chosen, disagreement, run_task
from benchmarks.task import Figure, Target, Task, Work, faster
from benchmarks.tasks import first_call, hinge_gradient, load, products, relu_both_ways, scalar_graph
from benchmarks.worker import sample

import adjoint as ad

FACTS = report.environment("python -m benchmarks", 2)

# A task whose peers need no library: `adjoint` is right, and each of the others is wrong in a way of its own.
PEERS = '''
"""Three numbers doubled."""
import os
from benchmarks.task import MODULES, Target, Task, Work

MODULES.update(dict.fromkeys(("adjoint", "wrong", "silent", "raises", "dies"), "math"))
MODULES["absent"] = "no_such_library"
task = Task(
    module=__name__, title="double", unit="µs", inputs=lambda: {"x": [1.0, 2.0, 3.0]}, memory=True,
    targets=(
        Target("not slower than a thousand times python", 1000.0, against="python"),
        Target("in no time", 0.0, "seconds"),
        Target("faster than what is absent", 1.0, against="absent"),
    ),
)

def doubling(factor):
    def run():
        print("a library that prints")
        return [factor * x for x in given["x"]]
    given = task.inputs()
    return Work(run, lambda: {"y": run()}, units=3)

@task.peer("python", note="the reference")
def python(given): return doubling(2.0)
@task.peer("adjoint")
def adjoint(given): return doubling(2.0)
@task.peer("wrong")
def wrong(given): return doubling(2.001)
@task.peer("silent")
def silent(given): return Work(lambda: None, dict)
@task.peer("raises")
def raises(given): raise ValueError("no such device")
@task.peer("dies")
def dies(given): os._exit(3)
@task.peer("absent")
def absent(given): return doubling(2.0)
'''


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "doubling_for_test.py").write_text(PEERS, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", str(folder) + os.pathsep + os.environ.get("PYTHONPATH", ""))
        patch.setattr("benchmarks.task.MODULES", dict(importlib.import_module("benchmarks.task").MODULES))
        return run_task(importlib.import_module("doubling_for_test").task, rounds=3)


def test_peers_that_agree_are_timed_in_every_round(outcome: Outcome) -> None:
    assert [row.label for row in outcome.rows] == ["python", "adjoint"]
    assert [len(row.seconds) for row in outcome.rows] == [3, 3]
    assert all(row.median > 0 and row.runs_per_sample > 1 for row in outcome.rows)


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("wrong", "disagrees with python: y is 6.003, expected 6"),
        ("silent", "disagrees with python: gives no results to compare"),
        ("raises", "failed: ValueError: no such device"),
        ("dies", "its process ended with code 3"),
        ("absent", "absent is not installed"),
    ],
)
def test_a_peer_that_cannot_be_compared_is_not_timed_and_gets_a_line(outcome: Outcome, label: str, reason: str) -> None:
    assert outcome.skipped[label] == reason
    assert outcome.row(label) is None
    assert f"- skipped: {label}, {reason}" in report.markdown([outcome], FACTS)


def test_targets_are_met_missed_or_not_measured(outcome: Outcome) -> None:
    assert [verdict.met for verdict in outcome.verdicts] == [True, False, None]
    words = [report.verdict_line(verdict, "µs").partition(":")[0] for verdict in outcome.verdicts]
    assert words == ["met", "missed", "not measured"]


@pytest.mark.parametrize(
    ("target", "measured"),
    [
        (Target("", 1, against="torch"), 0.5),
        (Target("", 1, "difference", against="torch"), -2.0),
        (Target("", 1, "seconds"), 2.0),
        (Target("", 1, "bytes"), 300.0),
        (Target("", 1, against="jax"), None),
        (Target("", 1, against="adjoint.quiet"), 4.0),
        (Target("", 1, "best"), 0.5),
    ],
)
def test_what_a_target_measures(target: Target, measured: float | None) -> None:
    figures = {"adjoint": Figure(2.0, 300.0), "numpy": Figure(8.0), "torch": Figure(4.0), "adjoint.quiet": Figure(0.5)}
    assert target.measured(figures) == measured


def test_the_best_peer_is_the_fastest_that_is_not_adjoint_and_is_named() -> None:
    figures = {"adjoint": Figure(1.0), "adjoint.quiet": Figure(0.5), "numpy": Figure(4.0), "jax.jit": Figure(3.0)}
    target = faster(2)
    assert target.opponent(figures) == "jax.jit"
    verdict = Verdict(target.text, target.at_most, target.measure, target.measured(figures), target.opponent(figures))
    assert report.verdict_line(verdict, "µs") == (
        "met: at least 2 times faster than the best peer (0.333× of jax.jit, at most 0.5×)"
    )


@pytest.mark.parametrize("figures", [{"adjoint": Figure(1.0)}, {"numpy": Figure(1.0)}, {}])
def test_nothing_is_measured_against_the_best_of_no_peers(figures: dict[str, Figure]) -> None:
    assert faster(2).measured(figures) is None


def test_a_run_with_its_own_clock_says_its_seconds() -> None:
    assert sample(Work(lambda: 6.0, dict, units=3, own_clock=True), 2) == 2.0


def test_a_peer_that_is_silent_for_too_long_is_given_up() -> None:
    task = load()[0]
    worker = Worker(replace(task, patience=0.0), task.reference, 1)
    try:
        with pytest.raises(PeerError, match="gave no answer within 0 s"):
            worker.read()
    finally:
        worker.close()


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        ({"y": [1.0, 2.0 + 1e-12]}, None),
        ({"y": [1.0, 2.1]}, "y is 2.1, expected 2"),
        ({"y": [float("nan"), 2.0]}, "y is nan, expected 1"),
        ({"y": [[1.0, 2.0]]}, "y has shape (1, 2), expected (2,)"),
        ({"z": [1.0, 2.0]}, "gives z, which the reference does not"),
    ],
)
def test_disagreement_names_the_worst_number(results: dict[str, object], reason: str | None) -> None:
    assert disagreement(results, {"y": [1.0, 2.0]}, 1e-9) == reason


def test_json_holds_every_sample_and_is_written_in_one_step(outcome: Outcome, tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    path.write_text("the old one")
    report.write_json(path, [outcome], FACTS)
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["environment"]["threads"] == 2
    assert [len(peer["seconds"]) for peer in found["tasks"][0]["peers"]] == [3, 3]
    assert os.listdir(tmp_path) == ["figures.json"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "RESULTS.md"
    path.write_text("the old one")

    def interrupted(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        report.write(path, "half")
    assert path.read_text() == "the old one"
    assert os.listdir(tmp_path) == ["RESULTS.md"]


def test_the_table_in_markdown() -> None:
    task = Task("tasks.tiny", "a tiny task", "µs", dict, (Target("faster than torch", 1.0, against="torch"),))
    ours, theirs = (Row(label, "1.0", note, 10, [s, s]) for label, note, s in RESULTS)
    section = report.markdown([Outcome(task, 2, 0.03, [theirs, ours])], FACTS).partition("## tiny")[2]
    assert section == (
        "\n\na tiny task.\n\n"
        "| peer | µs | quartiles | adjoint / peer | version | note |\n|---|---|---|---|---|---|\n"
        "| adjoint | 2 | [2, 2] | — | 1.0 |  |\n"
        "| torch | 40 | [40, 40] | 0.05× | 1.0 | eager |\n\n"
        "- met: faster than torch (0.05×, at most 1×)\n"
        "- quiet: other processes kept 0.03 of the machine's processors busy meanwhile\n"
    )


def test_all_targets_stand_in_one_table_before_the_tasks() -> None:
    target = Target("at most | 2.5 µs", 2.5e-6, "seconds")
    outcome = Outcome(Task("tasks.tiny", "", "µs", dict, (target,)), rows=[Row("adjoint", "", "", 1, [2e-6])])
    text = report.markdown([outcome], FACTS)
    table = (
        "## Targets\n\n| task |  | target |\n|---|---|---|\n| tiny | met | at most \\| 2.5 µs (2 µs, at most 2.5 µs) |"
    )
    assert table in text.partition("## tiny")[0]


@pytest.mark.parametrize(("others", "word"), [(0.1, "quiet"), (0.5, "disturbed"), (None, "what else")])
def test_a_busy_machine_is_said(others: float | None, word: str) -> None:
    assert report.company(Outcome(Task("tasks.tiny", "", "µs", dict), 2, others)).startswith(word)


RESULTS = (("adjoint", "", 2e-6), ("torch", "eager", 40e-6))


def test_peers_are_chosen_by_label_or_library_and_adjoint_always_is() -> None:
    task = Task("tasks.tiny", "", "µs", dict)
    for label in ("python", "adjoint", "jax", "jax.jit", "torch"):
        task.peer(label)(lambda given: Work(dict, dict))
    assert [peer.label for peer in chosen(task, None)] == ["python", "adjoint", "jax", "jax.jit", "torch"]
    assert [peer.label for peer in chosen(task, ["jax"])] == ["adjoint", "jax", "jax.jit"]
    assert [peer.label for peer in chosen(task, ["jax.jit"])] == ["adjoint", "jax.jit"]


@pytest.mark.parametrize("task", load(), ids=lambda task: task.name)
def test_every_task_has_a_reference_an_adjoint_and_targets_on_peers_it_has(task: Task) -> None:
    assert task.reference.library in {"python", "numpy"}
    assert "adjoint" in task.peers
    assert {target.against for target in task.targets} <= {"", *task.peers}


def test_no_two_tasks_have_one_name() -> None:
    names = [task.name for task in load()]
    assert len(names) == len(set(names))


def agree(task: Task, given: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> str | None:
    """How the entry of adjoint, not compiled, differs from the one by hand."""
    monkeypatch.setattr(ad, "compile", lambda f: f, raising=False)
    by_hand, ours = (task.peers[label].setup(given).check() for label in (task.reference.label, "adjoint"))
    return disagreement(ours, by_hand, task.tolerance)


@pytest.mark.parametrize("sizes", [(4, 3), (4, 10, 3), (8, 7, 6, 5)])
def test_a_step_of_any_depth_is_that_by_hand(sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    task = networks.step_task("tasks.step", sizes, 5, "µs")
    assert agree(replace(task, tolerance=1e-3), task.inputs(), monkeypatch) is None


@pytest.mark.parametrize("task", [hinge_gradient.task, relu_both_ways.task, *products.tasks[4:6]])
def test_gradients_and_products_are_those_by_hand(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    assert agree(task, task.inputs(), monkeypatch) is None


def test_a_scalar_graph_is_that_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scalar_graph, "CELLS", 2000)
    assert agree(scalar_graph.task, scalar_graph.inputs(), monkeypatch) is None


def test_one_wrong_number_of_many_shows_in_the_moves() -> None:
    given = networks.inputs((300, 200, 10), 32)
    after = [p + np.float32(6e-4) for p in given["parameters"]]
    right = networks.moves(given, 1.0, after)
    assert disagreement(right, right, 0.0) is None
    after[0][123, 45] += 2e-3
    assert "weight 0 summed over axis 0" in str(disagreement(networks.moves(given, 1.0, after), right, 0.03))


def test_a_first_call_says_its_seconds_and_its_result(capfd: pytest.CaptureFixture[str]) -> None:
    first.main(scalar_graph.__name__, "python")
    told = json.loads(capfd.readouterr().out)
    assert told["seconds"] > 0
    assert told["result"] == scalar_graph.task.reference.setup(scalar_graph.inputs()).check()["out"]


def test_a_first_call_that_fails_says_the_last_words_of_its_process() -> None:
    with pytest.raises(RuntimeError, match="KeyError: 'no such peer'"):
        first_call.cold(scalar_graph.__name__, "no such peer")


def test_what_adjoint_imports_late_is_imported_before_the_clock_starts() -> None:
    assert [importlib.import_module(name).__name__ for name in first.LATE["adjoint"]] == list(first.LATE["adjoint"])


def test_products_of_a_network_are_those_of_its_forward_and_backward_pass() -> None:
    assert list(products.of_network(32, (64, 100, 10))) == [
        (32, 64, 100, ""),
        (64, 32, 100, "a"),
        (32, 100, 10, ""),
        (100, 32, 10, "a"),
        (32, 10, 100, "b"),
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--only", "nothing"], "--only: no task 'nothing'; there are circuit_add_mul"),
        (["--peers", "cupy"], "--peers: no peer 'cupy'; there are adjoint"),
        (["--rounds", "0"], "--rounds: expected 1 or more"),
        (["--json", "no/such/folder/x.json"], "--json: no folder no/such/folder"),
    ],
)
def test_a_wrong_option_ends_before_anything_is_measured(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(words)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_the_command_measures_a_reference_and_leaves_results_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in command.FOLDER.glob("*"))
    path = tmp_path / "figures.json"
    words = ["--only", "circuit_add_mul", "--peers", "python", "--rounds", "2", "--json", str(path)]
    assert command.main(words) == 0
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["environment"]["command"] == " ".join(["python -m benchmarks", *words[:6]])
    assert found["tasks"][0]["peers"][0]["label"] == "python"
    assert "circuit_add_mul" in capsys.readouterr().out
    assert before == sorted((path, path.stat().st_mtime_ns) for path in command.FOLDER.glob("*"))
