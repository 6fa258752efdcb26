"""Config files written for containers, as they are rendered for local processes."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.local.compose import ComposeError, Local, Mount, Port, Service
from scripts.local.render import LeftOut, Renderer, missing_sources, render_service
from scripts.local.substitute import Folders, Substitution


def service(name: str, *mounts: tuple[str, str], port: int = 0, published: int = 0) -> Service:
    ports = (Port(published, port),) if published else ()
    return Service(name, "1", (), {}, tuple(Mount(*mount) for mount in mounts), ports, Local(name, port=port))


SERVICES = {
    one.name: one
    for one in (
        service(
            "prometheus",
            ("./prometheus.yml", "/etc/prometheus/prometheus.yml"),
            ("./rules", "/etc/prometheus/rules"),
            ("prometheus-data", "/prometheus"),
            port=9090,
            published=19090,
        ),
        service("backend", port=18000),
        service("loki", port=3100, published=13100),
        service("qdrant", port=6333, published=16333),
    )
}
RUNS = frozenset({"prometheus", "backend", "loki"})


class Rendering:
    """Renders for the service `prometheus` where `qdrant` does not run."""

    def __init__(self, project: Path) -> None:
        self.left_out = LeftOut()
        self.folders = Folders(project)
        self.service = SERVICES["prometheus"]
        substitution = Substitution(self.service, SERVICES, self.folders)
        self.renderer = Renderer(substitution, RUNS, frozenset(SERVICES), self.left_out)

    def text(self, text: str) -> str:
        return self.renderer.document(text, "some.yml")

    def __call__(self, text: str) -> Any:
        return yaml.safe_load(self.text(text))


@pytest.fixture
def rendering(tmp_path: Path) -> Rendering:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "own.yml").write_text("groups: []\n")
    (tmp_path / "prometheus.yml").write_text("rule_files: [/etc/prometheus/rules/*.yml]\n")
    return Rendering(tmp_path)


def jobs(config: Any) -> dict[str, Any]:
    return {job["job_name"]: job for job in config["scrape_configs"]}


def test_a_dns_discovery_becomes_the_one_local_target(rendering: Rendering) -> None:
    config = rendering(
        """
scrape_configs:
  - job_name: backend
    metrics_path: /metrics
    dns_sd_configs: [{names: [backend], type: A, port: 8000, refresh_interval: 5s}]
"""
    )
    assert jobs(config)["backend"] == {
        "job_name": "backend",
        "metrics_path": "/metrics",
        "static_configs": [{"targets": ["127.0.0.1:18000"]}],
    }


def test_names_of_a_discovery_that_do_not_run_here_are_left_out(rendering: Rendering) -> None:
    config = rendering(
        """
scrape_configs:
  - job_name: several
    dns_sd_configs: [{names: [tasks.backend, qdrant, alloy], port: 8000}, {names: [loki], port: 3100}]
    static_configs: [{targets: ["qdrant:6333", "prometheus:9090"], labels: {a: b}}]
"""
    )
    assert jobs(config)["several"]["static_configs"] == [
        {"targets": ["127.0.0.1:19090"], "labels": {"a": "b"}},
        {"targets": ["127.0.0.1:18000", "127.0.0.1:13100"]},
    ]


def test_a_discovery_is_replaced_wherever_it_stands(rendering: Rendering) -> None:
    config = rendering("alerting: {alertmanagers: [{dns_sd_configs: [{names: [loki], port: 3100}]}]}")
    assert config["alerting"]["alertmanagers"] == [{"static_configs": [{"targets": ["127.0.0.1:13100"]}]}]


def test_jobs_of_services_that_do_not_run_here_are_left_out_and_named(rendering: Rendering) -> None:
    config = rendering(
        """
scrape_configs:
  - {job_name: loki, static_configs: [{targets: ["loki:3100"]}]}
  - {job_name: qdrant, static_configs: [{targets: ["qdrant:6333"]}]}
  - {job_name: qdrant, static_configs: [{targets: ["loki:3100"]}]}
  - {job_name: alloy, dns_sd_configs: [{names: [alloy], port: 12345}]}
  - {job_name: by-target, static_configs: [{targets: ["qdrant:6333"]}]}
  - {job_name: elsewhere, static_configs: [{targets: ["example.org:80"]}]}
  - {job_name: by-file, file_sd_configs: [{files: [a.json]}]}
"""
    )
    assert sorted(jobs(config)) == ["by-file", "elsewhere", "loki"]
    assert rendering.left_out.jobs == {"qdrant"}


def test_alerts_about_services_that_do_not_run_here_are_left_out_and_named(rendering: Rendering) -> None:
    config = rendering(
        """
