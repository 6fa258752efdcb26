"""`python -m monitoring.dashboards.judged`: LogQL and TraceQL of the dashboards, judged by Loki's and Tempo's programs.

What they accept is kept in accepted.json, so that machines without the programs can tell a judged query from a new one.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import httpx

from monitoring.dashboards.catalogue import FOLDER
from monitoring.dashboards.links import LOKI, TEMPO
from scripts.local.apart import Apart
from scripts.local.lookup import look

FILE: Final = Path(__file__).with_name("accepted.json")
_EXPLORE: Final = re.compile(r"/explore\?left=([^\"\\]+)")
#: Grafana's windows, of which the grammars know nothing; its other variables stand within quotes.
_WINDOW: Final = re.compile(r"\$(?:__\w+|\{__\w+\})(?=\])")

#: By the data source's uid.
Queries = dict[str, list[str]]


def asked(folder: Path = FOLDER) -> Queries:
    """Every LogQL and TraceQL query of panels and of links to Explore, as its program is to judge it."""
    found: dict[str, set[str]] = {LOKI: set(), TEMPO: set()}
    for file in sorted(folder.glob("*.json")):
        text = file.read_text(encoding="utf-8")
        states = [json.loads(unquote(state))["queries"] for state in _EXPLORE.findall(text)]
        for query in [query for queries in (_targets(json.loads(text)), *states) for query in queries]:
            uid = query["datasource"]["uid"]
            if uid in found:
                found[uid].add(_WINDOW.sub("5m", query["expr" if uid == LOKI else "query"]))
    return {uid: sorted(queries) for uid, queries in found.items()}


def _targets(board: Any) -> list[Any]:
    return [target for panel in board.get("panels", []) for target in panel.get("targets", [])]


def recorded() -> Queries:
    """What the programs accepted when they were last asked."""
    queries: Queries = json.loads(FILE.read_text(encoding="utf-8"))
    return queries


def missing() -> str:
    """Which program is not here; empty where all can be asked."""
    absent = [name for name in ("logcli", "tempo") if look(name) is None]
    if not absent:
        return ""
    return f"not here: {', '.join(absent)} (put it on PATH or into .tools/, or name its folder in TOOLS_PATH)"


def judge(queries: Queries) -> dict[str, str]:
    """What the programs object to, by query. Raises NotHere where one is missing."""
    answers = {query: _log_objection(query) for query in queries[LOKI]}
    if queries[TEMPO]:
        with tempfile.TemporaryDirectory(prefix="specola-tempo-") as folder, Apart(Path(folder), [TEMPO]) as services:
            services.start(TEMPO)  # without a single trace, it still says what is no TraceQL
            answers |= {query: _trace_objection(query, services.url(TEMPO)) for query in queries[TEMPO]}
    return {query: objection for query, objection in answers.items() if objection}


def _log_objection(query: str) -> str:
    answer = subprocess.run(  # noqa: S603 (a program that whoever runs this has installed)
        [look("logcli") or "logcli", "fmt", "--stdin"],
        input=query, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    return answer.stderr.strip() if answer.returncode else ""


def _trace_objection(query: str, address: str) -> str:
    answer = httpx.get(f"{address}/api/search", params={"q": query, "limit": 1}, timeout=20, trust_env=False)
    return "" if answer.is_success else answer.text.strip()


def main() -> int:
    """Judges every query and, when all are accepted, writes the list. 1 when one is refused or cannot be judged."""
    if lacking := missing():
        print(lacking, file=sys.stderr)
        return 1
    queries = asked()
    refused = judge(queries)
    for query, objection in refused.items():
        print(f"{query}: {objection}", file=sys.stderr)
    if not refused:
        FILE.write_text(json.dumps(queries, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{len(queries[LOKI])} LogQL and {len(queries[TEMPO])} TraceQL queries are accepted")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
