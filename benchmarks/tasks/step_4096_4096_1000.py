"""A training step that is all matrix products, of a size at which their libraries are best."""

from __future__ import annotations

from benchmarks.networks import step_task
from benchmarks.task import Target

task = step_task(
    __name__, (4096, 4096, 1000), 1024, "ms", Target("not slower than the best peer", 1.0, "best"), rounds=5
)
