"""Variables are filled in as Docker Compose does it."""

import pytest

from scripts.local.interpolation import InterpolationError, interpolate, last_variable, read_env_file

VARIABLES = {"SET": "value", "EMPTY": "", "OTHER": "other"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nothing to fill in", "nothing to fill in"),
        ("$SET and ${SET}", "value and value"),
        ("$SET/x", "value/x"),
        ("${UNSET}", ""),
        ("$UNSET.", "."),
        ("${SET:-default}", "value"),
        ("${EMPTY:-default}", "default"),
        ("${UNSET:-default}", "default"),
        ("${EMPTY-default}", ""),
        ("${UNSET-default}", "default"),
        ("${UNSET:-}", ""),
        ("${UNSET:-a:b-c?d}", "a:b-c?d"),
        ("${UNSET:-${OTHER}}", "other"),
        ("${UNSET:-${EMPTY:-$SET}}!", "value!"),
        ("${SET:+there}", "there"),
        ("${EMPTY:+there}", ""),
        ("${EMPTY+there}", "there"),
        ("${UNSET+there}", ""),
        ("${SET:?needed}", "value"),
        ("${EMPTY?needed}", ""),
        ("$$SET", "$SET"),
        ("^/(dev|proc)($$|/)", "^/(dev|proc)($|/)"),
        ("127.0.0.1:${PORT:-9090}:9090", "127.0.0.1:9090:9090"),
    ],
)
def test_a_value_is_filled_in(text: str, expected: str) -> None:
    assert interpolate(text, VARIABLES) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("${UNSET:?give it}", "UNSET is required: give it"),
        ("${EMPTY:?}", "EMPTY is required: it has no value"),
        ("${UNSET?say $OTHER}", "say other"),
        ("an ${OPEN", "the `${` at character 4 is without its"),
        ("${1X}", "does not start with the name"),
        ("${SET!x}", "comes one of"),
        ("a $ b", "the `$` at character 3 starts no variable"),
        ("$", "starts no variable"),
    ],
)
def test_a_value_that_cannot_be_filled_in_is_refused_with_the_reason(text: str, complaint: str) -> None:
    with pytest.raises(InterpolationError) as error:
        interpolate(text, VARIABLES)
    assert complaint in str(error.value)


def test_the_variable_that_moves_a_port_is_the_last_one() -> None:
    assert last_variable("${BIND:-127.0.0.1}:${PORT_LOKI:-3100}:3100") == "PORT_LOKI"
    assert last_variable("127.0.0.1:3100:3100") is None
    assert last_variable("$$NOT:3100") is None
    assert last_variable(3100) is None


def test_an_env_file_is_read_with_comments_quotes_and_references() -> None:
    text = """
# a comment
PLAIN=one
export EXPORTED=two # the rest is a comment
HASH=a#b
SINGLE='$PLAIN stays # whole'
DOUBLE="$PLAIN\\n\\"quoted\\" # whole"
LATER=${PLAIN}/${OUTSIDE}
EMPTY=
  SPACED =  three
"""
    assert read_env_file(text, {"OUTSIDE": "shell"}) == {
        "PLAIN": "one",
        "EXPORTED": "two",
        "HASH": "a#b",
        "SINGLE": "$PLAIN stays # whole",
        "DOUBLE": 'one\n"quoted" # whole',
        "LATER": "one/shell",
        "EMPTY": "",
        "SPACED": "three",
    }


def test_a_dollar_sign_in_double_quotes_is_escaped_by_a_backslash_and_other_backslashes_stay() -> None:
    assert read_env_file('PASSWORD="pa\\$word\\d"\n', {}) == {"PASSWORD": "pa$word\\d"}


@pytest.mark.parametrize("line", ["ALONE", "export ALONE"])
def test_a_name_alone_is_left_to_the_environment(line: str) -> None:
    assert read_env_file(f"{line}\nA=$ALONE\n", {"ALONE": "shell"}) == {"A": "shell"}


def test_the_environment_wins_within_an_env_file() -> None:
    assert read_env_file("A=file\nB=$A", {"A": "shell"})["B"] == "shell"


def test_a_value_in_quotes_may_have_lines() -> None:
    text = 'KEY="-----BEGIN\nabc+/=\\" $A\n\n-----END" # mine\nPLAIN=\'two\nlines\'\nLAST=1\n'
    assert read_env_file(text, {"A": "b"}) == {
        "KEY": '-----BEGIN\nabc+/=" b\n\n-----END',
        "PLAIN": "two\nlines",
        "LAST": "1",
    }


@pytest.mark.parametrize(
    "line",
    ["the secret", "=secret", "A=secret${B", "A=secret $ ", "A=${secret", "A=${B!secret}", "A='secret", 'A="secret\\"'],
)
def test_a_line_that_cannot_be_used_is_named_by_its_number_and_not_quoted(line: str) -> None:
    with pytest.raises(InterpolationError, match="line 2") as error:
        read_env_file(f"GOOD=1\n{line}\n", {})
    assert "secret" not in str(error.value)
