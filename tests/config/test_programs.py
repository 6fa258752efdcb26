"""Each configuration file is accepted by the program that reads it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.programs import PROJECT, accepted, refusal

OVERLAYS = sorted(path.name for path in PROJECT.glob("docker-compose.*.yml"))
#: What an overlay lies on, where that is not docker-compose.yml alone.
ON = {"docker-compose.tls.yml": ["docker-compose.staging.yml"]}


def test_loki_accepts_its_configuration() -> None:
    assert refusal("loki", "-config.file=loki/loki.yml", "-config.expand-env=true", "-verify-config") == ""


def test_promtail_accepts_its_configuration() -> None:
    assert refusal("promtail", "-config.file=promtail/promtail.yml", "-check-syntax") == ""


def test_tempo_accepts_its_configuration_without_a_warning() -> None:
    said = accepted("tempo", "-config.file=tempo/tempo.yml", "-config.expand-env=true", "-config.verify=true")
    assert "level=warn" not in said


@pytest.mark.parametrize("file", sorted(path.name for path in (PROJECT / "alloy").glob("*.alloy")))
def test_alloy_accepts_its_configuration(file: str) -> None:
    assert refusal("alloy", "validate", f"alloy/{file}") == ""


@pytest.mark.parametrize("file", ["Caddyfile", "docker-socket-proxy.Caddyfile"])  # staging's: test_staging_tls.py
def test_caddy_accepts_its_configuration(file: str) -> None:
    assert refusal("caddy", "validate", "--adapter", "caddyfile", "--config", f"gateway/{file}") == ""


@pytest.mark.parametrize("overlay", [None, *OVERLAYS])
def test_compose_accepts_the_files_with_every_profile(overlay: str | None) -> None:
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip("docker compose is not here")
    files = ["docker-compose.yml", *ON.get(overlay or "", []), *([overlay] if overlay else [])]
    accepted("docker", "compose", *(f"-f{file}" for file in files), "--profile", "*", "config", "--quiet")


def test_a_mistake_in_a_file_is_named_with_its_line(tmp_path: Path) -> None:
    broken = tmp_path / "loki.yml"
    broken.write_text((PROJECT / "loki" / "loki.yml").read_text().replace("retention_period:", "retention:"))
    with pytest.raises(AssertionError, match=r"line \d+: field retention not found"):
        accepted("loki", f"-config.file={broken}", "-config.expand-env=true", "-verify-config")
