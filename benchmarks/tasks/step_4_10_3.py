"""A training step so small that calls cost more than arithmetic."""

from __future__ import annotations

from benchmarks.networks import step_task
from benchmarks.task import faster

task = step_task(__name__, (4, 10, 3), 5, "µs", faster(3))
