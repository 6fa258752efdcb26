"""The local provider: embeddings by hashing, answers by quoting."""

import asyncio
import json
import math
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from app.services.ai import hashing, local
from app.services.ai.base import Chunk, Passage, Prompt, Turn
from app.services.ai.local import NOTHING_FOUND, LocalProvider, compose, sentences

BACKEND = Path(__file__).parents[3] / "backend"

DISK = Passage(
    "Low disk space",
    "The volume of the database is nearly full. Delete old backups to free space. "
    "The moon has no part in this matter whatsoever.",
)
LATENCY = Passage("High response time", "Requests take longer than the objective. Look for slow database queries.")

#: A page for each question below: none shares its words exactly with its question.
PAGES = {
    "LowDiskSpace": "The filesystem is nearly full. Remove old files, or enlarge the volume.",
    "HighMemoryUsage": "The process uses most of its memory. Look for a leak, or raise the limit.",
    "HighErrorRate": "Too many requests end in a server error. Read the exceptions in the logs.",
    "HighResponseTime": "Requests are slower than the objective. Look at the slowest endpoints and traces.",
    "IndexingJobsFailing": "Documents that were uploaded cannot be indexed. See the error of the job.",
    "AIServiceDown": "The language model's provider does not answer. Check the key and the quota.",
    "Backups": "How a copy of the databases is made each night, and how it is restored.",
    "Silences": "A silence mutes notifications during planned maintenance.",
    "Retention": "How long logs, traces and metrics are kept, and where to change that.",
    "Watchdog": "This alert always fires, so that its absence tells that alerting itself is broken.",
}
QUESTIONS = {
    "what do I do when the disk fills up and there is no space left?": "LowDiskSpace",
    "why does the process need so much memory?": "HighMemoryUsage",
    "the rate of server errors is high": "HighErrorRate",
    "responses take a long time, which endpoint is slow?": "HighResponseTime",
    "an uploaded document was not indexed": "IndexingJobsFailing",
    "the AI provider is not answering": "AIServiceDown",
    "how do I restore a database from last night's copy?": "Backups",
    "mute alerts while we do maintenance": "Silences",
    "how many days are the logs kept?": "Retention",
    "what is the watchdog for, and why is it always firing?": "Watchdog",
}


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def embed(*texts: str, dimensions: int = 1024) -> list[list[float]]:
    return hashing.embed(texts, dimensions)


async def answer(prompt: Prompt) -> list[Chunk]:
    return [chunk async for chunk in LocalProvider().stream(prompt)]


def test_every_vector_has_the_asked_dimensions_and_length_one() -> None:
    for text in ("Prometheus scrapes the backend.", "", "the of and", "?!", "日本語の文書", "x" * 10_000):
        (vector,) = embed(text, dimensions=300)
        assert len(vector) == 300
        assert math.isclose(math.hypot(*vector), 1.0)


def test_embeddings_are_the_same_in_every_process() -> None:
    text = "LowDiskSpace fires when disk_free_percent falls; 10 % is the line."
    code = f"import json; from app.services.ai import hashing; print(json.dumps(hashing.embed([{text!r}], 256)))"
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(BACKEND), "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert json.loads(outputs[0]) == embed(text, dimensions=256)


def test_like_texts_are_nearer_than_unlike_ones() -> None:
    question, like, unlike = embed(
        "How do I free space on the disk?",
        "Freeing disk space: delete old backups.",
        "Sessions are closed after an hour of silence.",
    )
    assert cosine(question, like) > 0.3
    assert abs(cosine(question, unlike)) < 0.15


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("indexing jobs", "indexed job"),
        ("LowDiskSpace", "low disk space"),
        ("ai_errors_total", "AI errors total"),
        ("TEMPO", "Tempo"),
    ],
)
def test_inflection_case_and_spelling_of_names_do_not_matter(one: str, other: str) -> None:
    first, second = embed(one, other)
    assert cosine(first, second) > 0.95


def test_the_title_of_a_chunk_counts_more_than_its_text() -> None:
    question, titled, mentioned = embed(
        "retention of logs",
        "Retention of logs\n\nThe compactor works through the index each hour.",
        "The compactor\n\nIt works through the index each hour, for the retention of logs.",
    )
    assert cosine(question, titled) > cosine(question, mentioned)


def test_addresses_do_not_make_texts_alike() -> None:
    first, second = embed("cats https://example.com/guide/one.html", "dogs https://example.com/guide/two.html")
    assert abs(cosine(first, second)) < 0.1


def test_questions_find_their_page() -> None:
    pages = embed(*(f"{title}\n\n{text}" for title, text in PAGES.items()))
    found = {
        question: max(zip(PAGES, pages, strict=True), key=lambda page: cosine(page[1], vector))[0]
        for question, vector in zip(QUESTIONS, embed(*QUESTIONS), strict=True)
    }
    assert found == QUESTIONS


