"""The structure of a CSV text: separator, column names, blank lines, and rows too short or too long.

polars parses the cells; this file answers what polars lets pass or says without a line number. Python's own
reader goes over the text, as far as it is asked to.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from adjoint.data.tables import listed
from adjoint.errors import DataError

SEPARATORS = ",;\t|"


@dataclass(frozen=True)
class CsvText:
    """A CSV file's text and what its first line says."""

    source: str
    text: str
    separator: str
    header: tuple[str, ...]

    @classmethod
    def of(cls, source: str, content: bytes) -> CsvText:
        text = _decoded(source, content)
        first_line = text.lstrip("\r\n").split("\n", 1)[0]
        separator = max(SEPARATORS, key=first_line.count)
        _, names = next(_records(source, text, separator), (1, []))
        header = tuple(name.strip() for name in names)
        _check_names(source, header)
        return cls(source, text, separator, header)

    def blank_rows(self) -> list[int]:
        """Row numbers, from 0, of the blank lines; raises where a row does not fit the header."""
        blank = []
        for index, (line, row) in enumerate(_records(self.source, self.text, self.separator), start=-1):
            if not row:
                blank.append(index)
            elif len(row) != len(self.header):
                raise DataError(
                    f"{self.source}: expected {len(self.header)} values in every row, as in the "
                    f"header, got {len(row)} in line {line}; a value that holds "
                    f"{self.separator!r} needs quotes around it"
                )
        return blank


def _decoded(source: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{content[error.start]:02x} in line {line}"
        raise DataError(f"{source}: expected text in UTF-8, got {byte}; save it as CSV in UTF-8") from None


def _records(source: str, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The header, then every row, each with the line it ends in; blank lines before the header left out."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    started = False
    try:
        for row in reader:
            started = started or bool(row)
            if started:
                yield reader.line_num, row
    except csv.Error as error:
        raise DataError(f"{source}: expected a CSV file, got {error} in line {reader.line_num}") from None


def _check_names(source: str, header: tuple[str, ...]) -> None:
    repeated = [name for name, times in Counter(header).items() if times > 1]
    if repeated:
        raise DataError(
            f"{source}: expected a name for each column in the first line, each once, got "
            f"{listed(repeated)} more than once"
        )
