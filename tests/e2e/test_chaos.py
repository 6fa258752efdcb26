"""A minute of chaos on real programs, and too much load: what was acknowledged is there, and all of it comes back."""

import asyncio
from pathlib import Path

import pytest

from scripts.backend_process import BackendProcess
from scripts.chaos import load
from scripts.chaos.run import Chaos
from scripts.chaos.stack import own
from scripts.local.apart import NotHere


@pytest.mark.timeout(600)
def test_a_minute_of_chaos_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    said: list[str] = []
    try:
        with own(tmp_path) as stack:
            result = Chaos(stack, 5, said.append).run(1)
    except NotHere as missing:
        pytest.skip(str(missing))
    assert len(result.events) >= 2, said
    assert [one for one in result.events if one.recovery is None] == []
    by_name = {one.what: one for one in result.findings}
    assert [(one.what, one.lost[:3], one.doubled) for one in result.findings if not one.holds] == []
    assert by_name["acknowledged messages"].owed > 20, "it acknowledged too little to show anything"
    assert by_name["log lines that reached a file"].owed > 200
    assert by_name["acknowledged uploads"].owed > 5


def test_more_than_it_can_do_is_refused_with_retry_after_and_over_when_it_ends(tmp_path: Path) -> None:
    async def burst(asker: load.Asker) -> float:
        await asker.prepare()
        await asyncio.gather(*map(asker.ask, range(200)))
        return await asker.recovery(0.5)

    with BackendProcess(tmp_path, MAX_CONCURRENT_REQUESTS="10") as backend:
        asker = load.Asker(backend.address)
        recovery = asyncio.run(burst(asker))
    assert asker.answers["503"] > 0, "two hundred at once are more than ten"
    assert asker.answers["200"] > 0, "it goes on serving meanwhile"
    assert set(asker.answers) == {"200", "503"}
    assert asker.without == 0, "whoever is refused is told when to come back"
    assert recovery < 10
