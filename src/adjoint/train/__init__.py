"""Training: the loop, what it looked like, what a network answers, and how good that is."""

from adjoint.train.evaluation import predict
from adjoint.train.fit import Callback, Interrupted, fit
from adjoint.train.history import History
from adjoint.train.metrics import accuracy, auc, confusion_matrix, log_loss, r2, rmse

__all__ = [
    "Callback",
    "History",
    "Interrupted",
    "accuracy",
    "auc",
    "confusion_matrix",
    "fit",
    "log_loss",
    "predict",
    "r2",
    "rmse",
]
