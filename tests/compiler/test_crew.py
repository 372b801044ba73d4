"""How many threads a program gets, on a machine whose clock the tests turn."""

import pytest

from adjoint.compiler import crew as module
from adjoint.compiler.crew import Crew


class Machine:
    """Runs take what `seconds` says for a number of threads."""

    def __init__(self):
        self.now, self.seconds, self.runs = 0.0, {}, []

    def run(self, program, table, threads):
        self.runs.append(threads)
        self.now += self.seconds[threads]

    def last(self, count):
        """Which numbers of threads the last runs had, and how often the most frequent one."""
        runs = self.runs[-count:]
        most = max(set(runs), key=runs.count)
        return most, runs.count(most) / count


@pytest.fixture
def machine(monkeypatch):
    made = Machine()
    monkeypatch.setattr(module.pool, "run", made.run)
    monkeypatch.setattr(module.time, "perf_counter", lambda: made.now)
    return made


def run(crew, machine, seconds, threads=2):
    end = machine.now + seconds
    while machine.now < end:
        crew.run(0, 0, threads)


QUIET = {1: 2.8e-3, 2: 1.5e-3}
BUSY = {1: 2.8e-3, 2: 4.0e-3}


def test_all_threads_on_quiet_cores(machine):
    machine.seconds = QUIET
    run(Crew(), machine, 5.0)
    threads, share = machine.last(2000)
    assert threads == 2
    assert share > 0.98


def test_one_fewer_while_a_core_is_busy_and_all_again_afterwards(machine):
    crew, machine.seconds = Crew(), QUIET
    run(crew, machine, 3.0)
    machine.seconds = BUSY
    begin = len(machine.runs)
    run(crew, machine, 0.5)
    assert machine.runs[begin:].count(2) < 30  # of about 170: it is found out at once
    run(crew, machine, 3.0)
    threads, share = machine.last(1000)
    assert (threads, share > 0.95) == (1, True)
    machine.seconds = QUIET
    run(crew, machine, 3.0)
    assert machine.last(500)[0] == 2


def test_a_core_that_is_busy_from_the_start(machine):
    machine.seconds = BUSY
    run(Crew(), machine, 1.0)
    assert machine.last(100)[0] == 1


def test_a_single_late_run_changes_little(machine):
    crew, machine.seconds = Crew(), QUIET
    run(crew, machine, 1.0)
    machine.seconds = {1: 0.1, 2: 0.1}
    crew.run(0, 0, 2)
    machine.seconds = QUIET
    begin = len(machine.runs)
    run(crew, machine, 0.5)
    assert machine.runs[begin:].count(1) <= 3 * module._TRIAL


def test_of_many_threads_one_is_left_out(machine):
    machine.seconds = {15: 1.1e-3, 16: 4e-3}
    run(Crew(), machine, 1.0, threads=16)
    assert set(machine.runs) == {15, 16}
    assert machine.last(500)[0] == 15


def test_one_thread_stays_one(machine):
    machine.seconds = {1: 1e-3}
    crew = Crew()
    assert [round(crew.run(0, 0, 1), 6) for _ in range(50)] == [1e-3] * 50


def test_steps_of_one_run_count_one_by_one(machine):
    """A turn of an epoch has more steps than the one before: that is no reason to compare."""
    crew, machine.seconds = Crew(), {1: 2.8, 2: 1.5}
    for steps in (1, 2, 4, 8, 16, 16, 16):
        machine.seconds = {n: s * steps for n, s in QUIET.items()}
        crew.run(0, 0, 2, steps)
    assert machine.runs == [2] * 7


def test_trials_of_long_runs_are_a_small_part_of_the_time(machine):
    machine.seconds = {1: 0.034, 2: 0.017}
    run(Crew(), machine, 60.0)
    assert machine.runs.count(1) < 0.02 * len(machine.runs)
