"""CSV, one line of "column: value" a row, so that a row that is found alone still says what it means."""

import csv
import io
from collections.abc import Iterator
from itertools import islice

from app.services.extraction.cleaning import one_line
from app.services.extraction.decoding import decode
from app.services.extraction.model import Budget, Limits, RejectedDocument, Section

#: The most common first: the first of equals is taken.
_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_CHARS = 16_384
_SAMPLE_ROWS = 20
#: A column's name stands in every line, so a long one would multiply the text.
_NAME_CHARS = 80


def check(content: bytes, limits: Limits) -> None:
    """Parse all of it, which for CSV is quick, and keep nothing."""
    budget = Budget(limits)
    for number, _ in _rows(decode(content), limits):
        budget.check_time(f"row {number}")


def read(content: bytes, limits: Limits, budget: Budget) -> tuple[str, list[Section]]:
    """One section, one paragraph of the rows; CSV names no title."""
    rows = _rows(decode(content), limits)
    names: list[str] = []
    lines: list[str] = []
    for number, row in rows:
        if not lines and not names and _is_header(row):
            names = [one_line(cell, _NAME_CHARS) for cell in row]
            continue
        line = "; ".join(_cells(names, row))
        if line:
            budget.spend(line, f"row {number}")
            lines.append(line)
    # A header alone is all the text that there is.
    return "", [Section("", "\n".join(lines) or ", ".join(filter(None, names)))]


def _cells(names: list[str], row: list[str]) -> Iterator[str]:
    for index, cell in enumerate(row):
        value = " ".join(cell.split())
        if value:
            name = names[index] if index < len(names) else ""
            yield f"{name or f'column {index + 1}'}: {value}"


def _is_header(row: list[str]) -> bool:
    """Whether the first row names the columns: all filled, all different, and none of them a number."""
    cells = [cell.strip() for cell in row]
    return all(cells) and len(set(cells)) == len(cells) and not any(_is_number(cell) for cell in cells)


def _is_number(cell: str) -> bool:
    return cell.lstrip("+-").replace(".", "", 1).replace(",", "", 1).isdigit()


def _rows(text: str, limits: Limits) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not empty with the number of their last line."""
    # newline="" leaves the line ends inside quotes to the csv module; strict, or an unbalanced quote would
    # quietly swallow rows.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    try:
        for row in reader:
            if len(row) > limits.max_csv_columns:
                raise RejectedDocument(
                    "bomb",
                    f"Line {reader.line_num} has {len(row):,} columns, and {limits.max_csv_columns:,} are read "
                    "at most; split the table.",
                )
            if any(row):
                yield reader.line_num, row
    except csv.Error as error:
        raise RejectedDocument("unreadable", _explain(str(error), reader.line_num)) from None


def _explain(error: str, line: int) -> str:
    if "field larger" in error:
        limit = csv.field_size_limit()
        return (
            f"The cell that goes on at line {line} has more than {limit:,} characters: "
            "a quote is missing, or the table holds whole documents; close the quote or split the cell."
        )
    return f"Line {line} is not valid CSV ({one_line(error, 80)}); balance its quotes, doubling those inside a cell."


def _delimiter(text: str) -> str:
    """Return the delimiter that gives the first rows the same number of columns, and then the most of them."""
    sample = text[:_SAMPLE_CHARS]
    return max(_DELIMITERS, key=lambda delimiter: _fit(sample, delimiter))


def _fit(sample: str, delimiter: str) -> tuple[float, int]:
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
    try:
        widths = [len(row) for row in islice(reader, _SAMPLE_ROWS) if row]
    except csv.Error:
        widths = []
    # The sample may end within a row.
    whole = widths[:-1] if len(widths) > 1 else widths
    common = max(whole, key=whole.count, default=1)
    return (whole.count(common) / len(whole), common) if common > 1 else (0.0, 1)
