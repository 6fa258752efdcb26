"""`python -m monitoring.absent` writes the rules that say when a metric is gone on which other rules rest.

A rule over a metric that is not there is silent, which looks as if all were well. With `--check` it only compares.
"""

import argparse
import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import promql_parser as pp

from monitoring import rules
from monitoring.dashboards.exposition import FROM_PROMETHEUS
from monitoring.dashboards.promql import Use, parse, uses
from monitoring.exposition import FOLDER, read

RULES: Final = rules.FOLDER / "absent.yml"

_HEAD: Final = """\
# Made from the other rules by `python -m monitoring.absent`: change those, not this.
#
# A rule over a metric that is not there is silent. Left out are the metrics that a part has only once they count
# something (monitoring/exposition). A part that does not answer at all is TargetDown's.
# yamllint disable rule:line-length
groups:
  - name: absent
    interval: 1m
    rules:
"""

_RULE: Final = """\
      - alert: MetricsAbsent
        expr: >-
          (
          {absences}
          ) and on () up{{job="{job}"}} == 1
        for: 5m
        keep_firing_for: 1m
        labels: {{severity: warning, service: {job}}}
        annotations:
          summary: A metric is gone on which alerts rest
          description: >-
            {job} exposes no {{{{ $labels.metric }}}}: alerts that read it cannot fire.
          runbook_url: "{{{{ $externalLabels.inbox_url }}}}/runbooks/MetricsAbsent"
          dashboard: "{{{{ $externalLabels.grafana_url }}}}/d/stack-health?viewPanel=8"
"""


def needed(known: Iterable[rules.Rule]) -> dict[str, list[str]]:
    """The metrics that alerts read, themselves or through what is recorded for them, by job."""
    found: dict[str, set[str]] = defaultdict(set)
    for rule in _alerts_and_their_records(list(known)):
        for use in uses(parse(rule.expr)):
            if use.metric not in FROM_PROMETHEUS and ":" not in use.metric:
                for job in _jobs(use):
                    found[job].add(use.metric)
    return {job: sorted(metrics) for job, metrics in sorted(found.items())}


def _alerts_and_their_records(known: list[rules.Rule]) -> list[rules.Rule]:
    """What is recorded for dashboards alone is left out: nobody is told less when it is gone."""
    found = [rule for rule in known if not rule.record]
    read: set[str] = set()
    for rule in found:  # which grows meanwhile
        new = {use.metric for use in uses(parse(rule.expr)) if ":" in use.metric} - read
        read |= new
        found += [record for record in known if record.name in new]
    return found


def _jobs(use: Use) -> list[str]:
    """The jobs that a selector names, without those that have the metric only once it counts something, or never."""
    matcher = use.matcher("job")
    if matcher is None or matcher.op not in (pp.MatchOp.Equal, pp.MatchOp.Re):
        return []
    named = matcher.value.split("|") if matcher.op == pp.MatchOp.Re else [matcher.value]
    return [job for job in named if (FOLDER / f"{job}.txt").is_file() and use.metric not in _occasional(job)]


def _occasional(job: str) -> set[str]:
    return {metric.name for metric in read(job) if metric.remark}


def render(known: Iterable[rules.Rule]) -> str:
    """The whole file."""
    parts = []
    for job, metrics in needed(known).items():
        lines = [f'label_replace(absent({metric}{{job="{job}"}}), "metric", "{metric}", "", "")' for metric in metrics]
        parts.append(_RULE.format(job=job, absences="\n          or ".join(lines)))
    return _HEAD + "\n".join(parts)


def main(arguments: list[str] | None = None) -> int:
    """Returns 1 when `--check` finds that the file is not current, else 0."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.absent", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the file differs")
    parser.add_argument("--rules", type=Path, default=RULES, help="what is written")
    options = parser.parse_args(arguments)
    text = render(rule for rule in rules.read() if rule.file != RULES.name)
    if not options.check:
        options.rules.write_text(text, encoding="utf-8")
        return 0
    current = options.rules.read_text(encoding="utf-8") if options.rules.is_file() else ""
    if current == text:
        print(f"{options.rules.name} is current")
        return 0
    listed, wanted = (set(re.findall(r"absent\((.+?)\)", version)) for version in (current, text))
    print(f"{options.rules} is not current", file=sys.stderr)
    for sign, metrics in (("lacks", wanted - listed), ("has without need", listed - wanted)):
        if metrics:
            print(f"it {sign}: {', '.join(sorted(metrics))}", file=sys.stderr)
    print("Write it anew: python -m monitoring.absent", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
