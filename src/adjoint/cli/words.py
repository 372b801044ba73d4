"""The words of the language of `adjoint explain`: tokens, functions, and the error that points at a column.

What may follow what is said in `expression.py`. Text that is not a word of the language is refused here, with
the column and, where one can guess what was meant, with a hint.
"""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from rich.cells import cell_len

from adjoint.errors import ExpressionError

LONGEST_TEXT: Final = 10_000
MARGIN: Final = 60  # characters shown on either side of the column of an error


class ColumnError(ExpressionError):
    """An ExpressionError with text, column (from 0) and hint; prints the line with a caret below it."""

    def __init__(self, message: str, text: str, column: int, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.text, self.column, self.hint = message, text, column, hint

    def __str__(self) -> str:
        start, stop = max(0, self.column - MARGIN), self.column + MARGIN
        before = ("…" if start else "") + _printable(self.text[start : self.column])
        after = _printable(self.text[self.column : stop]) + ("…" if stop < len(self.text) else "")
        lines = [self.message, f"  {before}{after}".rstrip(), "  " + " " * cell_len(before) + "^"]
        return "\n".join([*lines, self.hint] if self.hint else lines)


def _printable(text: str) -> str:
    """The text on one line, safe for a terminal."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)


class Function(NamedTuple):
    """A function of the language: the name in this library and how many arguments it takes.

    From `settings` on, the arguments must be plain numbers, since nothing flows back into them.
    """

    name: str
    fewest: int = 1
    most: int = 1
    settings: int = 9


_ONE_ARGUMENT = (
    *("exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "sqrt", "square", "reciprocal", "abs", "sign"),
    *("sin", "cos", "tan", "arctan", "sinh", "cosh", "tanh", "sigmoid", "softplus", "relu", "erf"),
    *("floor", "ceil", "round", "sum", "mean", "var", "std", "logsumexp", "softmax", "transpose"),
)
FUNCTIONS: Final[Mapping[str, Function]] = {
    **{name: Function(name) for name in _ONE_ARGUMENT},
    **{name: Function(name, 2, 2) for name in ("maximum", "minimum", "power", "dot", "matmul")},
    "max": Function("max", 1, 2),  # of two arguments: element by element
    "min": Function("min", 1, 2),
    "leaky_relu": Function("leaky_relu", 1, 2, settings=1),
    "elu": Function("elu", 1, 2, settings=1),
    "where": Function("where", 3, 3),
    "clip": Function("clip", 3, 3, settings=1),
}
TWO_ARGUMENTS: Final = {"max": "maximum", "min": "minimum"}
CONSTANTS: Final[Mapping[str, float]] = {"pi": math.pi, "inf": math.inf, "nan": math.nan}

SUMS: Final = {"+": "add", "-": "subtract"}
PRODUCTS: Final = {"*": "multiply", "/": "divide", "@": "matmul"}
COMPARISONS: Final = {
    **{"<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal"},
    **{"==": "equal", "!=": "not_equal"},
}
_LECTURE: Final = dict(zip("×·⋅∗−÷≤≥≠", ("*", "*", "*", "*", "-", "/", "<=", ">=", "!="), strict=True))

HINTS: Final[Mapping[str, str]] = {
    "^": "`^` means power: write **",
    "²": "write **2",
    "³": "write **3",
    "√": "write sqrt(…)",
    "%": "there is no remainder here; x - y*floor(x/y) is one",
    "//": "write floor(x/y)",
    "&": "write where(condition, x, y)",
    "|": "write where(condition, x, y), or abs(x) for |x|",
    '"': "text in quotes is not part of the language",
    "'": "text in quotes is not part of the language",
    "{": "group with ( and )",
    "}": "group with ( and )",
    ":=": "write name = expression; next expression",
    "lambda": "it is a word of Python; for a rate write lam",
    "ln": "did you mean `log`?",
    "norm": "write sqrt(sum(x**2))",
    "pow": "write x**y",
    "atan": "did you mean `arctan`?",
    "cross_entropy": "write logsumexp(s) - s[0]",
}
_TOKEN: Final = re.compile(
    r"(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<name>[^\W\d]\w*)"
    r"|(?P<sign>\*\*|//|:=|[<>=!]=|[-+*/@<>=()\[\],;:.×·⋅∗−÷≤≥≠])"
)


class Token(NamedTuple):
    """A piece of the text; `kind` is "number", "name", "end" or the sign itself."""

    kind: str
    text: str
    column: int


def tokens(text: str) -> list[Token]:
    """The pieces of a text, ending with one of kind "end"."""
    if len(text) > LONGEST_TEXT:
        message = f"expected at most {LONGEST_TEXT:,} characters, got {len(text):,}"
        raise ColumnError(message, text, LONGEST_TEXT)
    found, place = [], 0
    while (place := _skip_blanks(text, place)) < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            message = f"expected a name, a number or an operator, got {quoted(text[place])}"
            raise ColumnError(message, text, place, HINTS.get(text[place], ""))
        found.append(_token(text, match))
        place = match.end()
    return [*found, Token("end", "", len(text))]


def _skip_blanks(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place


def _token(text: str, match: re.Match[str]) -> Token:
    """One token, checked for what can be wrong in itself."""
    piece, place = match.group(), match.start()
    if match["number"] and not math.isfinite(float(piece)):
        raise ColumnError("expected a number below 1.8e308", text, place)
    if match["name"]:
        _check_name(piece, text, place)
    sign = _LECTURE.get(piece, piece)
    return Token(match.lastgroup if match["sign"] is None else sign, piece, place)  # type: ignore[arg-type]


def _check_name(name: str, text: str, place: int) -> None:
    valid = next(length for length in range(len(name), -1, -1) if not length or name[:length].isidentifier())
    if valid < len(name):  # a letter to a regular expression, and no letter to a reader: x²
        message = f"expected a name, a number or an operator, got {quoted(name[valid])}"
        raise ColumnError(message, text, place + valid, HINTS.get(name[valid], ""))
    if name.startswith("_"):
        raise ColumnError(f"expected a name that begins with a letter, got {quoted(name)}", text, place)
    if keyword.iskeyword(name):
        hint = HINTS.get(name, "it is a word of Python and not part of the language")
        raise ColumnError(f"{quoted(name)} cannot be used here", text, place, hint)


def quoted(text: str) -> str:
    return f"`{_printable(text[:40])}`"


def check_new_name(token: Token, text: str) -> None:
    """A name that a statement or a binding gives must not be that of a function or a constant."""
    if token.text in FUNCTIONS or token.text in CONSTANTS:
        kind = "function" if token.text in FUNCTIONS else "constant"
        message = f"{quoted(token.text)} is the name of a {kind}"
        raise ColumnError(message, text, token.column, "choose another name")
