"""`make secrets` and `make staging-check`."""

import json
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
import yaml

from scripts.staging import certificates, check, secrets

PEOPLE = list(secrets.FOR_PEOPLE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "secrets" / "staging"
    monkeypatch.setattr(secrets, "FOLDER", made)
    monkeypatch.setattr(check, "FOLDER", made)
    for name in ("ROTATE", "STAGING_URL", "PORT_HTTPS", "TLS_CERTIFICATE", "TLS_KEY", "OIDC_ENABLED"):
        monkeypatch.delenv(name, raising=False)
    return made


def test_every_secret_is_a_file_for_its_owner_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert secrets.main() == 0
    files = sorted(folder.iterdir())
    assert {path.name for path in files} == {*secrets.names(), *secrets.derived(folder), *certificates.files()}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    values = [(folder / name).read_text() for name in secrets.names()]
    assert len(set(values)) == len(values)
    assert min(len(value) for value in values) >= 40
    said = capsys.readouterr().out
    assert [name for name in secrets.names() if (folder / name).read_text() in said] == PEOPLE


def test_what_was_printed_is_not_printed_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secrets.main()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    capsys.readouterr()
    assert secrets.main() == 0
    said = capsys.readouterr().out
    assert [name for name in secrets.names() if (folder / name).read_text() in said] == []
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_one_is_made_anew_by_name_with_all_that_is_made_from_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets.main()
    before = {name: (folder / name).read_text() for name in secrets.names()}
    monkeypatch.setenv("ROTATE", "mongodb_backend_password")
    assert secrets.main() == 0
    changed = [name for name, value in before.items() if (folder / name).read_text() != value]
    assert changed == ["mongodb_backend_password"]
    assert (folder / "mongodb_backend_password").read_text() in (folder / "mongodb_url").read_text()
    said = capsys.readouterr().out
    assert "--force-recreate --no-deps secrets mongodb backend" in said
    assert "users.js" in said


def test_a_name_that_is_none_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTATE", "grafana")
    assert secrets.main() == 1
    assert not folder.exists()


def test_hashes_are_of_the_passwords(folder: Path) -> None:
    secrets.make(folder)
    users = yaml.safe_load((folder / "prometheus_web.yml").read_text())["basic_auth_users"]
    files = {"operator": "prometheus_password"} | {
        client: f"prometheus_password_of_{client}" for client in ("prometheus", "grafana", "tempo")
    }
    assert set(users) == set(files)
    for user, file in files.items():
        assert bcrypt.checkpw((folder / file).read_bytes(), users[user].encode()), user
    for file in ("users.caddy", "prometheus_web.yml", "alertmanager_web.yml"):
        assert not [name for name in secrets.names() if (folder / name).read_text() in (folder / file).read_text()]


def found(what: Iterator[check.Finding]) -> dict[str, check.Finding]:
    return {finding.what: finding for finding in what}


def test_what_must_be_set_is_named_with_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OIDC_ENABLED", "true")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-in-the-wrong-place")
    findings = found(check.variables())
    assert {name.split()[0] for name in findings} >= {
        "STAGING_URL",
        "OIDC_CLIENT_ID",
        "OIDC_AUTH_URL",
        "OPENAI_API_KEY",
    }
    assert all(finding.fatal and finding.advice for finding in findings.values())
    assert "sk-in-the-wrong-place" not in str(findings)


def test_two_ports_are_a_contradiction(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGING_URL", "https://localhost")
    assert list(check.variables()) == []
    monkeypatch.setenv("PORT_HTTPS", "21000")
    assert [finding.fatal for finding in check.variables()] == [True]


def test_an_address_without_tls_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STAGING_URL", "http://specola.example.org")
    assert check.main() == 1
    assert "STAGING_URL=http://specola.example.org is not https://" in capsys.readouterr().out


def test_secrets_that_are_missing_or_open_to_others(folder: Path) -> None:
    assert any("missing" in what for what in found(check.secret_files()))
    secrets.make(folder)
    assert not [finding for finding in check.secret_files() if finding.fatal]
    (folder / "internal_token").chmod(0o640)
    assert [finding.advice for finding in check.secret_files() if finding.fatal] == [
        f"chmod 600 {folder / 'internal_token'}"
    ]


@pytest.mark.parametrize(("others", "fatal"), [(13, False), (14, True)])
def test_networks_that_the_engine_cannot_give(others: int, fatal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def said(*command: str) -> str:
        if "config" in command:
            return json.dumps({"name": "specola", "networks": {f"n{number}": {} for number in range(17)}})
        if "info" in command:
            return "null"
        return "\n".join(["bridge", "specola_backend", *(f"another_{number}" for number in range(others))])

    monkeypatch.setattr(check, "_said", said)
    [finding] = check.networks()
    assert finding.what == f"Docker has {30 - others} networks left, 17 are wanted"
    assert finding.fatal is fatal
    assert ("default-address-pools" in finding.advice) is fatal


def test_a_port_that_somebody_else_has(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        monkeypatch.setenv("STAGING_URL", f"https://localhost:{number}")
        monkeypatch.setattr(check, "_said", lambda *_, **__: "")
        assert [finding.fatal for finding in check.port()] == [True]
    assert [finding.what for finding in check.port()] == [f"port {number} is free; no other is published"]


@pytest.mark.parametrize(("days", "fatal"), [(5, True), (60, False)])
def test_a_certificate_of_ones_own_is_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, fatal: bool
) -> None:
    pem, key = tmp_path / "pem", tmp_path / "key"
    make = f"openssl req -x509 -newkey rsa:2048 -nodes -days {days} -subj /CN=x -out {pem} -keyout {key}"
    subprocess.run(make.split(), check=True, capture_output=True)
    monkeypatch.setenv("TLS_CERTIFICATE", str(pem))
    assert [finding.what for finding in check.certificate()] == ["only one of TLS_CERTIFICATE and TLS_KEY is set"]
    monkeypatch.setenv("TLS_KEY", str(key))
    (finding,) = check.certificate()
    assert (finding.fatal, f"ends in {days - 1}.9" in finding.what or f"ends in {days}.0" in finding.what) == (
        fatal,
        True,
    )
    key.write_text("another")
    assert "are no pair" in next(check.certificate()).what


def test_little_room_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "DISK_BYTES", 2**60)
    (finding,) = check.disk()
    assert finding.fatal
    assert finding.advice.startswith("free some")


@pytest.mark.parametrize("name", secrets.DERIVED)
def test_what_is_made_from_others_is_made_again_where_it_is_missing(folder: Path, name: str) -> None:
    secrets.make(folder)
    before = (folder / name).read_text()
    (folder / name).unlink()
    assert secrets.make(folder) == []
    assert (folder / name).read_text().count("\n") == before.count("\n")


def test_what_is_made_from_others_is_made_again_where_it_is_older(folder: Path) -> None:
    secrets.make(folder)
    (folder / "mongodb_backend_password").write_text("of a run that was interrupted")
    secrets.make(folder)
    assert "of a run that was interrupted" in (folder / "mongodb_url").read_text()


def test_without_openssl_no_secret_is_made(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert secrets.main() == 1
    assert "No secret was changed: openssl is not here" in capsys.readouterr().err
    assert not folder.exists()


def test_what_was_made_is_shown_though_the_rest_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(certificates, "make", full)
    assert secrets.main() == 1
    said = capsys.readouterr()
    assert (folder / "grafana_admin_password").read_text() in said.out
    assert "It is not done: No space left on device" in said.err