def test_stemming_in_many_threads_at_once_gives_what_one_thread_gives() -> None:
    words = [
        f"{word}{ending}" for word in ("index", "alert", "fail", "trac", "scrap") for ending in ("ing", "ed", "es")
    ]
    hashing.stem.cache_clear()
    alone = [hashing.stem(word) for word in words]
    results: list[list[str]] = []

    def work() -> None:
        for _ in range(50):
            hashing.stem.cache_clear()
            results.append([hashing.stem(word) for word in words])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(result == alone for result in results)


async def test_embedding_many_texts_leaves_the_event_loop_free() -> None:
    texts = [f"{number} " + "Prometheus scrapes the backend every few seconds. " * 20 for number in range(600)]
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.002)
            ticks += 1

    ticker = asyncio.create_task(tick())
    started = time.perf_counter()
    embeddings = await LocalProvider(256).embed(texts)
    seconds = time.perf_counter() - started
    ticker.cancel()
    assert len(embeddings.vectors) == 600
    assert ticks > seconds / 0.05, "the loop stood still while texts were embedded"


async def test_tokens_are_a_quarter_of_the_characters_rounded_up() -> None:
    embeddings = await LocalProvider().embed(["12345678", "123"])
    assert (embeddings.usage.input_tokens, embeddings.usage.output_tokens) == (3, 0)


def test_an_answer_quotes_what_fits_the_question_and_names_its_source() -> None:
    text = compose(Prompt("How do I free space?", [DISK, LATENCY]))
    assert "Low disk space" in text
    assert "Delete old backups to free space." in text
    assert "moon" not in text
    assert "High response time" not in text


def test_an_answer_has_the_words_of_the_passages_only() -> None:
    text = compose(Prompt("Why are database requests slow, and is the volume full?", [DISK, LATENCY]))
    assert "Low disk space" in text
    assert "High response time" in text
    for title, quoted in (part.removeprefix("From “").split("”: ") for part in text.split("\n\n")):
        (passage,) = (p for p in (DISK, LATENCY) if p.title == title)
        assert all(sentence in passage.text for sentence in sentences(quoted))


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt("How do I free space?"),
        Prompt("How do I free space?", [Passage("Empty", "")]),
        Prompt("Who won the cup in 1982?", [DISK, LATENCY]),
        Prompt("is it?", [DISK, LATENCY]),
    ],
)
def test_when_nothing_fits_it_says_so(prompt: Prompt) -> None:
    assert compose(prompt) == NOTHING_FOUND


def test_a_sentence_that_two_overlapping_chunks_hold_is_quoted_once() -> None:
    text = compose(Prompt("How do I free space?", [DISK, DISK]))
    assert text.count("Delete old backups") == 1


def test_the_better_passages_win_between_equal_sentences() -> None:
    passages = [Passage(f"Page {letter}", f"Restart the service by way {letter}.") for letter in "CAEBDF"]
    text = compose(Prompt("How do I restart the service?", passages))
    assert re.findall(r"From “Page (.)”", text) == ["C", "A", "E", "B"]


def test_markdown_is_quoted_without_its_marks() -> None:
    text = (
        "# Restore\n\nFirst **stop** the `backend`, see [the runbook](http://localhost/x).\n"
        "- keep `max_size` as it is\n- list *.json files\n\n| Name | Use |\n```sh\nmake restore\n```\n"
    )
    assert sentences(text) == [
        "First stop the backend, see the runbook.",
        "keep max_size as it is",
        "list *.json files",
        "Name | Use",
        "make restore",
    ]


async def test_the_stream_is_the_whole_answer_word_by_word() -> None:
    prompt = Prompt("How do I free space?", [DISK, LATENCY], [Turn("user", "Hello"), Turn("assistant", "Hello.")])
    *words, last = await answer(prompt)
    assert "".join(chunk.text for chunk in words) == compose(prompt)
    assert all(len(chunk.text.split()) == 1 and chunk.finish_reason is None for chunk in words)
    assert last.finish_reason == "stop"
    assert last.usage is not None
    assert last.usage.output_tokens == math.ceil(len(compose(prompt)) / 4)
    assert last.usage.input_tokens > sum(len(p.text) for p in prompt.passages) / 4


async def test_the_same_question_always_gets_the_same_answer() -> None:
    prompt = Prompt("Why are database requests slow?", [LATENCY, DISK])
    assert await answer(prompt) == await answer(prompt)


async def test_it_is_always_well() -> None:
    provider = LocalProvider()
    await provider.check()
    await provider.close()
    assert (provider.name, provider.dimensions) == ("local", 1024)
    assert local.INLINE_TEXTS < 600
