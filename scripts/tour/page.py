"""The tour as a page of its own, on this machine alone."""

import os
import threading
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Path
from fastapi.responses import HTMLResponse
from markdown_it import MarkdownIt
from pydantic import BaseModel

from scripts.tour.place import NotYet, Place, wait
from scripts.tour.steps import STEPS, Step
from scripts.tour.texts import FOLDER, LANGUAGES, text, word

PORT = 8090


class Answer(BaseModel):
    """What the person typed, and whether the tour is to do it."""

    answer: str = ""
    do: bool = False


class Outcome(BaseModel):
    """Whether a step happened, and what is said of it, as HTML."""

    done: bool
    said: str


def _html(markdown: str) -> str:
    return str(MarkdownIt("commonmark", {"html": False}).render(markdown))


def make_page(language: str) -> FastAPI:
    """The application. Steps are taken one at a time: each has the stack to itself."""
    app, place, one_at_a_time = FastAPI(openapi_url=None), Place(), threading.Lock()
    for step in STEPS[:-1]:
        step.begin(place)

    def section(number: int, step: Step, spoken: str) -> str:
        told = text(spoken, step.name)
        if step is STEPS[-1] and "workshop" not in place.notes:
            step.begin(place)
        field = f'<input aria-label="{word(spoken, "answer")}">' if step.asks else ""
        return (
            f'<section data-step="{number}"><h2>{number}. {told.title}</h2>'
            + _html(f"{told.story}\n\n{told.task}".format(**place.notes))
            + f'<p>{field}<button data-do="">{word(spoken, "check")}</button> '
            + f'<button data-do="1" class="quiet">{word(spoken, "do")}</button></p><div role="status"></div></section>'
        )

    @app.get("/", response_class=HTMLResponse)
    def show(lang: str = language) -> str:
        spoken = lang if lang in LANGUAGES else language
        with one_at_a_time:
            sections = "".join(section(number, step, spoken) for number, step in enumerate(STEPS, 1))
        words = {name: word(spoken, name) for name in ("title", "intro", "waiting", "end")}
        others = " ".join(f'<a href="?lang={one}" hreflang="{one}">{one}</a>' for one in LANGUAGES if one != spoken)
        page = (FOLDER / "page.html").read_text(encoding="utf-8")
        for name, value in {**words, "language": spoken, "others": others, "sections": sections}.items():
            page = page.replace(f"[[{name}]]", value)
        return page

    @app.post("/steps/{number}")
    def take(number: Annotated[int, Path(ge=1, le=len(STEPS))], given: Answer, lang: str = language) -> Outcome:
        step, spoken = STEPS[number - 1], lang if lang in LANGUAGES else language
        told = text(spoken, step.name)
        with one_at_a_time:
            try:
                answer = step.answer(place, given.answer, given.do)
                facts = wait(lambda: step.check(place, answer), step.seconds if given.do else 5)
            except NotYet as reason:
                return Outcome(
                    done=False,
                    said=_html(word(spoken, "not_yet", reason=reason) + "\n\n" + told.hint.format(**place.notes)),
                )
        return Outcome(done=True, said=_html(told.done.format(**facts)))

    return app


def serve(language: str) -> int:
    """Serves the page until interrupted."""
    port = int(os.environ.get("PORT", PORT))
    print(f"The tour is at http://127.0.0.1:{port} (Ctrl-C ends it)")
    uvicorn.run(make_page(language), host="127.0.0.1", port=port, log_level="warning")
    return 0
