#!/bin/sh
# setup.sh PYTHON VENV REQUIREMENT: install this project, editable, into a virtual environment made by PYTHON.
# A new environment appears whole or not at all; one that works already is kept, whatever happens.
set -eu
python=$1 venv=$2 requirement=$3

stop() {
    echo "adjoint: $1" >&2
    exit 1
}

package() { # Debian keeps the venv module of each Python apart
    "$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'
}

command -v "$python" >/dev/null ||
    stop "there is no $python here; install Python 3.11 or newer (apt install python3), or name one: make PYTHON=python3.12 demo"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    stop "Python 3.11 or newer is needed and $python is $("$python" -V 2>&1); name a newer one: make PYTHON=python3.12 demo"

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    trap 'rm -rf "$venv"' EXIT
    trap 'exit 130' INT TERM HUP
    rm -rf "$venv"
    said=$("$python" -m venv "$venv" 2>&1) ||
        stop "$python cannot make a virtual environment: apt install $(package) (it said: $(echo "$said" | tail -n 1))"
fi

echo "adjoint: installing $requirement into $venv (once, about a minute)"
# Bytecode is compiled at the first import instead: most of SciPy is never imported.
"$venv/bin/python" -m pip install -q --no-input --disable-pip-version-check --no-compile -e "$requirement" ||
    stop "the installation failed, see above; nothing was kept that make would take as done"
trap - EXIT
