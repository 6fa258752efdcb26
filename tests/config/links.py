"""The links between Grafana's data sources, and the queries that they run, with Grafana's variables filled in."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[2]


def data_sources() -> dict[str, dict[str, Any]]:
    """The provisioned data sources by uid, as Grafana reads them: `$$` is a dollar sign."""
    text = (PROJECT / "grafana/provisioning/datasources/datasources.yml").read_text()
    return {one["uid"]: one for one in yaml.safe_load(text.replace("$$", "$"))["datasources"]}


def json_data(uid: str) -> dict[str, Any]:
    found: dict[str, Any] = data_sources()[uid]["jsonData"]
    return found


def derived(name: str) -> dict[str, Any]:
    """Loki's derived field of that name."""
    return next(field for field in json_data("loki")["derivedFields"] if field["name"] == name)


def tags(link: Mapping[str, Any], span: Mapping[str, str]) -> str:
    """What Grafana puts for `$__tags`: the span's attributes under their names in the other data source."""
    return ", ".join(f'{tag["value"]}="{span[tag["key"]]}"' for tag in link["tags"] if tag["key"] in span)


def filled(query: str, **values: str) -> str:
    """The query with `${__name}` and `$__name` replaced; a dot of a name is written as two underscores here."""
    names = {f"__{name.replace('__', '.')}": value for name, value in values.items()}
    result = re.sub(r"\$(?:\{([\w.]+)\}|(\w+))", lambda found: names[found[1] or found[2]], query)
    assert "$" not in result
    return result
