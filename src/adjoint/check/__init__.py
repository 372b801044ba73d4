"""Proofs that gradients are right, and that compiled functions compute what eager ones do."""

from adjoint.check.gradcheck import GradCheckReport, gradcheck
from adjoint.check.parity import ParityReport, parity

__all__ = ["GradCheckReport", "ParityReport", "gradcheck", "parity"]
