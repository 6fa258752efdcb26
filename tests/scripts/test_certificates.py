"""The certificates of the parts: who signed them, how long they hold, and what ROTATE makes anew."""

import ssl
import stat
import time
from pathlib import Path

import pytest

from scripts.staging import certificates, check, secrets


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "secrets" / "staging"
    monkeypatch.setattr(secrets, "FOLDER", made)
    monkeypatch.setattr(check, "FOLDER", made)
    monkeypatch.delenv("ROTATE", raising=False)
    return made


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rotated(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The files that `make secrets ROTATE=name` changes."""
    before = contents(folder)
    monkeypatch.setenv("ROTATE", name)
    assert secrets.main() == 0
    return {file for file, content in contents(folder).items() if before.get(file) != content}


def test_each_is_a_file_for_its_owner_alone_and_holds_for_a_year_at_most(folder: Path) -> None:
    assert sorted(certificates.make(folder)) == sorted(contents(folder)) == sorted(certificates.files())
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    for name in map(certificates.file_of, certificates.PARTS):
        end = check._end((folder / name).read_text())
        assert end is not None
        assert 364 < (end[0] - time.time()) / 86_400 <= 365
    assert certificates.make(folder) == []


def test_rotation_renews_every_part_and_keeps_the_authority(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets.main()
    assert rotated(folder, "tls", monkeypatch) == {certificates.file_of(part) for part in certificates.PARTS}
    assert "docker-compose.tls.yml up -d --wait --force-recreate\n" in capsys.readouterr().out
    assert rotated(folder, "tls_loki", monkeypatch) == {"tls_loki.pem"}
    assert "--force-recreate --no-deps secrets loki\n" in capsys.readouterr().out
    trusting = ssl.create_default_context(cafile=folder / certificates.AUTHORITY)
    assert trusting.cert_store_stats()["x509_ca"] == 1


def test_a_new_authority_signs_every_part_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets.main()
    assert rotated(folder, "tls_authority", monkeypatch) == set(certificates.files())
    (folder / certificates.AUTHORITY_KEY).unlink()  # without it no part could be renewed one day
    assert rotated(folder, "", monkeypatch) == set(certificates.files())


def test_without_openssl_it_is_said_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert secrets.main() == 1
    assert "openssl is not here, which makes certificates: install it" in capsys.readouterr().err


def test_the_check_names_what_ends_within_thirty_days_and_what_speaks_no_tls(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert all(finding.fatal and finding.advice == "make secrets" for finding in [*check.between()][:-5])
    certificates.make(folder)
    said = [finding.what for finding in check.between() if not finding.fatal]
    assert not [finding for finding in check.between() if finding.fatal]
    assert "ends first, in 365 days" in said[0]
    assert [line.split(": ")[1] for line in said[1:]] == list(check.without_tls())
    monkeypatch.setattr(certificates, "DAYS", 29)
    certificates.make(folder, "tls_tempo")
    (finding,) = [finding for finding in check.between() if finding.fatal]
    assert (finding.what, finding.advice) == (
        "the certificate tls_tempo ends in 29.0 days",
        "make secrets ROTATE=tls_tempo",
    )
    (folder / "tls_grafana.pem").write_text("damaged")
    assert "make secrets ROTATE=tls_grafana" in [finding.advice for finding in check.between() if finding.fatal]