groups:
  - name: watchers
    rules:
      - {alert: LokiDown, expr: up, labels: {watches: loki}}
      - {alert: QdrantDown, expr: up, labels: {watches: qdrant}}
      - {alert: QdrantSlow, expr: up, labels: {service: qdrant}}
      - {title: Grafana's own kind, labels: {service: qdrant}}
      - {record: qdrant:rate, expr: up, labels: {service: qdrant}}
      - {alert: Unlabelled, expr: up}
      - {alert: Elsewhere, expr: up, labels: {service: somebody-elses}}
"""
    )
    kept = [rule.get("alert", rule.get("title")) for rule in config["groups"][0]["rules"]]
    assert kept == ["LokiDown", "Unlabelled", "Elsewhere"]
    assert rendering.left_out.alerts == {"QdrantDown", "QdrantSlow", "Grafana's own kind"}


def test_what_needs_no_change_stays_as_it_was_written(rendering: Rendering) -> None:
    text = """\
start: 22:00
octal: 010
answer: yes
quoted: "15"
empty: ''
nothing: null
long: 1_000
regex: '{level=""}'
block: |
  first line
    second line
merged: &anchor
  a: 1
again:
  <<: *anchor
"""
    expected = text.replace("&anchor", "&id001").replace("*anchor", "*id001")
    assert rendering.text(text) == expected


def test_a_key_without_a_value_is_written_as_null(rendering: Rendering) -> None:
    assert rendering.text("labels: {level: , logger: }\n") == "labels: {level: null, logger: null}\n"


def test_keys_are_not_addresses(rendering: Rendering) -> None:
    assert rendering("loki:3100: loki:3100") == {"loki:3100": "127.0.0.1:13100"}


def test_an_anchored_value_is_changed_once(rendering: Rendering) -> None:
    config = rendering("a: &where {url: 'http://loki:3100'}\nb: *where")
    assert config["a"] == config["b"] == {"url": "http://127.0.0.1:13100"}


def test_several_documents_and_empty_ones_are_kept(rendering: Rendering) -> None:
    assert list(yaml.safe_load_all(rendering.text("a: 1\n---\nb: /prometheus\n"))) == [
        {"a": 1},
        {"b": str(rendering.folders.data / "prometheus-data")},
    ]
    assert rendering.text("# nothing\n") == ""
    assert rendering("- loki:3100") == ["127.0.0.1:13100"]


def test_a_path_with_any_character_stays_one_value(tmp_path: Path) -> None:
    project = tmp_path / 'it\'s: my #1 "project"'
    (project / "rules").mkdir(parents=True)
    (project / "prometheus.yml").write_text("")
    assert Rendering(project)("path: /prometheus/wal") == {"path": f"{project}/.data/prometheus-data/wal"}


def test_yaml_that_is_not_valid_is_named_with_its_file(rendering: Rendering) -> None:
    with pytest.raises(ComposeError, match=r"some\.yml is not valid YAML"):
        rendering("a: [")


def test_jobs_that_prometheus_would_refuse_are_left_for_prometheus_to_refuse(rendering: Rendering) -> None:
    assert rendering("scrape_configs: none") == {"scrape_configs": "none"}
    assert rendering("scrape_configs: [text]") == {"scrape_configs": ["text"]}
    assert rendering("groups: [{name: a, rules: [{alert: x, labels: text}]}]")["groups"][0]["rules"]


def test_mounted_config_is_laid_out_as_in_the_container(rendering: Rendering) -> None:
    written = render_service(rendering.service, rendering.folders, rendering.renderer)
    place = rendering.folders.run / "config" / "prometheus" / "etc" / "prometheus"
    assert set(written) == {str(place / "prometheus.yml"), str(place / "rules" / "own.yml")}
    assert (place / "prometheus.yml").read_text() == f"rule_files: [{place}/rules/*.yml]\n"


def test_a_file_that_was_removed_is_removed_from_the_rendered_ones(rendering: Rendering) -> None:
    project = rendering.folders.project
    (project / "rules" / "deep").mkdir()
    (project / "rules" / "deep" / "old.yml").write_text("groups: []")
    render_service(rendering.service, rendering.folders, rendering.renderer)
    rendered = rendering.folders.rendered("prometheus", "/etc/prometheus/rules")
    assert (rendered / "deep" / "old.yml").exists()
    (project / "rules" / "deep" / "old.yml").unlink()
    (project / "rules" / "deep").rmdir()
    render_service(rendering.service, rendering.folders, rendering.renderer)
    assert [path.name for path in rendered.rglob("*")] == ["own.yml"]


def test_a_file_that_has_not_changed_is_not_written_again(rendering: Rendering) -> None:
    render_service(rendering.service, rendering.folders, rendering.renderer)
    rendered = rendering.folders.rendered("prometheus", "/etc/prometheus/rules/own.yml")
    before = rendered.stat().st_mtime_ns
    render_service(rendering.service, rendering.folders, rendering.renderer)
    assert rendered.stat().st_mtime_ns == before


def test_other_files_of_a_config_folder_come_along_unchanged(rendering: Rendering) -> None:
    (rendering.folders.project / "rules" / "notes.txt").write_text("loki:3100")
    render_service(rendering.service, rendering.folders, rendering.renderer)
    copy = rendering.folders.rendered("prometheus", "/etc/prometheus/rules/notes.txt")
    assert copy.read_text() == "loki:3100"


def test_a_mounted_file_that_is_not_there_is_found_out(rendering: Rendering) -> None:
    assert missing_sources(rendering.service, rendering.folders) == []
    (rendering.folders.project / "prometheus.yml").unlink()
    assert [m.source for m in missing_sources(rendering.service, rendering.folders)] == ["./prometheus.yml"]
