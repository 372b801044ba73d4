"""Proofs that gradients are right."""

from adjoint.check.gradcheck import GradCheckReport, gradcheck

__all__ = ["GradCheckReport", "gradcheck"]
