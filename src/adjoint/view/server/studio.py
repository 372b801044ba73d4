"""What the studio holds: documents and runs that are open, by number, and the one training.

Invariant: a file is read when somebody with the token names its path; nothing is listed, and no address of the web app
is ever made into a path.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any, Final

from adjoint.errors import AdjointError, DataError
from adjoint.formats import is_model_file
from adjoint.view.document import Document, load, to_bytes
from adjoint.view.runs import FORMAT, read_run
from adjoint.view.server.keeper import Keeper
from adjoint.view.server.refusals import BusyError, NotHereError
from adjoint.view.server.session import Session
from adjoint.view.server.tools import Tools

SUFFIX: Final = ".run.jsonl"
FIRST_BYTES: Final = 4096


class Studio:
    """Documents, runs and the training of one web app.

    Parameters
    ----------
    tools : Tools
    folder : path
        Where run logs are written; it is made when the first training starts.
    """

    def __init__(self, tools: Tools, folder: str | os.PathLike[str]) -> None:
        self.tools, self.folder = tools, Path(folder)
        self.documents: dict[str, bytes] = {}
        self.runs: dict[str, Path] = {}
        self.first: dict[str, str] = {}  # what the page opens with
        self.session: Session | None = None
        self.session_run = ""
        self._numbers = itertools.count(1)
        self._lock = Lock()

    # --- documents and runs -----------------------------------------------------------------------------------------

    def add_document(self, made: Document) -> dict[str, str]:
        """Open a document."""
        name = str(next(self._numbers))
        self.documents[name] = to_bytes(made)
        return {"kind": "document", "id": name}

    def add_run(self, path: str | os.PathLike[str]) -> dict[str, str]:
        """Open a run log, which may still be growing."""
        name = str(next(self._numbers))
        self.runs[name] = Path(path)
        return {"kind": "run", "id": name}

    def open(self, path: str) -> dict[str, str]:
        """Open a graph document, a run log or a model file.

        Raises
        ------
        AdjointError
            There is no such file, or it is none of the three.
        """
        try:
            with Path(path).open("rb") as file:
                start = file.read(FIRST_BYTES)
            if is_model_file(path):
                return self.add_document(self.tools.model(path))
            if f'"{FORMAT}"'.encode() in start.partition(b"\n")[0] or path.endswith(SUFFIX):
                read_run(path)
                return self.add_run(path)
            return self.add_document(load(path))
        except OSError as error:
            raise DataError(f"{path}: expected a file that can be read, got {error.strerror or error}") from None
        except ValueError as error:
            if isinstance(error, AdjointError):
                raise
            raise DataError(f"expected the path of a file, got {path[:60]!r}: {error}") from None

    def document(self, name: str) -> bytes:
        """The bytes of an open document."""
        if name not in self.documents:
            raise NotHereError(f"there is no open document {name[:20]!r}")
        return self.documents[name]

    def run(self, name: str) -> Path:
        """The path of an open run."""
        if name not in self.runs:
            raise NotHereError(f"there is no open run {name[:20]!r}")
        return self.runs[name]

    # --- the training -----------------------------------------------------------------------------------------------

    def train(self, request: Mapping[str, Any]) -> dict[str, str]:
        """Start a training, paused unless "run" is true.

        Raises
        ------
        BusyError
            One is going on.
        AdjointError
            What is wrong with the request.
        """
        with self._lock:
            if self.session is not None and not self.session.over:
                raise BusyError("training: one is going on; stop it first")
            task = self.tools.task(request)
            session = Session(task, self.new_path(task.title))
            added = self.add_run(session.recorder.log.path)
            self.session, self.session_run = session, added["id"]
        if request.get("run") is True:
            session.command("run")
        return added

    def new_path(self, title: str) -> Path:
        """A name for a log that no file has: spiral-3.run.jsonl."""
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", title)[:40].strip("-") or "run"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{self.folder}: runs cannot be written there: {error.strerror or error}") from None
        free = (self.folder / f"{stem}-{count}{SUFFIX}" for count in itertools.count(1))
        return next(path for path in free if not path.exists())

    def command(self, word: str) -> dict[str, Any]:
        """Tell the training to run, pause, step or stop."""
        if self.session is None:
            raise NotHereError("training: none has been started")
        self.session.command(word)
        return self.status()

    def graph(self, name: str, step: int, layer: str) -> bytes:
        """The graph of a run at a step, opened at a layer: of the training going on exactly, else from the log."""
        path = self.run(name)
        if self.session is not None and name == self.session_run:
            return to_bytes(self.session.keeper.document(step, layer))
        return to_bytes(Keeper.of_log(path, self.tools.rebuilt).document(step, layer))

    def status(self) -> dict[str, Any]:
        """What is going on."""
        training = None if self.session is None else {"run": self.session_run, **self.session.status()}
        return {"training": training, "first": self.first, "choices": self.tools.choices}

    def close(self) -> None:
        """Stop the training."""
        if self.session is not None:
            self.session.close()
