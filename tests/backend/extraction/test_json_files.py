"""JSON: each value as a line that says where it stands."""

import json
import tracemalloc

import pytest

from app.services.extraction import Limits, extract, validate

from .conftest import Refusals


def test_a_value_is_a_line_of_path_and_text(limits: Limits) -> None:
    content = b'{"shop": {"name": "Bar", "open": true, "tables": [{"seats": 4}, {"seats": 2}]}, "city": "Roma"}'
    assert extract(content, "json", limits).text == (
        "shop.name: Bar\nshop.open: true\nshop.tables[0].seats: 4\nshop.tables[1].seats: 2\n\ncity: Roma"
    )


def test_elements_of_an_array_are_paragraphs(limits: Limits) -> None:
    found = extract(b'[{"a": 1, "b": 2}, {"a": 3}]', "json", limits)
    assert found.text == "[0].a: 1\n[0].b: 2\n\n[1].a: 3"


@pytest.mark.parametrize("key", ["title", "name"])
def test_the_title_is_the_document_s_own(key: str, limits: Limits) -> None:
    assert extract(f'{{"x": 1, "{key}": "Mine"}}'.encode(), "json", limits).title == "Mine"


def test_a_title_that_is_no_text_is_none(limits: Limits) -> None:
    assert extract(b'{"title": 7, "name": "  "}', "json", limits).title == ""


def test_numbers_stay_as_they_are_written(limits: Limits) -> None:
    found = extract(b"[1.10, 12345678901234567890123, 1E400, -0, NaN]", "json", limits)
    assert found.text.split("\n\n") == [
        "[0]: 1.10",
        "[1]: 12345678901234567890123",
        "[2]: 1E400",
        "[3]: -0",
        "[4]: NaN",
    ]


def test_a_single_value_is_a_document(limits: Limits) -> None:
    assert extract(b'"just text"', "json", limits).text == "just text"


@pytest.mark.parametrize("content", [b"{}", b"[]", b"null", b'[null, "", " ", {}]'])
def test_what_says_nothing_is_empty(content: bytes, refused: Refusals) -> None:
    assert refused(content, "json").reason == "empty"


def test_halves_of_surrogate_pairs_become_text_that_can_be_stored(limits: Limits) -> None:
    found = extract(b'{"\\ud800": "a\\udfffb", "nul": "\\u0000x"}', "json", limits)
    assert found.text.encode() == "\ufffd: a\ufffdb\n\nnul: x".encode()


def test_what_does_not_parse_is_refused_with_the_place(refused: Refusals) -> None:
    error = refused.at_once(b'{"a": 1,\n "b": }', "json")
    assert error.reason == "unreadable"
    assert "line 2, column 7" in str(error)


@pytest.mark.parametrize("depth", [51, 900, 100_000])
@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a":', "}")])
def test_depth_is_refused(depth: int, start: str, end: str, refused: Refusals) -> None:
    error = refused.at_once((start * depth + "1" + end * depth).encode(), "json")
    assert error.reason == "bomb"
    assert "more than 50 deep" in str(error)


def test_depth_up_to_the_limit_is_read(limits: Limits) -> None:
    content = b"[" * 50 + b"1" + b"]" * 50
    validate(content, "json", limits)
    assert extract(content, "json", limits).text == "[0]" * 50 + ": 1"


@pytest.mark.parametrize("number", [b"9" * 5_000, b"-" + b"9" * 5_000, b"1." + b"0" * 5_000, b"1e" + b"9" * 5_000])
def test_huge_numbers_are_refused(number: bytes, refused: Refusals) -> None:
    error = refused.at_once(b'{"n": ' + number + b"}", "json")
    assert error.reason == "bomb"
    assert "digits" in str(error)
    assert len(str(error)) < 200


def test_width_is_refused_before_it_takes_memory(refused: Refusals) -> None:
    content = b"[" + b"[]," * 2_000_000 + b"0]"
    tracemalloc.start()
    error = refused.at_once(content, "json")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error.reason == "bomb"
    assert "more than 500,000 values" in str(error)
    assert peak < 4 * len(content)


def test_signs_inside_strings_are_no_values(refused: Refusals) -> None:
    three = Limits(max_json_values=3)
    text = '[,{\\",\\\\' * 50
    content = f'{{"a": "{text}", "b": ["{text}"]}}'
    validate(content.encode(), "json", three)
    value = json.loads(f'"{text}"')
    assert extract(content.encode(), "json", three).text == f"a: {value}\n\nb[0]: {value}"
    one_more = content.replace('"]', '", 1]')
    assert "more than 3 values" in str(refused.at_once(one_more.encode(), "json", three))


def test_a_string_of_escapes_that_never_closes_takes_no_time(refused: Refusals) -> None:
    error = refused.at_once(b'["' + b'\\",' * 1_000_000, "json", Limits(seconds=2))
    assert error.reason == "unreadable"


def test_long_keys_cannot_multiply_the_text(limits: Limits) -> None:
    content = b'{"' + b"k" * 100_000 + b'": [' + b"1," * 9_999 + b"1]}"
    assert len(extract(content, "json", limits).text) < 100 * 10_000
