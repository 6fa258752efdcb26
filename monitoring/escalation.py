"""Writes the table of monitoring/escalation.md from Alertmanager's routing tree: `python -m monitoring.escalation`.

With --check it writes nothing, and fails when the page is not current.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from scripts.receivers import CONFIG, switched_on, ways

PAGE = Path(__file__).with_name("escalation.md")
BEGIN, END = "<!-- made by monitoring/escalation.py from alertmanager.yml -->\n", "<!-- end -->"
#: What a child route takes over from its parent.
INHERITED = ("receiver", "group_by", "group_wait", "group_interval", "repeat_interval")
HEADER = (
    "| what | goes to | by which way | first told after | in one message | a change after | again every "
    "| not told |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
)


def load(text: str) -> dict[str, Any]:
    """The configuration with every way switched on."""
    config: dict[str, Any] = yaml.safe_load(switched_on(text, ways(text)))
    return config


def routes(route: dict[str, Any], parent: dict[str, Any] | None = None) -> Iterator[dict[str, Any]]:
    """Every route with what it inherits, in the order in which they are tried: the root comes last."""
    own = {key: value for key, value in (parent or {}).items() if key in INHERITED} | route
    for child in route.get("routes", ()):
        yield from routes(child, own)
    yield own


def channels(receiver: dict[str, Any]) -> list[str]:
    """The ways of a receiver in words; those that need a secret are called by its name."""
    found = [
        f"`{Path(config['url_file']).name}`" if "url_file" in config else "alert-inbox"
        for config in receiver.get("webhook_configs", ())
    ]
    found += [f"`{Path(config['api_url_file']).name}`" for config in receiver.get("slack_configs", ())]
    found += [f"e-mail to {config['to']} (`smtp_password`)" for config in receiver.get("email_configs", ())]
    return found


def quiet(config: dict[str, Any], names: list[str]) -> str:
    """When a route is mute, in words; "" if it never is."""
    said = []
    for interval in config.get("time_intervals", ()):
        for part in interval["time_intervals"] if interval["name"] in names else ():
            times = " and ".join(f"{time['start_time']}-{time['end_time']}" for time in part["times"])
            said.append(f"{times} ({part.get('location', 'UTC')})")
    return ", ".join(said)


def table(text: str) -> str:
    """The routing tree as a Markdown table."""
    config = load(text)
    receivers = {receiver["name"]: receiver for receiver in config["receivers"]}
    rows = [HEADER]
    for route in routes(config["route"]):
        what = " and ".join(f"`{matcher}`" for matcher in route.get("matchers", ())) or "anything else"
        cells = (
            what,
            route["receiver"],
            ", ".join(channels(receivers[route["receiver"]])),
            route["group_wait"],
            "same " + " and ".join(route["group_by"]),
            route["group_interval"],
            route["repeat_interval"],
            quiet(config, route.get("mute_time_intervals", [])),
        )
        rows.append(f"| {' | '.join(cells)} |".replace("|  |", "| |"))
    return "\n".join(rows)


def current(page: str, text: str) -> str:
    """The page with its table made anew. Raises ValueError where the page has no place for it."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE.name} needs the lines {BEGIN.strip()!r} and {END!r}, and the table between them")
    return f"{before}{BEGIN}\n{table(text)}\n\n{END}{after}"


def main() -> int:
    """Writes the page, or says whether it is current."""
    page = PAGE.read_text(encoding="utf-8")
    wanted = current(page, CONFIG.read_text(encoding="utf-8"))
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(wanted, encoding="utf-8")
        return 0
    if page != wanted:
        print("monitoring/escalation.md is not current: run `python -m monitoring.escalation`", file=sys.stderr)
    return int(page != wanted)


if __name__ == "__main__":
    sys.exit(main())
