"""A training step with two hidden layers."""

from __future__ import annotations

from benchmarks.networks import step_task
from benchmarks.task import faster

task = step_task(__name__, (784, 512, 256, 10), 128, "ms", faster(1.3))
