"""`adjoint explain --step`: keys, and the two ways to see the steps."""

import io
import os
import pty
import select
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from adjoint.cli.explain import explain
from adjoint.cli.stepper import HELP, advance, run

ARGUMENTS = ("q=x+y; f=q*z", "x=-2", "y=5", "z=-4", "--step")


def test_without_a_terminal_all_steps_are_printed():
    result = CliRunner().invoke(explain, ARGUMENTS)
    assert result.exit_code == 0
    pages = result.output.split("\n\n\n")
    assert [page.splitlines()[0] for page in pages] == [
        "step 0 of 4: inputs only",
        "step 1 of 4: forward 1 of 2",
        "step 2 of 4: forward 2 of 2",
        "step 3 of 4: backward 1 of 2",
        "step 4 of 4: backward 2 of 2",
    ]
    assert "    ∂q = ∂f × z = 1 × -4 = -4\n" in pages[3]
    assert "\x1b" not in result.output


def test_in_ascii_and_with_fixed_digits():
    output = CliRunner().invoke(explain, [*ARGUMENTS, "--ascii", "--digits", "1"]).output
    assert output.isascii()
    assert "    dq = df * z = 1.0 * -4.0 = -4.0\n" in output


@pytest.mark.parametrize(
    ("keys", "places"),
    [
        ("...q", [0, 1, 2, 3]),
        (",..,q", [0, 0, 1, 2, 1]),
        ("Gg?q", [0, 4, 0, 0]),
        (["\x1b[F", ".", "\x1b[H", "q"], [0, 4, 4, 0]),
        (["\x1bOF", "\x1b[D", "\x1b[C", "\x1b"], [0, 4, 3, 4]),
    ],
)
def test_keys(keys, places):
    shown, at = [0], 0
    for key in keys:
        at = advance(key, at, 5)
        if at is None:
            break
        shown.append(at)
    assert at is None
    assert shown == places


def test_the_end_of_the_input_leaves():
    def nobody():
        raise EOFError

    out = io.StringIO()
    run(["one", "two"], out, color=False, getchar=nobody)
    assert out.getvalue() == f"one\n\n{HELP}\n"


def test_on_a_terminal_keys_move_through_the_steps():
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "80", "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "adjoint", "explain", *ARGUMENTS]
    with subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=environment) as process:
        os.close(follower)
        assert "step 0 of 4: inputs only" in _answer(leader, b"")
        last = _answer(leader, b"\x1b[F")
        assert "step 4 of 4: backward 2 of 2" in last
        assert "\x1b[36m" not in last, "NO_COLOR"
        assert "step 0 of 4: inputs only" in _answer(leader, b"\x1b[H")
        while process.poll() is None:
            os.write(leader, b"q")
            time.sleep(0.1)
        assert process.returncode == 0
    os.close(leader)


def _answer(terminal, key):
    """What is shown after a key, which is pressed again until something is: a key before the question is lost."""
    seen = b""
    while HELP.encode() not in seen:
        if not select.select([terminal], [], [], 0.5)[0]:
            os.write(terminal, key)
            continue
        seen += os.read(terminal, 65536)
    return seen.decode()
