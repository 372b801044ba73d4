"""A training step of the digits' network."""

from __future__ import annotations

from benchmarks.networks import step_task
from benchmarks.task import faster

task = step_task(__name__, (64, 100, 10), 32, "µs", faster(2.2))
