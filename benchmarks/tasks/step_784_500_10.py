"""A training step on images of handwritten digits."""

from __future__ import annotations

from benchmarks.networks import step_task
from benchmarks.task import faster

task = step_task(__name__, (784, 500, 10), 128, "ms", faster(1.2))
