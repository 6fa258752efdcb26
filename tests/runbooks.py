"""The runbooks, and what can be run of them."""

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt

from tests.programs import PROJECT

FOLDER = PROJECT / "monitoring" / "runbooks"
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.md"))}
#: What stands behind a command that must not be run to see whether it works.
CHANGES = "# changes something"


def blocks(page: str, language: str) -> list[str]:
    """What is fenced as that language."""
    tokens = MarkdownIt("commonmark").parse(page)
    return [token.content.strip() for token in tokens if token.type == "fence" and token.info == language]


def commands(page: str) -> Iterator[str]:
    """Each command of a page that changes nothing; a PromQL block as a command that asks Prometheus for it."""
    for query in blocks(page, "promql"):
        yield f"curl -sfG localhost:9090/api/v1/query --data-urlencode 'query={query}'"
    for block in blocks(page, "console"):
        lines = [line for line in block.splitlines() if not re.match(r"\s*#", line)]
        yield from (line for line in lines if not line.endswith(CHANGES))
