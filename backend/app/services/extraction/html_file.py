"""HTML by the standard library's parser.

`html.parser` builds no tree, so that neither depth nor width costs memory, follows the living standard's
tokenizer closely enough for text, and adds no package with a compiler's output (lxml) to the image. What it
lacks is a guarantee of linear time on hostile markup, and for that `isolation` keeps the clock.
"""

from html.parser import HTMLParser

from app.services.extraction.decoding import decode
from app.services.extraction.model import Budget, Limits, Section

#: Not text for readers. `head` is not among them: authors leave it open.
_SKIPPED = frozenset({"script", "style", "template", "svg", "math", "noscript", "iframe", "object"})
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
# fmt: off
_PARAGRAPHS = frozenset({
    "address", "article", "aside", "blockquote", "body", "details", "dd", "div", "dl", "dt", "fieldset",
    "figcaption", "figure", "footer", "form", "header", "hr", "main", "nav", "ol", "p", "pre", "section",
    "summary", "table", "ul",
})
# fmt: on
_LINES = frozenset({"br", "caption", "legend", "li", "option", "tr"})
_CELLS = frozenset({"td", "th"})


def check(content: bytes, limits: Limits) -> None:
    """Refuse other encodings; anything that decodes is some HTML."""
    decode(content)


def read(content: bytes, limits: Limits, budget: Budget) -> tuple[str, list[Section]]:
    """One section a heading; the title is the <title>, else the first heading."""
    parser = _Text(budget)
    parser.feed(decode(content))
    parser.close()
    sections = parser.sections()
    headings = (section.heading for section in sections if section.heading)
    return parser.title.strip() or next(headings, ""), sections


class _Text(HTMLParser):
    """Collects text by section."""

    def __init__(self, budget: Budget) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self._budget = budget
        self._sections: list[Section] = []
        self._heading: list[str] = []
        self._body: list[str] = []
        self._inside = ""
        self._skipping: dict[str, int] = {}
        self._preformatted = 0

    def sections(self) -> list[Section]:
        """What was found so far, the open section included."""
        if self._inside == "title":
            # Never closed, and newer Pythons, like browsers, see no tag inside it: it holds the page.
            self._body.append(self.title)
        self._end_section()
        return self._sections

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SKIPPED:
            self._skipping[tag] = self._skipping.get(tag, 0) + 1
        elif tag == "title" and not self._skipping:
            self._inside = "title"
        elif tag in _HEADINGS:
            self._end_section()
            self._inside = "heading"
        elif tag in _PARAGRAPHS or tag in _LINES or tag in _CELLS:
            self._break(tag)
            self._preformatted += tag == "pre"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # <svg/> opens nothing, and for text <p/> is no other than <p>.
        if tag not in _SKIPPED:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in _SKIPPED:
            remaining = self._skipping.get(tag, 0) - 1
            self._skipping[tag] = remaining
            if remaining <= 0:
                del self._skipping[tag]
        elif tag == "title" or tag in _HEADINGS:
            self._inside = ""
        elif tag in _PARAGRAPHS or tag in _LINES:
            self._break(tag)
            self._preformatted = max(0, self._preformatted - (tag == "pre"))

    def handle_data(self, data: str) -> None:
        line, _ = self.getpos()
        if self._skipping:
            self._budget.check_time(f"line {line}")
            return
        self._budget.spend(data, f"line {line}")
        if self._inside == "title":
            self.title += data
        elif self._inside == "heading":
            self._heading.append(data)
        else:
            self._append(data if self._preformatted else _collapsed(data))

    def _break(self, tag: str) -> None:
        if self._inside == "heading":
            self._heading.append(" ")
            return
        # A block cannot be in a title: the author forgot to close it.
        self._inside = ""
        self._append("\n\n" if tag in _PARAGRAPHS else "\n" if tag in _LINES else " ")

    def _append(self, text: str) -> None:
        at_start = not self._body or self._body[-1].endswith("\n")
        text = text.lstrip(" ") if at_start and not self._preformatted else text
        if text:
            self._body.append(text)

    def _end_section(self) -> None:
        body = "".join(self._body)
        self._sections.append(Section("".join(self._heading), body))
        self._heading, self._body, self._inside = [], [], ""


def _collapsed(data: str) -> str:
    """Runs of white space as one space, as a browser shows them."""
    words = " ".join(data.split())
    if not words:
        return " " if data else ""
    return f"{' ' if data[0].isspace() else ''}{words}{' ' if data[-1].isspace() else ''}"
