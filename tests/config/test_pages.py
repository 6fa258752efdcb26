"""The pages of the repository lead where they say."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.programs import PROJECT

PAGES = subprocess.run(
    ["git", "ls-files", "*.md"], cwd=PROJECT, capture_output=True, text=True, check=True
).stdout.splitlines()


def anchors(page: Path) -> set[str]:
    """What can stand after # in a link to it, as GitHub makes it of the headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_each_link_leads_to_a_file_and_a_heading_that_are_there(name: str) -> None:
    page = PROJECT / name
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        file, _, heading = target.partition("#")
        leads_to = page.parent / file if file else page
        if not target.startswith(("http://", "https://")) and (
            not leads_to.exists() or (heading and heading not in anchors(leads_to))
        ):
            broken.append(target)
    assert broken == []
