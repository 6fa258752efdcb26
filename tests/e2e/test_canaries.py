"""Nothing private is in any store, and what looks for it can find it."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from scripts.canaries.__main__ import leaks, table, unseen
from scripts.canaries.run import Result, run

pytestmark = pytest.mark.timeout(420)


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """As it is delivered, with the real stores that this machine has."""
    return run(tmp_path_factory.mktemp("delivered"), redaction=True, content=False)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """With everything that protects switched off."""
    return run(tmp_path_factory.mktemp("bare"), redaction=False, content=True)


def test_as_delivered_no_store_holds_a_canary(delivered: Result) -> None:
    assert delivered.planted > 1000
    assert leaks(delivered) == []


def test_without_protection_each_kind_is_found_in_the_lines(bare: Result) -> None:
    assert unseen(bare) == []


def test_with_content_in_the_lines_what_has_a_form_is_still_taken_out(tmp_path: Path) -> None:
    talkative = run(tmp_path, redaction=True, content=True, stores=())
    assert leaks(talkative, content=True) == []
    assert "span files" in talkative.found
    found = {one.kind for one in talkative.found["log files"]}
    assert found >= {"sentence in a prompt", "sentence in a document"}, "content is there, as it was asked for"


@pytest.mark.parametrize("store", ["Loki", "Tempo", "Prometheus"])
def test_the_real_stores_are_searched_too(delivered: Result, store: str) -> None:
    if store not in delivered.found:
        needed = ("loki", "promtail") if store == "Loki" else (store.lower(),)
        pytest.skip("; ".join(delivered.missing[name] for name in needed if name in delivered.missing))
    assert delivered.sizes[store] > 100_000


def test_tempo_s_attributes_are_searched_for_what_a_client_calls_its_request(bare: Result) -> None:
    if "Tempo" not in bare.found:
        pytest.skip(bare.missing["tempo"])
    assert {one.kind for one in bare.found["Tempo"]} >= {"card", "IBAN", "API key", "JWT"}


def test_the_table_has_a_row_a_kind_and_a_column_a_store(bare: Result) -> None:
    console = Console(width=200, file=StringIO())
    console.print(table(bare, "title"))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for name in (*bare.found, *(canary.kind for canary in bare.canaries)):
        assert name in shown
