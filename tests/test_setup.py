"""What `make demo` says on a machine that lacks something: one line with the remedy, and nothing half-made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(os.name != "posix", reason="make and sh of POSIX")

TOO_OLD = '#!/bin/sh\n[ "$1" = -V ] && echo "Python 3.9.2" && exit 0\nexit 1\n'
NO_VENV = f'#!/bin/sh\n[ "$2" = venv ] && echo "No module named venv" >&2 && exit 1\nexec "{sys.executable}" "$@"\n'


def refused(python: str, folder: Path) -> str:
    """The one line that the set-up says when it stops."""
    command = ["sh", str(ROOT / "scripts" / "setup.sh"), python, str(folder / "venv"), "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert not (folder / "venv").exists()
    (line,) = done.stderr.splitlines()
    return line


def fake(folder: Path, script: str) -> str:
    path = folder / "python"
    path.write_text(script)
    path.chmod(0o755)
    return str(path)


def test_too_old_a_python(tmp_path):
    line = refused(fake(tmp_path, TOO_OLD), tmp_path)
    assert "Python 3.11 or newer is needed" in line
    assert "Python 3.9.2" in line
    assert "make PYTHON=python3.12 demo" in line


def test_no_python_at_all(tmp_path):
    line = refused(str(tmp_path / "nothing"), tmp_path)
    assert "there is no" in line
    assert "apt install python3" in line


def test_no_venv_module(tmp_path):
    line = refused(fake(tmp_path, NO_VENV), tmp_path)
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert f"apt install python{version}-venv" in line
    assert "No module named venv" in line


def test_the_readme_names_the_commands_first():
    first = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## ")[0]
    for said in ("make demo", "make test", "python3 -m venv .venv", "pip install -e", "apt install python3-venv"):
        assert said in first
