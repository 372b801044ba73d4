"""The command as a whole: help, versions, slips, exit codes, and what importing it costs."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

import adjoint
from adjoint.cli import COMMANDS, commands
from adjoint.errors import DataError


def run(*arguments):
    return CliRunner().invoke(commands, arguments, prog_name="adjoint")


def in_a_process(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "adjoint", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, **environment},
    )


def mistake(*arguments):
    """The one line of a mistake."""
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr.strip()


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_help(arguments):
    result = run(*arguments)
    assert result.exit_code == 0
    listed = [name for name in COMMANDS if f"\n  {name} " in result.stdout]
    assert listed == ["demo", "explain", "train", "predict", "view", "studio", "export", "cache"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_of_each_command(command, flag):
    result = run(command, flag)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: adjoint {command} ")


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_version(flag):
    assert run(flag).stdout == f"adjoint {adjoint.__version__}\n"


def test_slips():
    assert mistake("dmeo") == "adjoint: no command 'dmeo'; did you mean 'demo'?"
    assert mistake("Train") == "adjoint: no command 'Train'; did you mean 'train'?"
    there = "demo, explain, train, predict, view, studio, export, cache"
    assert mistake("frobnicate") == f"adjoint: no command 'frobnicate'; there are {there}"
    assert mistake("--verbose").startswith("adjoint: no such option '--verbose'") or "No such option" in mistake("--x")
    assert "--seed" in mistake("demo", "--sed", "3")
    assert mistake("demo", "extra") == "adjoint demo: got unexpected extra argument (extra); see adjoint demo --help"
    assert mistake("train") == "adjoint train: missing argument 'FILE|digits'; see adjoint train --help"
    assert mistake("predict", "a") == "adjoint predict: missing argument 'FILE|digits'; see adjoint predict --help"


def test_ctrl_c(monkeypatch):
    def interrupted(*arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr("adjoint.cli.demo.show_circuits", interrupted)
    result = run("demo")
    assert result.exit_code == 130
    assert result.stderr.strip() == "adjoint: interrupted"


def test_what_the_library_refuses_is_one_line_without_a_place_in_its_source(monkeypatch):
    def refuses(*arguments, **settings):
        raise DataError("fit: expected this,\n  got that, at somewhere/file.py:12; do so")

    monkeypatch.setattr("adjoint.cli.demo.show_circuits", refuses)
    assert mistake("demo") == "adjoint demo: expected this, got that; do so"


def test_a_fault_of_ours_is_not_called_a_mistake_of_the_users(monkeypatch):
    def breaks(*arguments, **settings):
        raise ZeroDivisionError

    monkeypatch.setattr("adjoint.cli.demo.show_circuits", breaks)
    assert isinstance(run("demo").exception, ZeroDivisionError)


def test_a_process():
    assert in_a_process("-V").stdout == f"adjoint {adjoint.__version__}\n"
    slip = in_a_process("explian", "x*y")
    assert (slip.returncode, slip.stdout) == (2, "")
    assert slip.stderr == "adjoint: no command 'explian'; did you mean 'explain'?\n"
    explained = in_a_process("explain", "x*y", "x=2", "y=3")
    assert explained.returncode == 0
    assert "×" in explained.stdout


def test_help_imports_no_command():
    program = (
        "import sys\nfrom adjoint.cli import commands\n"
        "commands(['--help'], standalone_mode=False)\n"
        "print([m for m in sys.modules if m.startswith(('adjoint.cli.', 'polars', 'rich', 'scipy', 'safetensors'))])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
