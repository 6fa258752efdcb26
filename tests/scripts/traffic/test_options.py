"""What a run may be asked, on the command line and by environment."""

from pathlib import Path

import pytest

from scripts.traffic.options import Options, parse


def test_without_arguments_the_defaults_hold() -> None:
    assert parse([], {}) == Options()


def test_the_environment_replaces_defaults_and_arguments_replace_the_environment() -> None:
    environment = {"RATE": "2.5", "SECONDS": "0", "BACKEND_URL": "http://backend:8000/", "SEED": "7"}
    options = parse(["--rate", "9"], environment)
    assert (options.rate, options.seconds, options.url, options.seed) == (9.0, 0.0, "http://backend:8000", 7)


def test_the_backend_is_looked_for_where_its_port_was_moved_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT_BACKEND", "18000")
    assert parse([], {}).url == "http://127.0.0.1:18000"


def test_the_key_comes_from_the_environment_and_is_shown_nowhere() -> None:
    options = parse([], {"API_KEY": "sk-of-the-test"})
    assert options.key == "sk-of-the-test"
    assert "sk-of" not in repr(options)


def test_without_a_key_in_the_environment_it_is_the_one_of_the_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("API_KEY", raising=False)
    monkeypatch.setattr("scripts.addresses.PROJECT", tmp_path)
    (tmp_path / ".env").write_text("API_KEY=sk-of-the-file\n")
    assert parse([], {"BACKEND_URL": "http://backend:8000"}).key == "sk-of-the-file"


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert parse([], {"RATE": "", "BACKEND_URL": ""}) == Options()


@pytest.mark.parametrize(
    ("arguments", "environment", "complaint"),
    [
        (["--rate", "0"], {}, "--rate: invalid rate (above 0, at most 1000 requests/s) value: '0'"),
        ([], {"RATE": "nan"}, "--rate: invalid rate"),
        (["--seconds", "-1"], {}, "--seconds: invalid number of seconds (0 or more) value: '-1'"),
        (["--seconds", "inf"], {}, "--seconds: invalid number of seconds"),
        ([], {"BACKEND_URL": "backend:8000"}, "--url: invalid URL (http://host:port) value: 'backend:8000'"),
        (["--max-in-flight", "0"], {}, "--max-in-flight: invalid whole number (1 or more) value: '0'"),
    ],
)
def test_nonsense_is_refused_by_name(
    arguments: list[str], environment: dict[str, str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parse(arguments, environment)
    assert end.value.code == 2
    assert complaint in capsys.readouterr().err
