"""A saved description read with care: each entry of a JSON object asked for by name and type.

Whatever is damaged or of another version ends as a DataError that says where; no KeyError or TypeError of
Python's reaches a user whose file was cut short or edited.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from adjoint.data.tables import Kind, shown
from adjoint.errors import DataError


class Description:
    """A JSON object whose entries are read one by one."""

    def __init__(self, data: object, where: str) -> None:
        self.where = where
        if not isinstance(data, Mapping):
            raise self.wrong("an object", data)
        self.data: Mapping[str, Any] = data

    def wrong(self, expected: str, got: object) -> DataError:
        return DataError(f"{self.where}: expected {expected}, got {shown(got)}; the description is damaged")

    def text(self, key: str) -> str:
        return str(self._entry(key, str, "a text"))

    def flag(self, key: str) -> bool:
        return bool(self._entry(key, bool, "true or false"))

    def number(self, key: str) -> float:
        value = self._entry(key, (int, float), "a number")
        if isinstance(value, bool) or not _is_finite(value):
            raise self.wrong(f"a finite number as {key!r}", value)
        return float(value)

    def positive(self, key: str) -> float:
        value = self.number(key)
        if value <= 0:
            raise self.wrong(f"a positive number as {key!r}", value)
        return value

    def items(self, key: str) -> list[Any]:
        return list(self._entry(key, list, "a list"))

    def is_null(self, key: str) -> bool:
        return self._entry(key, object, "") is None

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(self.items_of(key, (str,), "texts"))

    def numbers(self, key: str) -> tuple[float, ...]:
        return tuple(float(value) for value in self.items_of(key, (int, float), "finite numbers"))

    def items_of(self, key: str, types: tuple[type, ...], expected: str) -> list[Any]:
        """A list of values of exactly these types: true is no number. Numbers must be finite."""
        values = self.items(key)
        if not all(type(value) in types and _is_finite(value) for value in values):
            raise self.wrong(f"a list of {expected} as {key!r}", values)
        return values

    def kind(self, key: str) -> Kind:
        value = self.choice(key, ("number", "boolean", "text"))
        return "number" if value == "number" else "boolean" if value == "boolean" else "text"

    def choice(self, key: str, options: tuple[str, ...]) -> str:
        value = self.text(key)
        if value not in options:
            raise self.wrong(f"{' or '.join(options)} as {key!r}", value)
        return value

    def part(self, key: str) -> Description:
        return Description(self._entry(key, dict, "an object"), f"{self.where}: {key}")

    def parts(self, key: str) -> list[Description]:
        return [Description(item, f"{self.where}: {key}[{index}]") for index, item in enumerate(self.items(key))]

    def _entry(self, key: str, types: Any, expected: str) -> Any:
        if key not in self.data:
            raise DataError(f"{self.where}: expected an entry {key!r}, got none; the description is damaged")
        value = self.data[key]
        if not isinstance(value, types):
            raise self.wrong(f"{expected} as {key!r}", value)
        return value


def _is_finite(value: object) -> bool:
    """Python's JSON reads NaN and Infinity, and whole numbers beyond the largest float."""
    return not isinstance(value, (int, float)) or -sys.float_info.max <= value <= sys.float_info.max
