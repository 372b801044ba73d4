"""Neural networks as plain objects: layers, losses, initialisers."""

from adjoint.nn import init
from adjoint.nn.activation import ELU, LeakyReLU, ReLU, Sigmoid, Tanh
from adjoint.nn.container import Sequential
from adjoint.nn.dropout import Dropout
from adjoint.nn.linear import Linear, Maxout
from adjoint.nn.losses import cross_entropy, hinge_loss, l1, l2, squared_loss
from adjoint.nn.module import Module

__all__ = [
    "ELU",
    "Dropout",
    "LeakyReLU",
    "Linear",
    "Maxout",
    "Module",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "cross_entropy",
    "hinge_loss",
    "init",
    "l1",
    "l2",
    "squared_loss",
]
