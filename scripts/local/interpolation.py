"""Variables in the compose file, as Docker Compose reads them: ${VAR}, ${VAR:-default}, $$ and the rest."""

import re
from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")
_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*=\s*(.*)")
#: A value in quotes that go on in the next line.
_UNCLOSED = re.compile(r"""'[^']*|"(?:[^"\\]|\\.)*""", re.DOTALL)
_NAME_ALONE = re.compile(r"\s*(?:export\s+)?[A-Za-z_][A-Za-z0-9_.]*\s*")
#: What a backslash makes of the letter after it, in double quotes; of any other it makes nothing, and stays.
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "$": "$$"}


class InterpolationError(ValueError):
    """A value whose variables cannot be filled in; the message says which, and what is wrong with it."""


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """Fill in the variables of one value; an unset one without a default is empty.

    Raises InterpolationError for a malformed reference and for a required variable that is missing.
    """
    pieces: list[str] = []
    position = 0
    while (dollar := text.find("$", position)) >= 0:
        pieces.append(text[position:dollar])
        value, position = _reference(text, dollar + 1, variables)
        pieces.append(value)
    pieces.append(text[position:])
    return "".join(pieces)


def _reference(text: str, start: int, variables: Mapping[str, str]) -> tuple[str, int]:
    """What stands after a dollar sign: its value, and where the text goes on."""
    if text.startswith("$", start):
        return "$", start + 1
    if text.startswith("{", start):
        end = _closing_brace(text, start)
        return _braced(text[start + 1 : end], variables), end + 1
    if name := _NAME.match(text, start):
        return variables.get(name[0], ""), name.end()
    raise InterpolationError(f"the `$` at character {start} starts no variable; write `$$` for a dollar sign")


def _closing_brace(text: str, start: int) -> int:
    depth = 0
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return position
    raise InterpolationError(f"the `${{` at character {start} is without its `}}`")


def _braced(expression: str, variables: Mapping[str, str]) -> str:
    name = _NAME.match(expression)
    if not name:
        raise InterpolationError("what stands in `${…}` does not start with the name of a variable")
    rest = expression[name.end() :]
    value = variables.get(name[0])
    if not rest:
        return value or ""
    operator = _OPERATOR.match(rest)
    if not operator:
        raise InterpolationError(f"in `${{{name[0]}…}}`, after the name comes one of :- - :? ? :+ +")
    other = rest[operator.end() :]
    given = bool(value) if operator[0].startswith(":") else value is not None
    if operator[0].endswith("+"):
        return interpolate(other, variables) if given else ""
    if given:
        return value or ""
    if operator[0].endswith("-"):
        return interpolate(other, variables)
    reason = interpolate(other, variables) or "it has no value"
    raise InterpolationError(f"{name[0]} is required: {reason}. Set it in `.env` or in the environment")


def last_variable(text: object) -> str | None:
    """The name of the last variable that a raw value refers to: the one to change to change the value."""
    names = re.findall(r"(?<!\$)\$\{?([A-Za-z_][A-Za-z0-9_]*)", str(text))
    return names[-1] if names else None


def read_env_file(text: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of a `.env` file; its values may use `environment` and the lines above them.

    Raises InterpolationError for a line that assigns nothing; it has the line's number and never the value, which may
    be a secret.
    """
    values: dict[str, str] = {}
    lines = enumerate(text.splitlines(), start=1)
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#") or _NAME_ALONE.fullmatch(line):
            continue  # a name alone: the environment's value, which holds in any case
        assignment = _ASSIGNMENT.fullmatch(line)
        if not assignment:
            raise InterpolationError(f"line {number} is not NAME=value")
        name, value = assignment[1], assignment[2].strip()
        while _UNCLOSED.fullmatch(value):
            following = next(lines, None)
            if following is None:
                raise InterpolationError(f"line {number}: the quote in which {name} begins is not closed")
            value = f"{value}\n{following[1]}"
        try:
            values[name] = _env_value(value, {**values, **environment})
        except InterpolationError as error:
            raise InterpolationError(f"line {number}: {name}: {error}") from None
    return values


def _env_value(value: str, variables: Mapping[str, str]) -> str:
    if quoted := re.match(r"'([^']*)'", value):
        return quoted[1]  # single quotes: taken as it stands
    if quoted := re.match(r'"((?:[^"\\]|\\.)*)"', value):
        plain = re.sub(r"\\(.)", lambda match: _ESCAPED.get(match[1], match[0]), quoted[1])
        return interpolate(plain, variables)
    return interpolate(re.split(r"\s+#", value)[0].strip(), variables)
