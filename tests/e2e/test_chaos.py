"""A minute of chaos on real programs, and too much load: what was acknowledged is there, and all of it comes back."""

import asyncio
from pathlib import Path

import pytest

from scripts.backend_process import BackendProcess
from scripts.chaos import load
from scripts.chaos.run import Chaos
from scripts.chaos.sender import Sender
from scripts.chaos.stack import own
from scripts.local.apart import NotHere


@pytest.mark.long
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
    async def burst(sender: Sender) -> float:
        await asyncio.gather(*map(sender.ask, range(200)))
        return await load.recovery(sender, 0.5)

    with BackendProcess(tmp_path, MAX_CONCURRENT_REQUESTS="10") as backend:
        sender = Sender(backend.address, load.prepare(backend.address))
        recovery = asyncio.run(burst(sender))
    assert sender.answers["503"] > 0, "two hundred at once are more than ten"
    assert sender.answers["200"] > 0, "it goes on serving meanwhile"
    assert set(sender.answers) == {"200", "503"}
    assert sender.without_retry_after == 0, "whoever is refused is told when to come back"
    assert recovery < 10


async def test_a_sender_keeps_to_its_rate_however_slowly_it_is_answered() -> None:
    asked: list[float] = []

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.5)
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(slow, "127.0.0.1", 0) as server:
        sender = Sender(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", ["/"])
        await sender.steadily(100, 0.3)
        await sender.finished()
    assert len(asked) == 30
    assert asked[-1] - asked[0] < 0.5, "the last was sent before the first was answered"
    assert sender.answers == {"503": 30}
    assert sender.without_retry_after == 30
