"""How often the local AI provider finds the right document first: `python -m scripts.retrieval --minimum 0.8`.

The traffic's questions are asked of the traffic's uploads by the backend's own modules, within this process.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.traffic.library import Upload, key_of, key_of_filename
from scripts.traffic.options import Options
from scripts.traffic.questions import Question, QuestionsError
from scripts.traffic.run import material

# The backend is a program, not an installed package: its folder has to be named.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "backend"))

from app.core.config import Settings
from app.services.ai.local import LocalProvider
from app.services.chunking import chunk
from app.services.extraction import Limits, detect_format, extract


@dataclass(frozen=True, slots=True)
class Finding:
    """A question and the documents found for it (keys, best first, each once)."""

    question: Question
    found: list[str]

    @property
    def place(self) -> int | None:
        """Where the right document stands, from 1; None when it is not there at all."""
        wanted = key_of(self.question.source)
        return self.found.index(wanted) + 1 if wanted in self.found else None


def pieces(item: Upload, settings: Settings) -> list[str]:
    """What is embedded of an upload: each piece below the document's title and its section's heading."""
    extracted = extract(item.content, detect_format(item.filename, item.media_type), Limits())
    title = extracted.title or item.filename
    cut = chunk(extracted, settings.chunk_chars, settings.chunk_overlap_chars)
    return [f"{title}\n{piece.heading}\n{piece.text}" for piece in cut]


async def findings(items: Sequence[Upload], questions: Sequence[Question], settings: Settings) -> list[Finding]:
    """The documents found for each question, by cosine similarity as in the vector store."""
    keys: list[str] = []
    texts: list[str] = []
    for item in items:
        cut = pieces(item, settings)
        texts += cut
        keys += [key_of_filename(item.filename)] * len(cut)
    provider = LocalProvider(settings.ai_embedding_dimensions)
    known = np.array((await provider.embed(texts)).vectors)
    asked = np.array((await provider.embed([question.text for question in questions])).vectors)
    # The vectors' length is 1, so that their product is the cosine.
    order = np.argsort(-(asked @ known.T), axis=1, kind="stable")
    return [
        Finding(question, list(dict.fromkeys(keys[place] for place in places)))
        for question, places in zip(questions, order, strict=True)
    ]


def report(found: Sequence[Finding], minimum: float) -> int:
    """A line a miss, then the share; exit status 1 when it is below the minimum."""
    misses = [finding for finding in found if finding.place != 1]
    for finding in misses:
        place = f"place {finding.place}" if finding.place else "nowhere"
        print(f"{finding.question.source} at {place}, after {finding.found[0]}: {finding.question.text}")
    right = len(found) - len(misses)
    share = right / len(found)
    print(f"The right document comes first for {right} of {len(found)} questions: {100 * share:.0f} %")
    if share < minimum:
        print(
            f"That is below the minimum of {100 * minimum:.0f} %: the documents named above do not answer their"
            " questions in their own words, or scripts/traffic/questions.json names the wrong document",
            file=sys.stderr,
        )
        return 1
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; its exit status is 1 below the minimum, 2 without anything to measure."""
    default = Options()
    parser = argparse.ArgumentParser(prog="python -m scripts.retrieval", description=__doc__)
    parser.add_argument("--minimum", type=float, default=0.0, help="share (0 to 1) below which to fail")
    parser.add_argument("--root", type=Path, default=default.root, help="where the Markdown files are")
    parser.add_argument("--questions", type=Path, default=default.questions, help="JSON: [{question, source}, ...]")
    given = parser.parse_args(arguments)
    try:
        items, questions, left_out = material(Options(root=given.root, questions=given.questions))
    except QuestionsError as error:
        print(f"retrieval: {error}", file=sys.stderr)
        return 2
    if left_out:
        print(f"{left_out} questions are left out: their documents are not under {given.root}")
    return report(asyncio.run(findings(items, questions, Settings())), given.minimum)


if __name__ == "__main__":
    sys.exit(main())
