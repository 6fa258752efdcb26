"""`.env.example` lists every variable there is, with the default that it really has."""

import json
import re
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from app.core.config import Settings

PROJECT = Path(__file__).resolve().parents[2]
COMPOSE = "\n".join(path.read_text() for path in PROJECT.glob("docker-compose*.yml"))
#: Read by the Makefile's commands, and by nothing else.
COMMANDS = {"COMPOSE", "LOCAL", "TOOLS_PATH", "VIEW_PORT"}


def example() -> dict[str, str]:
    lines = (PROJECT / ".env.example").read_text().splitlines()
    return dict(line[1:].split("=", 1) for line in lines if re.match(r"#[A-Z_]+=", line))


def in_compose() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, default in re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", COMPOSE):
        found.setdefault(name, set()).add(default)
    return found


def passed_on() -> set[str]:
    """Variables that a service is given only if they are set: keys without a value."""
    return set(re.findall(r"^ +([A-Z][A-Z_]+):(?: *#.*)?$", COMPOSE, re.MULTILINE))


def shown(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return json.dumps(value)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def test_it_lists_every_variable_and_no_other() -> None:
    settings = {name.upper() for name in Settings.model_fields}
    assert set(example()) == settings | set(in_compose()) | passed_on() | COMMANDS


def test_a_variable_has_one_default_in_the_compose_files() -> None:
    assert {name: defaults for name, defaults in in_compose().items() if len(defaults) > 1} == {}


def test_each_default_is_the_one_that_holds() -> None:
    values = example()
    for name, (default,) in in_compose().items():
        assert values[name] == default, name
    for name, field in Settings.model_fields.items():
        if name.upper() not in in_compose():
            assert values[name.upper()] == shown(field.default), name


def test_what_is_passed_on_only_if_it_is_set_has_no_default_of_its_own() -> None:
    assert passed_on() >= {"API_KEY", "AI_PROVIDER"}
    assert passed_on() & set(in_compose()) == set()
    assert [name for name in passed_on() if name.lower() not in Settings.model_fields and example()[name]] == []


def test_a_default_that_the_compose_file_changes_is_explained() -> None:
    text = (PROJECT / ".env.example").read_text()
    for name, field in Settings.model_fields.items():
        for default in in_compose().get(name.upper(), ()):
            if default != shown(field.default):
                comment = text.split(f"#{name.upper()}=")[0].splitlines()[-1]
                assert "the compose file's default" in comment, name


def test_the_example_can_be_read_back_as_settings(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("\n".join(f"{name}={value}" for name, value in example().items()))
    assert Settings(_env_file=dotenv).ai_prices == Settings().ai_prices  # type: ignore[call-arg]
