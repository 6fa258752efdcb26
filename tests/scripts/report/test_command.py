"""`make report`, as a person sees it."""

import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from scripts.report import __main__ as command
from tests.scripts.report.conftest import Places

AT = {"DASHBOARD": "sistema-overview", "FROM": "2026-03-15 11:00", "TO": "2026-03-15 13:00"}


@pytest.fixture
def reports(places: Places, address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of reports, with the variables that lead to the stores."""
    monkeypatch.setenv("PORT_PROMETHEUS", str(urlsplit(address).port))
    monkeypatch.setenv("PORT_LOKI", str(urlsplit(places.loki.address).port))
    monkeypatch.setenv("PORT_TEMPO", str(urlsplit(places.tempo.address).port))
    monkeypatch.setenv("LOG_DIR", str(tmp_path / "logs"))
    monkeypatch.setattr(command, "FOLDER", tmp_path / "reports")
    return tmp_path / "reports"


def test_a_report_is_written_and_named(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(AT) == 0
    (page,) = reports.iterdir()
    assert page.name == "sistema-overview-2026-03-15-1300.html"
    said = capsys.readouterr().out
    assert "Sistema Overview: 6 panels" in said
    assert f"{page}: 6 panels, 0." in said
    text = page.read_text()
    assert "Sun 15 Mar 2026, 11:00 to Sun 15 Mar 2026, 13:00" in text
    assert "2 of 3 objectives met" in text


def test_nothing_that_answers_is_a_failure(
    reports: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT_PROMETHEUS", "1")
    assert command.main(AT) == 1
    assert "6 could not be drawn, and say why:\n  Sistema Overview: System Health" in capsys.readouterr().out
    assert "Prometheus at http://127.0.0.1:1 does not run" in next(reports.iterdir()).read_text()


def test_nonsense_is_refused(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main({"DASHBOARD": "nosuch"}) == 2
    assert "report: there is no dashboard 'nosuch'" in capsys.readouterr().err
    assert not reports.exists()


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium on PATH: apt-get install -y chromium")
def test_a_pdf_is_printed(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main({**AT, "FORMAT": "pdf"}) == 0
    (pdf,) = reports.glob("*.pdf")
    assert pdf.read_bytes().startswith(b"%PDF-")
    assert str(pdf) in capsys.readouterr().out


def test_without_chromium_it_is_said_how_to_get_it(
    reports: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert command.main({**AT, "FORMAT": "pdf"}) == 1
    assert "FORMAT=pdf needs Chromium (apt-get install chromium), or print" in capsys.readouterr().out
    assert len(list(reports.glob("*.html"))) == 1
