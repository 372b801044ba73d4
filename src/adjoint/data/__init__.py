"""Data: the digits, tables from files, the encoder that makes numbers of them, splits and minibatches."""

from adjoint.data.batches import minibatches
from adjoint.data.digits import Split, digits
from adjoint.data.encoder import Encoder
from adjoint.data.reading import read_table
from adjoint.data.splits import split
from adjoint.data.tables import Kind, Table
from adjoint.data.targets import decide_task

__all__ = ["Encoder", "Kind", "Split", "Table", "decide_task", "digits", "minibatches", "read_table", "split"]
