"""A model file: arrays by path and a description, as one safetensors file.

Metadata of the file: `format` "adjoint-model", `version`, and `description`, a JSON object. Reading one runs no code of
the file and trusts nothing in it: whatever is not as it should be ends as a ModelFileError of one line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from adjoint.atomic import write_atomically
from adjoint.errors import ModelFileError
from adjoint.nn import Module
from adjoint.tensor import Array

FORMAT: Final = "adjoint-model"
VERSION: Final = 1


def save_model(path: str | os.PathLike[str], net: Module, description: Mapping[str, Any]) -> None:
    """Write parameters and states of a network, and a description, to one file.

    Parameters
    ----------
    path : path
        Usually ends in .safetensors; a file that is there is replaced, in one instant.
    net : Module
    description : mapping
        JSON values. With an entry "network" as `Architecture.to_json` makes it, `rebuild` makes the network anew.

    Raises
    ------
    ModelFileError
        The file cannot be written, or the description holds what JSON does not.

    Example
    -------
    >>> import pathlib, tempfile, adjoint as ad
    >>> net = ad.nn.Linear(2, 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "line.safetensors")
    ...     save_model(file, net, {"made for": "an example"})
    ...     arrays, description = load_model(file)
    >>> sorted(arrays), description
    (['bias', 'weight'], {'made for': 'an example'})

    Source: the safetensors format, https://huggingface.co/docs/safetensors
    """
    content = _content(net.arrays(), _text(description))
    try:
        write_atomically(path, content)
    except OSError as error:
        raise ModelFileError(f"{os.fspath(path)}: the model cannot be written: {error.strerror or error}") from None
    except ValueError as error:  # a name with a zero byte
        raise ModelFileError(f"{os.fspath(path)!r}: the model cannot be written: {error}") from None


def load_model(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, Any]]:
    """Arrays by path, and the description, of a file that `save_model` wrote.

    Parameters
    ----------
    path : path

    Returns
    -------
    (arrays, description)
        `net.load_arrays(arrays)` puts them into a network.

    Raises
    ------
    ModelFileError
        No such file, no safetensors file, a damaged one, no model of this library, or one of another version.

    Example
    -------
    See `save_model`.

    Source: the safetensors format, https://huggingface.co/docs/safetensors
    """
    from safetensors import SafetensorError, safe_open

    name = os.fspath(path)
    if os.path.isdir(name):
        raise ModelFileError(f"{name}: expected a model file, got a folder")
    try:
        with safe_open(name, framework="numpy") as file:
            description = _description(name, file.metadata() or {})
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - it is no mapping
    except ModelFileError:
        raise
    except FileNotFoundError:
        raise ModelFileError(f"{name}: expected a model file, got no such file") from None
    except OSError as error:
        raise ModelFileError(f"{name}: expected a readable model file, got {error.strerror or error}") from None
    except (SafetensorError, AttributeError, TypeError, ValueError) as error:  # also of a dtype that NumPy has not
        raise ModelFileError(
            f"{name}: expected a model file (safetensors), got one that is none or is damaged ({_one_line(error)})"
        ) from None
    return arrays, description


def is_model_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a model of this library, of whatever version.

    Parameters
    ----------
    path : path of a file, which need not be there

    Returns
    -------
    bool

    Example
    -------
    >>> import adjoint as ad
    >>> ad.formats.is_model_file("no-such-file.safetensors")
    False
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            return (file.metadata() or {}).get("format") == FORMAT
    except (SafetensorError, OSError):
        return False


def _text(description: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(dict(description), ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(
            f"save_model: expected a description of JSON values only, got {_one_line(error)}"
        ) from None
    return text


def _content(arrays: Mapping[str, Array], description: str) -> bytes:
    """The bytes of the file."""
    from safetensors import SafetensorError
    from safetensors.numpy import save

    plain = {name: np.array(value, order="C") for name, value in arrays.items()}
    try:
        return _ordered(save(plain, {"format": FORMAT, "version": str(VERSION), "description": description}))
    except (SafetensorError, ValueError) as error:
        raise ModelFileError(f"save_model: expected arrays that a file can hold, got {_one_line(error)}") from None


def _ordered(content: bytes) -> bytes:
    """The same file with its metadata sorted: safetensors writes it in random order, and equal models would differ.

    A file is the size of the header in 8 bytes, the header in JSON, padded to a multiple of 8, and the arrays.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[end:]


def _description(name: str, metadata: Mapping[str, str]) -> dict[str, Any]:
    if metadata.get("format") != FORMAT:
        raise ModelFileError(
            f"{name}: expected a model of adjoint, got a safetensors file of another program (its metadata does not "
            f"say {FORMAT!r})"
        )
    if metadata.get("version") != str(VERSION):
        raise ModelFileError(
            f"{name}: expected a model file of version {VERSION}, got version {metadata.get('version', 'none')!s:.20}; "
            "it was written by another adjoint: upgrade this one, or train the model anew"
        )
    try:
        description = json.loads(metadata.get("description", ""))
    except (ValueError, RecursionError):
        raise ModelFileError(f"{name}: expected a description in JSON, got none that can be read") from None
    if not isinstance(description, dict):
        raise ModelFileError(f"{name}: expected a JSON object as description, got a {type(description).__name__}")
    return description


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:100]
