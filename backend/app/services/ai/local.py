"""A provider that needs no network, no key and no model, and always gives the same answer to the same question.

It embeds by feature hashing (`hashing`) and answers by quoting, from the passages it is given, the sentences that
share most with the question. It is what makes the whole stack work on a laptop, not a language model: it does not
rephrase, and what was said earlier in the conversation does not change its answer.
"""

import asyncio
import math
import re
from collections import Counter
from collections.abc import AsyncGenerator, Sequence

from app.services.ai import hashing
from app.services.ai.base import Chunk, Embeddings, Passage, Prompt, Usage
from app.services.ai.prompting import estimate_tokens, estimate_usage

NOTHING_FOUND = "I found nothing about this in the indexed documents."

#: An answer quotes at most so many sentences, each at least this share as fitting as the best one.
MAX_SENTENCES = 4
MIN_SHARE = 0.5
#: Share of the question's words, by worth, that the best sentence must hold: less is chance, not an answer.
MIN_COVER = 0.2
#: What a word in the title counts for each of its sentences, beside 1 for a word of the sentence itself.
TITLE_SHARE = 0.5
#: Of two equal sentences, that of the better passage: each place down costs this share.
RANK_COST = 0.05
#: Words of a sentence that reads well in an answer; much shorter or longer ones fit less.
GOOD_LENGTH = 12
#: Up to so many texts (about 0.3 ms each) are embedded on the event loop; more go to a thread.
INLINE_TEXTS = 8
#: So many at a time: about 10 ms of a processor, which Python's threads share.
THREAD_TEXTS = 32

_HEADING_OR_FENCE = re.compile(r"^[ \t]*(?:#{1,6}[ \t].*|(?:```|~~~).*)$", re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n|\n(?=\s*(?:[-*+|>]|\d+\.)\s)|(?<=\|)\s*\n")
_LINK = re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
_MARKS = re.compile(
    r"^[\s>*+\-|]+|[\s|]+$|`+|\*\*|(?<!\w)[*_]+(?=\w)|(?<=[\w.!?])[*_]+(?!\w)|</?(?:code|details|summary|br|p|a)\b[^>]*>"
)
_PIECE = re.compile(r"\s*\S+\s*$|\s*\S+")


class LocalProvider:
    """The provider described above. Raises nothing."""

    name = "local"
    chat_model = "local-extractive"
    embedding_model = "local-hashing"

    def __init__(self, dimensions: int = 1024) -> None:
        self.dimensions = dimensions

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Vectors of these texts; tokens are estimated (a token for each 4 characters)."""
        if len(texts) > INLINE_TEXTS:
            vectors = []
            for start in range(0, len(texts), THREAD_TEXTS):  # a pause after each, in which the event loop goes on
                some = texts[start : start + THREAD_TEXTS]
                vectors += await asyncio.to_thread(hashing.embed, some, self.dimensions)
        else:
            vectors = hashing.embed(texts, self.dimensions)
        return Embeddings(vectors, Usage(input_tokens=estimate_tokens(*texts)))

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Chunk, None]:
        """The answer word by word, giving way to other work after each."""
        answer = compose(prompt)
        for piece in _PIECE.findall(answer):
            yield Chunk(piece)
            await asyncio.sleep(0)
        yield Chunk(finish_reason="stop", usage=estimate_usage(prompt, answer))

    async def check(self) -> None:
        """Nothing can be down."""

    async def close(self) -> None:
        """Nothing is open."""


def compose(prompt: Prompt) -> str:
    """The whole answer: the best sentences, in the order in which they stand, below the titles of their sources."""
    best = _best_sentences(prompt.question, prompt.passages)
    if not best:
        return NOTHING_FOUND
    quotes: dict[str, list[str]] = {}
    for passage, sentence in best:
        quotes.setdefault(passage.title, []).append(sentence)
    return "\n\n".join(f"From “{title}”: {' '.join(sentences)}" for title, sentences in quotes.items())


def sentences(text: str) -> list[str]:
    """The sentences, list items and table rows of a text, without Markdown's marks."""
    parts = _SENTENCE_END.split(_HEADING_OR_FENCE.sub("\n", text))
    plain = (" ".join(_MARKS.sub("", _LINK.sub(r"\1", part)).split()) for part in parts)
    return [part for part in plain if len(part) > 2]


def _best_sentences(question: str, passages: Sequence[Passage]) -> list[tuple[Passage, str]]:
    asked = set(hashing.words(question))
    # A dict, because overlapping chunks hold some sentences twice.
    candidates = {
        sentence: (rank, passage)
        for rank, passage in reversed(list(enumerate(passages)))
        for sentence in sentences(passage.text)
        if sentence != passage.title
    }
    stems = {sentence: set(hashing.words(sentence)) for sentence in candidates}
    spread = Counter(stem for found in stems.values() for stem in found)

    def worth(stem: str) -> float:
        # As in BM25: a word that stands in every sentence does not tell them apart.
        return math.log(1 + len(candidates) / (1 + spread[stem]))

    def fit(sentence: str) -> float:
        rank, passage = candidates[sentence]
        own = asked & stems[sentence]
        titled = asked & set(hashing.words(passage.title)) - own
        score = sum(map(worth, own)) + TITLE_SHARE * sum(map(worth, titled))
        misfit = abs(math.log(max(len(stems[sentence]), 1) / GOOD_LENGTH))
        return score * (1 - RANK_COST * rank) / (1 + misfit / 4)

    scores = {sentence: fit(sentence) for sentence in candidates}
    ranked = sorted(scores, key=lambda sentence: -scores[sentence])[:MAX_SENTENCES]
    if not ranked or scores[ranked[0]] <= MIN_COVER * sum(map(worth, asked)):
        return []
    chosen = {s for s in ranked if scores[s] >= MIN_SHARE * scores[ranked[0]]}
    in_order = sorted(candidates, key=lambda sentence: candidates[sentence][0])
    return [(candidates[s][1], s) for s in in_order if s in chosen]
