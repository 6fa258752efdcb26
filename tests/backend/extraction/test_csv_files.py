"""CSV: each row as a line that says what its values are."""

import pytest

from app.services.extraction import Limits, extract, validate

from .conftest import Refusals


def test_a_row_is_a_line_of_columns_and_values(limits: Limits) -> None:
    found = extract(b'name,city,note\nRossi,Roma,"said ""yes"", twice"\nBianchi,,x\n', "csv", limits)
    assert found.text == 'name: Rossi; city: Roma; note: said "yes", twice\nname: Bianchi; note: x'


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_out(delimiter: str, limits: Limits) -> None:
    rows = [["id", "price", "text"], ["1", "2.50", "so; or, so"], ["2", "3,75", "a|b"], ["3", "1", "c\td"]]
    content = "\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    assert extract(content.encode(), "csv", limits).text.splitlines()[1] == "id: 2; price: 3,75; text: a|b"


def test_decimal_commas_do_not_hide_semicolons(limits: Limits) -> None:
    found = extract(b"item;price\ncoffee;1,20\ntea;2,00\ncake;3,10\n", "csv", limits)
    assert found.text.splitlines()[0] == "item: coffee; price: 1,20"


def test_without_a_header_columns_are_numbered(limits: Limits) -> None:
    assert extract(b"1,Rossi\n2,Bianchi\n", "csv", limits).text.splitlines()[0] == "column 1: 1; column 2: Rossi"


def test_a_row_may_be_longer_or_shorter_than_the_header(limits: Limits) -> None:
    found = extract(b"a,b\n1\n1,2,3\n", "csv", limits)
    assert found.text == "a: 1\na: 1; b: 2; column 3: 3"


def test_a_line_end_inside_quotes_is_a_space(limits: Limits) -> None:
    assert extract(b'a,b\r\n"one\r\ntwo",x\r\n', "csv", limits).text == "a: one two; b: x"


def test_a_header_alone_is_text(limits: Limits) -> None:
    assert extract(b"name,city\n", "csv", limits).text == "name, city"


def test_one_column_is_a_table(limits: Limits) -> None:
    assert extract(b"city\nRoma\nMilano\n", "csv", limits).text == "city: Roma\ncity: Milano"


def test_a_quote_that_never_closes_is_refused_with_its_line(refused: Refusals) -> None:
    error = refused.at_once(b'a,b\n1,"2\n3,4\n', "csv")
    assert error.reason == "unreadable"
    assert "Line 3" in str(error)
    assert "balance its quotes" in str(error)


def test_a_cell_of_the_size_of_a_file_is_refused(refused: Refusals) -> None:
    error = refused.at_once(b'a,b\n"' + b"x" * 200_000 + b'",1\n', "csv")
    assert error.reason == "unreadable"
    assert "131,072 characters" in str(error)


def test_columns_without_end_are_refused(refused: Refusals) -> None:
    error = refused.at_once(b"a,b\n" + b"x," * 99_999 + b"x", "csv")
    assert error.reason == "bomb"
    assert "Line 2 has 100,000 columns" in str(error)
    assert "1,000 are read at most" in str(error)


def test_the_limit_of_columns_is_a_setting(refused: Refusals) -> None:
    content = b"x," * 1_999 + b"x"
    enough = Limits(max_csv_columns=2_000)
    validate(content, "csv", enough)
    assert extract(content, "csv", enough).text.endswith("column 2000: x")
    error = refused.at_once(content, "csv", Limits(max_csv_columns=1_999))
    assert "Line 1 has 2,000 columns, and 1,999 are read at most" in str(error)


def test_long_names_cannot_multiply_the_text(limits: Limits) -> None:
    header = ",".join(f"{number}{'h' * 5_000}" for number in range(10))
    rows = "\n".join([",".join("x" * 10)] * 1_000)
    assert len(extract(f"{header}\n{rows}".encode(), "csv", limits).text) < 10 * 1_000 * 100


def test_too_much_text_is_refused_with_the_row(refused: Refusals) -> None:
    error = refused(b"name\n" + b"word\n" * 1_000, "csv", Limits(max_text_chars=1_000))
    assert error.reason == "too_long"
    assert "reached at row 102" in str(error)


def test_cells_without_text_are_empty(refused: Refusals) -> None:
    assert refused(b",,\n , \n", "csv").reason == "empty"
