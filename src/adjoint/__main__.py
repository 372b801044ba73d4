"""`python -m adjoint`: the command, where its script is not on the path."""

from adjoint.cli import main

main()
