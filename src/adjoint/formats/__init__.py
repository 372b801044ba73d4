"""Files: a network and its description in one safetensors file, and files that are whole or not there."""

from adjoint.atomic import write_atomically
from adjoint.formats.architecture import ACTIVATIONS, Architecture, rebuild
from adjoint.formats.model_file import is_model_file, load_model, save_model

__all__ = [
    "ACTIVATIONS",
    "Architecture",
    "is_model_file",
    "load_model",
    "rebuild",
    "save_model",
    "write_atomically",
]
