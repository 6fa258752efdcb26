"""The Grafana dashboards as code.

Each dashboard is one module with a `build()`; `catalogue` names their files; `python -m monitoring.dashboards`
writes `grafana/dashboards/*.json`, which are committed, and `--check` tells whether they are current.
`shapes` and `queries` hold what repeats, `limits` the numbers that colour a panel, `lint` the rules that
every panel has to keep.
"""
