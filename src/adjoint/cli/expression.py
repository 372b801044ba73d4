"""The language of `adjoint explain`: text in, a Program out. Nothing is computed here and nothing is run.

Grammar, in Python's precedence (`-x**2` is `-(x**2)`, `**` groups from the right):

    program     statement { ";" statement } [ ";" ]       the last statement is the output
    statement   [ name "=" ] comparison
    comparison  sum [ ( < | <= | > | >= | == | != ) sum ]
    sum         product { ( + | - ) product }
    product     unary { ( * | / | @ ) unary }
    unary       ( - | + ) unary | power
    power       postfix [ "**" unary ]
    postfix     atom { "[" index "]" | ".T" }
    atom        number | name | function "(" arguments ")" | "(" comparison ")" | "[" elements "]"

A Program is a flat list of steps in which a step uses earlier ones only, as the nodes of a graph do; so a
long expression needs no recursion to compute. Nesting is bounded, and so is the length of the text. Whatever
is not in this grammar is refused in words, with the column: no text is ever given to Python.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, NoReturn

from adjoint.cli.words import (
    COMPARISONS,
    CONSTANTS,
    FUNCTIONS,
    HINTS,
    PRODUCTS,
    SUMS,
    TWO_ARGUMENTS,
    ColumnError,
    Function,
    Token,
    check_new_name,
    quoted,
    tokens,
)

DEEPEST: Final = 50  # levels of nesting; each costs a handful of Python frames
LONGEST_INDEX: Final = 9  # digits

Index = tuple[int | slice, ...]


class Step(NamedTuple):
    """One step of a Program: what it does with the results of earlier steps.

    kind is "number" (content: float), "name" (content: str), "call" (content: function name in this library),
    "list" or "index" (content: Index).
    """

    kind: str
    inputs: tuple[int, ...]
    column: int
    content: float | str | Index = ""


@dataclass(frozen=True)
class Program:
    """A parsed text: its steps and which of them is the output.

    `variables` are the names that it needs and `names` those that its statements give, by step.
    """

    text: str
    steps: tuple[Step, ...]
    output: int
    variables: Mapping[str, int]
    names: Mapping[int, str]


def parse(text: str) -> Program:
    """The Program of a text; raises ExpressionError at the column of the first thing that does not fit."""
    return Parser(text, tokens(text)).program()


@dataclass
class Parser:
    """Recursive descent over the tokens; the methods of the grammar return the step that they have added."""

    text: str
    tokens: list[Token]
    place: int = 0
    depth: int = 0
    steps: list[Step] = field(default_factory=list)
    variables: dict[str, int] = field(default_factory=dict)
    defined: dict[str, int] = field(default_factory=dict)

    # tokens

    @property
    def token(self) -> Token:
        return self.tokens[self.place]

    def take(self, *kinds: str) -> Token | None:
        """The next token if it is of one of these kinds."""
        token = self.token
        if token.kind not in kinds:
            return None
        self.place += 1
        return token

    def expect(self, kind: str, what: str) -> Token:
        return self.take(kind) or self.refuse(f"expected {what}")

    def refuse(self, message: str, token: Token | None = None, hint: str = "") -> NoReturn:
        """Raise, pointing at a token (the next one, if none is given)."""
        token = token or self.token
        got = "the end of the text" if token.kind == "end" else quoted(token.text)
        raise ColumnError(f"{message}, got {got}", self.text, token.column, hint or HINTS.get(token.text, ""))

    def add(self, kind: str, inputs: tuple[int, ...], token: Token, content: float | str | Index = "") -> int:
        self.steps.append(Step(kind, inputs, token.column, content))
        return len(self.steps) - 1

    # statements

    def program(self) -> Program:
        named, output = len(self.defined), self.statement()
        while (end := self.take(";")) and self.token.kind != "end":
            if len(self.defined) == named:
                self.refuse("only the last statement may be without a name", end, "write name = expression;")
            named, output = len(self.defined), self.statement()
        if self.token.kind != "end":
            self.refuse_rest()
        self.check_use(output)
        names = {step: name for name, step in reversed(self.defined.items())}
        return Program(self.text, tuple(self.steps), output, self.variables, names)

    def statement(self) -> int:
        """An expression, with or without a name; the name is known from the next statement on."""
        name = self.token
        if name.kind != "name" or self.tokens[self.place + 1].kind != "=":
            return self.comparison()
        check_new_name(name, self.text)
        if name.text in self.defined or name.text in self.variables:
            self.refuse_name(name, "has a value already")
        self.place += 2
        step = self.comparison()
        if name.text in self.variables:
            self.refuse_name(name, "cannot be part of its own value")
        self.defined[name.text] = step
        return step

    def refuse_name(self, name: Token, why: str) -> NoReturn:
        raise ColumnError(f"{quoted(name.text)} {why}", self.text, name.column, "choose another name")

    def check_use(self, output: int) -> None:
        """Every statement must lead to the output, or the picture would leave it out without a word."""
        used = {index for step in self.steps for index in step.inputs} | {output}
        for name, step in self.defined.items():
            if step not in used:
                column = next(token.column for token in self.tokens if token.text == name)
                raise ColumnError(f"{quoted(name)} is computed but never used", self.text, column)

    def refuse_rest(self) -> NoReturn:
        """Say what is wrong with a token after a complete expression."""
        last, token, hint = self.tokens[self.place - 1], self.token, ""
        if token.kind == "=":
            hint = "`=` gives a name to a statement, as in q=x+y; compare with =="
        elif token.kind in ("name", "number") and last.kind in ("name", "number", ")"):
            hint = f"for a product write {last.text}*{token.text}"
        elif token.kind == "(":
            hint = "for a product write *"
        self.refuse(f"expected an operator or the end after {quoted(last.text)}", token, hint)

    # operators

    def comparison(self) -> int:
        left = self.sum()
        if sign := self.take(*COMPARISONS):
            left = self.add("call", (left, self.sum()), sign, COMPARISONS[sign.kind])
            if self.token.kind in COMPARISONS:
                self.refuse("expected one comparison", hint="put parentheses around the first one")
        return left

    def sum(self) -> int:
        return self.binary(SUMS, self.product)

    def product(self) -> int:
        return self.binary(PRODUCTS, self.unary)

    def binary(self, signs: Mapping[str, str], operand: Callable[[], int]) -> int:
        """Operators of one precedence, grouped from the left."""
        left = operand()
        while sign := self.take(*signs):
            left = self.add("call", (left, operand()), sign, signs[sign.kind])
        return left

    def unary(self) -> int:
        """Every nesting passes here, so the depth is counted here."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise ColumnError(f"expected at most {DEEPEST} levels of nesting", self.text, self.token.column)
        step = self.signed()
        self.depth -= 1
        return step

    def signed(self) -> int:
        sign = self.take("-", "+")
        if sign is None:
            return self.power()
        operand = self.unary()
        return self.add("call", (operand,), sign, "negative") if sign.kind == "-" else operand

    def power(self) -> int:
        base = self.postfix()
        if sign := self.take("**"):
            return self.add("call", (base, self.unary()), sign, "power")
        return base

    def postfix(self) -> int:
        step = self.atom()
        while sign := self.take("[", "."):
            if sign.kind == "[":
                step = self.add("index", (step,), sign, self.index())
            elif self.token.text == "T":
                self.place += 1
                step = self.add("call", (step,), sign, "transpose")
            else:
                self.refuse("expected `.T`, the only attribute of the language")
        return step

    # atoms

    def atom(self) -> int:
        if token := self.take("number"):
            return self.add("number", (), token, float(token.text))
        if token := self.take("name"):
            return self.name(token)
        if self.take("("):
            step = self.comparison()
            self.close("(", ")")
            return step
        if token := self.take("["):
            if self.token.kind == "]":
                self.refuse("expected a value")
            return self.add("list", self.items("[", "]"), token)
        self.refuse("expected a value")

    def name(self, token: Token) -> int:
        """A call, a constant, a statement's name or a variable."""
        if self.token.kind == "(":
            return self.call(token)
        if token.text in self.defined:
            return self.defined[token.text]
        if token.text in CONSTANTS:
            return self.add("number", (), token, CONSTANTS[token.text])
        if token.text in FUNCTIONS:
            self.refuse(f"expected `(` after the function `{token.text}`", hint=f"write {token.text}(…)")
        if token.text not in self.variables:
            self.variables[token.text] = self.add("name", (), token, token.text)
        return self.variables[token.text]

    def call(self, token: Token) -> int:
        function = FUNCTIONS.get(token.text)
        if function is None:
            message = f"there is no function {quoted(token.text)}"
            raise ColumnError(message, self.text, token.column, self.suggest(token))
        self.place += 1
        arguments = self.items("(", ")")
        if not function.fewest <= len(arguments) <= function.most:
            raise ColumnError(_wrong_count(token.text, function, len(arguments)), self.text, token.column)
        for step in arguments[function.settings :]:
            if not self.is_number(step):
                message = f"{token.text}: expected a plain number here"
                raise ColumnError(message, self.text, self.steps[step].column)
        name = TWO_ARGUMENTS.get(token.text, function.name) if len(arguments) == 2 else function.name
        return self.add("call", arguments, token, name)

    def is_number(self, step: int) -> bool:
        """A number as it is written, with or without a sign."""
        kind, inputs, _, content = self.steps[step]
        return kind == "number" or (content == "negative" and self.is_number(inputs[0]))

    def suggest(self, token: Token) -> str:
        """What was probably meant by the name of an unknown function."""
        if token.text in self.variables or token.text in self.defined:
            return f"for a product write {token.text}*(…)"
        close = difflib.get_close_matches(token.text.lower(), FUNCTIONS, n=1)
        fallback = f"did you mean `{close[0]}`?" if close else f"functions: {', '.join(sorted(FUNCTIONS))}"
        return HINTS.get(token.text, fallback)

    def items(self, left: str, right: str) -> tuple[int, ...]:
        """Expressions with commas between them, up to the closing bracket."""
        found: list[int] = []
        while self.token.kind != right:
            found.append(self.comparison())
            if self.token.kind == "=":
                self.refuse("arguments are given by place", hint="leave out the name and the =")
            if not self.take(","):
                break
        self.close(left, right)
        return tuple(found)

    def close(self, left: str, right: str) -> None:
        if self.token.kind in ("name", "number", "("):
            self.refuse(f"expected an operator or `{right}`")
        self.expect(right, f"`{right}` to close `{left}`")

    # indices

    def index(self) -> Index:
        """What stands in the brackets of x[0], W[1, 0], x[1:], W[:, 0]."""
        found = [self.index_part()]
        while self.take(","):
            found.append(self.index_part())
        self.expect("]", "`]` to close `[`")
        return tuple(found)

    def index_part(self) -> int | slice:
        parts = [self.integer()]
        while len(parts) < 3 and self.take(":"):
            parts.append(self.integer())
        if len(parts) > 1:
            if parts[2:] == [0]:
                self.refuse("expected a step other than 0", self.tokens[self.place - 1])
            return slice(*parts)
        if parts[0] is None:
            self.refuse("expected a whole number as index", hint="write x[0], W[1,0] or x[1:]")
        return parts[0]

    def integer(self) -> int | None:
        """A whole number with or without a sign, or None where there is none."""
        sign, token = self.take("-"), self.token
        if token.kind != "number" and sign is None:
            return None
        if not token.text.isdigit() or len(token.text) > LONGEST_INDEX:
            self.refuse("expected a whole number as index")
        self.place += 1
        return -int(token.text) if sign else int(token.text)


def _wrong_count(name: str, function: Function, count: int) -> str:
    few, many = function.fewest, function.most
    wanted = str(few) if few == many else f"{few} or {many}"
    return f"{name}: expected {wanted} argument{'s' if many > 1 else ''}, got {count}"
