"""Settings come from the environment, then from .env, and mean there what they mean to Compose."""

from pathlib import Path

import pytest

from scripts import addresses
from scripts.addresses import port, setting
from scripts.local.lookup import look


@pytest.fixture
def dotenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(addresses, "PROJECT", tmp_path)
    for name in ("TRAFFIC", "PORT_GRAFANA", "LOCAL", "COMPOSE", "TOOLS_PATH"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / ".env"


def test_a_variable_is_looked_for_in_the_environment_first(dotenv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert setting("TRAFFIC") == ""
    dotenv.write_text("TRAFFIC=2\n")
    assert setting("TRAFFIC") == "2"
    monkeypatch.setenv("TRAFFIC", "3")
    assert setting("TRAFFIC") == "3"


def test_comments_spaces_quotes_and_export_are_no_part_of_a_value(dotenv: Path) -> None:
    dotenv.write_text("TRAFFIC=0 # no load\nexport PORT_GRAFANA=3005\nLOCAL = 1\nCOMPOSE='podman compose' # mine\n")
    assert (setting("TRAFFIC"), port("PORT_GRAFANA"), setting("LOCAL")) == ("0", 3005, "1")
    assert setting("COMPOSE") == "podman compose"


def test_a_file_that_cannot_be_read_is_named_with_the_line(dotenv: Path) -> None:
    dotenv.write_text("TRAFFIC=2\nno load please\n")
    with pytest.raises(ValueError, match=r"\.env: line 2 is not NAME=value"):
        setting("LOCAL")


def test_programs_are_looked_for_in_the_folders_that_it_names(dotenv: Path, tmp_path: Path) -> None:
    tool = tmp_path / "mine" / "a-tool-of-mine"
    tool.parent.mkdir()
    tool.touch(0o755)
    assert look(tool.name) is None
    dotenv.write_text(f"TOOLS_PATH={tool.parent}\n")
    assert look(tool.name) == str(tool)
