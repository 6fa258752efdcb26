"""A minute of chaos on real programs: what was acknowledged is there, and every part came back."""

from pathlib import Path

import pytest

from scripts.chaos.run import Chaos
from scripts.chaos.stack import own
from scripts.local.apart import NotHere


@pytest.mark.timeout(600)
def test_a_minute_of_chaos_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    said: list[str] = []
    try:
        with own(tmp_path) as stack:
            for part in ("loki", "promtail", "tempo"):
                if reason := stack.missing(part):
                    pytest.skip(reason)
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
