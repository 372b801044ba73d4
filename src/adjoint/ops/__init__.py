"""The ops, one block each; and what they attach to Tensor: operators, methods, and the protocols of NumPy."""

from __future__ import annotations

import adjoint.autodiff  # noqa: F401 (fills the engine that operators are built by)
from adjoint.ops.protocols import METHODS
from adjoint.tensor import attach

attach("ops", METHODS)
