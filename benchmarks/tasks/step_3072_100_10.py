"""A training step on small colour images: one wide product in, one wide product back."""

from __future__ import annotations

from benchmarks.networks import step_task
from benchmarks.task import faster

task = step_task(__name__, (3072, 100, 10), 200, "ms", faster(1.25))
