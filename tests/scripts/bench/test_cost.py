"""The cost table is made of variants that were seen to do their job; whatever is not is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from rich.console import Console

from scripts.bench import cost
from scripts.bench.checks import REQUESTS, NotDone, check, check_lines, check_metrics, check_spans
from scripts.bench.sink import Sink
from scripts.bench.subject import TEMPLATE, Place, Subject, bare_app
from scripts.bench.variants import BARE, VARIANTS
from scripts.bench.worker import Worker

CLAIMS_ALL = replace(VARIANTS[BARE], metrics=True, lines=True, sampled=1.0)


@pytest.mark.timeout(300)
def test_every_variant_does_its_job_and_is_in_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cost.main(Console(width=160), tmp_path, rounds=2, requests=50)
    out = capsys.readouterr().out
    written = json.loads((tmp_path / "cost.json").read_text())["variants"]
    assert set(written) == set(VARIANTS)
    for name, variant in VARIANTS.items():
        assert variant.title in out
        assert 0 < written[name]["without_exporters"] <= written[name]["all_threads"]
    assert (tmp_path / "cost.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("claims", "says"), [({"metrics": True}, "404"), ({"sampled": 1.0}, "no span"), ({"lines": True}, "no lines")]
)
async def test_a_variant_that_does_not_do_what_it_claims_is_refused(
    claims: dict[str, Any], says: str, tmp_path: Path
) -> None:
    place = Place(tmp_path, "", BARE)
    worker = Worker(Subject(bare_app()), place)
    assert await check(VARIANTS[BARE], worker, place) == REQUESTS
    with pytest.raises(NotDone, match=says):
        await check(replace(VARIANTS[BARE], **claims), worker, place)


async def test_a_wrong_answer_is_refused_before_and_during_a_round(tmp_path: Path) -> None:
    app = FastAPI()
    place = Place(tmp_path, "", BARE)
    worker = Worker(Subject(app), place)
    with pytest.raises(NotDone, match="answered 404"):
        await check(VARIANTS[BARE], worker, place)
    with pytest.raises(NotDone, match="404 while it was timed"):
        await worker.round(3)


def test_a_worker_that_dies_or_fails_is_an_error_that_names_the_variant(tmp_path: Path) -> None:
    with Sink() as sink:
        measured = cost.Measured(replace(VARIANTS[BARE], name="unheard-of"), tmp_path / "one", sink)
        try:
            with pytest.raises(NotDone, match="FastAPI route alone: KeyError"):
                measured.check()
        finally:
            measured.end()


def test_metrics_have_to_count_every_request() -> None:
    key = f"x {TEMPLATE}"
    whole = {("counter", key): 5.0 + REQUESTS, ("histogram", key): float(REQUESTS)}
    check_metrics(CLAIMS_ALL, {("counter", key): 5.0}, whole)
    for kind in ("counter", "histogram"):
        with pytest.raises(NotDone, match=f"no {kind}"):
            check_metrics(CLAIMS_ALL, {("counter", key): 5.0}, {**whole, (kind, key): REQUESTS - 1.0})


def test_every_request_has_a_line_with_an_id_of_its_own(tmp_path: Path) -> None:
    place = Place(tmp_path, "", "bare")
    lines = [json.dumps({"status": 200, "request_id": str(number)}) for number in range(REQUESTS)]
    place.log_file.write_text("\n".join(['{"event": "started"}', *lines]))
    check_lines(CLAIMS_ALL, place)
    for wrong in (lines[1:], [*lines, lines[0]], [lines[1], *lines[1:]]):
        place.log_file.write_text("\n".join(wrong))
        with pytest.raises(NotDone, match="lines"):
            check_lines(CLAIMS_ALL, place)


def test_spans_that_were_due_have_to_arrive() -> None:
    names = [f"GET {TEMPLATE}"] * 100
    check_spans(CLAIMS_ALL, 100, names)
    check_spans(replace(CLAIMS_ALL, sampled=0.1), 1000, names)
    check_spans(replace(CLAIMS_ALL, sampled=0.0), 100, [])
    for share, requests, arrived in ((1.0, 100, names[1:]), (0.0, 100, names[:1]), (0.1, 1000, names[:20])):
        with pytest.raises(NotDone, match="were due"):
            check_spans(replace(CLAIMS_ALL, sampled=share), requests, arrived)
    with pytest.raises(NotDone, match="0 spans"):
        check_spans(CLAIMS_ALL, 100, ["GET /other"] * 100)
