"""A wheel or an sdist without the built viewer is not made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VIEWER = "src/adjoint/view/viewer.js"


class ViewerHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling ships no type of its settings
    """Asks for the viewer's bundle before anything is packed; an editable installation may do without."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Raise unless the bundle is there."""
        del build_data
        bundle = Path(self.root, VIEWER)
        if version != "editable" and not (bundle.is_file() and bundle.stat().st_size > 0):
            raise RuntimeError(
                f"adjoint: expected {VIEWER}, which is not there; build it: cd viewer && npm ci && npm run build"
            )
