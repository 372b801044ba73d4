"""Jacobians and Hessians as objects.

Row = output, column = input, both flattened in C order; as an array of shape (*out, *in). What is known of the
structure is in `.structure`; today every Jacobian is stored "dense".
"""

from adjoint.jacobian.dense import Jacobian
from adjoint.jacobian.transforms import hessian, jacobian

__all__ = ["Jacobian", "hessian", "jacobian"]
