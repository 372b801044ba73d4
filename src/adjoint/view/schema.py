"""Checking plain JSON data against a schema: the part of JSON Schema that `schema.json` is written in.

The published schema is thereby the only description of the format; nothing is stated a second time in code. The words
understood are those of `_CHECKS`; any other word of a schema is a comment. A whole number must be written as one: 1.0
is none. Long columns are checked by the types of their elements alone where the schema allows that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "integer": (int,),
    "number": (int, float),
}


@cache
def published() -> Mapping[str, Any]:
    """The schema of the graph document."""
    loaded: dict[str, Any] = json.loads(files("adjoint.view").joinpath("schema.json").read_text("utf-8"))
    return loaded


def problem(data: Any, part: str | None = None) -> str | None:
    """What is wrong with a document, or with a part of one, in words; None if it fits the schema."""
    return next(_problems(data, published() if part is None else _definition(part), part or "the document"), None)


def _problems(data: Any, schema: Mapping[str, Any], at: str) -> Iterator[str]:
    for word, argument in schema.items():
        if word in _CHECKS:
            yield from _CHECKS[word](data, argument, at, schema)


def _reference(data: Any, target: str, at: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield from _problems(data, _definition(target), at)


def _definition(target: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = published()["$defs"][target.removeprefix("#/$defs/")]
    return found


def _type(data: Any, names: str | list[str], at: str, schema: Mapping[str, Any]) -> Iterator[str]:
    wanted = [names] if isinstance(names, str) else names
    if not any(type(data) in _TYPES[name] for name in wanted):
        yield f"expected {' or '.join(wanted)} at {at}, got {brief(data)}"


def _one_of(data: Any, choices: list[Any], at: str, schema: Mapping[str, Any]) -> Iterator[str]:
    if not any(data == choice and type(data) is type(choice) for choice in choices):
        yield f"expected one of {', '.join(map(str, choices))} at {at}, got {brief(data)}"


def _exactly(data: Any, value: Any, at: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield from _one_of(data, [value], at, schema)


def _at_least(data: Any, least: int, at: str, schema: Mapping[str, Any]) -> Iterator[str]:
    if type(data) in (int, float) and data < least:
        yield f"expected at least {least} at {at}, got {brief(data)}"


def _at_most(data: Any, most: int, at: str, schema: Mapping[str, Any]) -> Iterator[str]:
    if type(data) in (int, float) and data > most:
        yield f"expected at most {most} at {at}, got {brief(data)}"


def _pattern(data: Any, pattern: str, at: str, schema: Mapping[str, Any]) -> Iterator[str]:
    if type(data) is str and not re.search(pattern.replace("$", r"\Z"), data):
        yield f"expected a number at {at}, got {brief(data)}"


def _required(data: Any, names: list[str], at: str, schema: Mapping[str, Any]) -> Iterator[str]:
    if type(data) is dict:
        yield from (f"expected {name!r} in {at}, which is missing" for name in names if name not in data)


def _properties(data: Any, schemas: Mapping[str, Any], at: str, schema: Mapping[str, Any]) -> Iterator[str]:
    if type(data) is dict:
        for name, each in schemas.items():
            if name in data:
                yield from _problems(data[name], each, f"{at}.{name}".removeprefix("the document."))


def _others(data: Any, rule: Any, at: str, schema: Mapping[str, Any]) -> Iterator[str]:
    """Properties that have no schema of their own: none may be there, or they have this one."""
    if type(data) is dict:
        for name in sorted(data.keys() - schema.get("properties", {}).keys()):
            if rule is False:
                yield f"expected no {brief(name)} in {at}"
            else:
                yield from _problems(data[name], rule, f"{at}[{brief(name)}]")


def _items(data: Any, rule: Mapping[str, Any], at: str, schema: Mapping[str, Any]) -> Iterator[str]:
    if type(data) is not list or _surely(data, rule):
        return
    for place, each in enumerate(data):
        yield from _problems(each, rule, f"{at}[{place}]")


def _any_of(data: Any, rules: list[Mapping[str, Any]], at: str, schema: Mapping[str, Any]) -> Iterator[str]:
    """What fits one of several; of an object and an array the reason is that of the last, which is meant for them."""
    reasons = [list(_problems(data, rule, at)) for rule in rules]
    if all(reasons):
        meant = type(data) in (dict, list)
        yield reasons[-1][0] if meant else f"expected a number at {at}, got {brief(data)}"


_Check = Callable[[Any, Any, str, Mapping[str, Any]], Iterator[str]]
_CHECKS: Final[Mapping[str, _Check]] = {
    "type": _type,
    "enum": _one_of,
    "const": _exactly,
    "minimum": _at_least,
    "maximum": _at_most,
    "pattern": _pattern,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _others,
    "items": _items,
    "anyOf": _any_of,
    "$ref": _reference,
}


def _surely(data: list[Any], rule: Mapping[str, Any]) -> bool:
    """Whether all of a column fits, as far as a look at the whole can tell; if not, its elements are looked at."""
    kinds, resolved = set(map(type, data)), _definition(rule["$ref"]) if "$ref" in rule else rule
    if kinds <= _plain(resolved):
        return True
    if "enum" in resolved:
        return kinds <= {str} and set(data) <= set(resolved["enum"])
    return resolved.get("type") == "integer" and kinds <= {int} and bool(min(data) >= resolved.get("minimum", 0))


def _plain(rule: Mapping[str, Any]) -> set[type]:
    """Types of which every value fits the schema."""
    if "$ref" in rule:
        return _plain(_definition(rule["$ref"]))
    if "anyOf" in rule:
        return set().union(*map(_plain, rule["anyOf"]))
    if rule.keys() - {"type", "description"}:
        return set()
    names = [rule["type"]] if isinstance(rule["type"], str) else rule["type"]
    return {kind for name in names for kind in _TYPES[name]}


def brief(data: Any) -> str:
    """A value as a message shows it."""
    if type(data) in (dict, list):
        return "an object" if type(data) is dict else "an array"
    text = repr(data)
    return text if len(text) <= 60 else text[:57] + "..."
