"""One run from its first request to its summary."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Sequence

from scripts.traffic.client import Client
from scripts.traffic.crowd import Crowd
from scripts.traffic.display import LIVE_EVERY, Display
from scripts.traffic.librarian import INTERVAL, Librarian, stock
from scripts.traffic.library import Document, Upload, documents, uploads
from scripts.traffic.load import Load
from scripts.traffic.options import Options
from scripts.traffic.questions import Question, QuestionsError, load
from scripts.traffic.summary import Progress, show
from scripts.traffic.tally import Tally

#: Seconds for the sessions that are still open to be closed at the end.
LEAVING = 10.0


class NothingReachedError(Exception):
    """The backend never answered; the message says what was tried and what to do."""


def answerable(questions: Sequence[Question], found: Sequence[Document]) -> list[Question]:
    """The questions whose document is there: a fork, or a container's mounts, may have fewer."""
    paths = {document.path for document in found}
    return [question for question in questions if question.source in paths]


def material(options: Options) -> tuple[list[Upload], list[Question], int]:
    """What to upload, what to ask, and how many questions had to be left out.

    Raises `QuestionsError` when there is nothing to ask about.
    """
    found = documents(options.root)
    questions = load(options.questions)
    asked = answerable(questions, found)
    if not asked:
        raise QuestionsError(
            f"none of the {len(questions)} questions in {options.questions} is about one of the {len(found)}"
            f" Markdown files under {options.root}; give the repository's folder with --root,"
            " or questions of its own with --questions"
        )
    return uploads(found, options.seed), asked, len(questions) - len(asked)


async def reach(options: Options, display: Display) -> None:
    """Waits until the backend answers anything at all. Raises `NothingReachedError`.

    These looks are not part of the traffic and not counted in it.
    """
    end = time.monotonic() + options.wait
    client = Client(options.url, Tally(), 1, options.key)
    try:
        while not (reply := await client.call("health", "GET", "/health/ready", expect=200)).status:
            if time.monotonic() >= end:
                last = client.tally.failures[-1]
                raise NothingReachedError(
                    f"traffic: {options.url} did not answer within {options.wait:g} s"
                    f" ({last.label}: {last.problem}). Start the stack with `make up`, or name the backend's"
                    " address with --url or BACKEND_URL."
                )
            display.progress(lambda: f"Waiting for {options.url} to answer")
            await asyncio.sleep(1.0)
    finally:
        await client.close()
    if not reply.ok:
        display.say(f"{options.url} is not ready ({client.tally.failures[-1].problem}); traffic begins all the same")


@contextlib.asynccontextmanager
async def _reporting(progress: Progress, load_now: Load, display: Display) -> AsyncIterator[None]:
    async def report() -> None:
        while True:
            await asyncio.sleep(LIVE_EVERY)
            display.progress(lambda: progress.line(time.monotonic(), load_now.in_flight))

    task = asyncio.create_task(report())
    try:
        yield
    finally:
        task.cancel()


async def _work(client: Client, options: Options, display: Display) -> None:
    items, questions, left_out = material(options)
    if left_out:
        display.say(f"{left_out} questions are left out: their documents are not under {options.root}")
    await reach(options, display)
    if not await stock(client, items, options.prepare, display):
        display.say(f"Indexing took longer than {options.prepare:g} s; the questions begin all the same")
    length = f"for {options.seconds:g} s" if options.seconds else "until interrupted (Ctrl-C)"
    display.say(
        f"{len(items)} documents uploaded; {options.rate:g} requests/s to {options.url} {length},"
        f" {len(questions)} questions, seed {options.seed}"
    )
    crowd = Crowd(client, questions, options.seed)
    crowd.join(Librarian(client, items, options.seed), INTERVAL)
    load_now = Load(crowd.act, client.tally, options.max_in_flight)
    try:
        async with _reporting(Progress(client.tally, time.monotonic()), load_now, display):
            await load_now.run(options.rate, options.seconds, options.seed)
    finally:
        # Interrupted or not, nobody leaves the door open; a second Ctrl-C does not wait for it.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVING):
                await crowd.leave()


def _end_on_signals(task: "asyncio.Task[None]") -> None:
    """The first signal ends the work, a second one ends the program at once."""
    loop = asyncio.get_running_loop()

    def end(number: int) -> None:
        loop.remove_signal_handler(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end, number)


async def run(options: Options, display: Display) -> Tally:
    """The whole run, with its summary on the display.

    Raises `NothingReachedError` and `QuestionsError`.
    """
    tally = Tally()
    client = Client(options.url, tally, options.max_in_flight, options.key)
    work = asyncio.create_task(_work(client, options, display))
    _end_on_signals(work)
    try:
        await work
    except asyncio.CancelledError:
        display.say("Interrupted")
    finally:
        await client.close()
    show(tally, display)
    return tally
