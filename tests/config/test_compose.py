"""The compose files keep the rules that they set for themselves, service by service."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
FILES = ("docker-compose.yml", "docker-compose.alloy.yml")


def services(*files: str) -> dict[str, dict[str, Any]]:
    return {
        name: service
        for file in files
        for name, service in yaml.safe_load((PROJECT / file).read_text())["services"].items()
        if "image" in service
    }


SERVICES = services(*FILES)
#: Images that run as somebody else than root by themselves.
NON_ROOT_IMAGES = ("prom/", "grafana/loki", "grafana/tempo", "grafana/grafana:", "percona/", "qdrant/", "specola/")


def excused(service: dict[str, Any], rule: str) -> bool:
    """Whether the service says why it does not keep this rule."""
    return bool(service.get("x-exception", {}).get(rule))


def mebibytes(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(m|MiB|g|GiB)", text).groups()  # type: ignore[union-attr]
    return int(number) * (1024 if unit.lower().startswith("g") else 1)


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_keeps_the_rules(name: str) -> None:
    service = SERVICES[name]
    image = service["image"]
    assert re.search(r":v?\d+\.\d+\.\d+", image), f"{image}: a full version, so that nothing changes by itself"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"]["max-size"], "container logs are rotated"
    assert service["restart"] == "unless-stopped"
    assert mebibytes(service["mem_limit"]) <= 512
    check = service.get("healthcheck", {})
    assert excused(service, "healthcheck") or (check["test"] and check["interval"] and check["retries"])
    user = str(service.get("user", ""))
    root = user.startswith(("0", "root")) or not (user or image.startswith(NON_ROOT_IMAGES))
    assert not root or excused(service, "user")


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_alone(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert str(port).startswith("127.0.0.1:${PORT_"), port


def test_go_programs_know_their_memory_limit() -> None:
    limits = {name: s["environment"]["GOMEMLIMIT"] for name, s in SERVICES.items() if "GOMEMLIMIT" in str(s)}
    assert len(limits) >= 10
    for name, limit in limits.items():
        assert 0.5 <= mebibytes(limit) / mebibytes(SERVICES[name]["mem_limit"]) <= 0.85, name


def test_only_stores_and_the_gateway_are_waited_for() -> None:
    waits = {name: set(service.get("depends_on", {})) for name, service in SERVICES.items()}
    assert waits["backend"] == {"mongodb", "qdrant"}
    for name, service in SERVICES.items():
        for other, condition in service.get("depends_on", {}).items():
            shipper = name in ("promtail", "alloy") and other == "loki"  # only for the order in which they are stopped
            assert condition == {"condition": "service_started" if shipper else "service_healthy"}


def test_only_the_socket_proxy_touches_the_docker_socket() -> None:
    touching = [name for name, service in SERVICES.items() if "docker.sock" in str(service.get("volumes", ""))]
    assert touching == ["docker-socket-proxy"]
    assert SERVICES["docker-socket-proxy"]["profiles"] == ["containers"]


def test_every_mounted_file_is_there_and_every_volume_is_used() -> None:
    named: set[str] = set()
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith("."):
                assert (PROJECT / source).exists(), source
                assert mount.endswith(":ro"), f"{mount}: what comes from the repository is not written to"
            elif not source.startswith(("/", "${BACKUP_DIR")):  # archives go to a folder of the user's choice
                named.add(source)
    declared = {name for file in FILES for name in yaml.safe_load((PROJECT / file).read_text())["volumes"]}
    assert named == declared


def test_prometheus_scrapes_every_service_that_has_metrics() -> None:
    config = yaml.safe_load((PROJECT / "prometheus/prometheus.yml").read_text())
    jobs = {job["job_name"] for job in config["scrape_configs"]}
    without = {"gateway", "mongodb", "traffic", "docker-socket-proxy", "restore"}  # mongodb's are the exporter's
    assert jobs == set(SERVICES) - without


def test_a_nightly_backup_can_write_to_no_store_but_prometheus_whose_snapshot_it_removes() -> None:
    mounts = {service: SERVICES[service]["volumes"] for service in ("backup", "restore")}
    stores = [mount for mount in mounts["backup"] if "-data:" in mount]
    assert [mount for mount in stores if not mount.endswith(":ro")] == ["prometheus-data:/data/prometheus-data"]
    assert mounts["restore"] == [m.removesuffix(":ro") if m in stores else m for m in mounts["backup"]]


def test_the_alloy_overlay_names_the_same_alloy() -> None:
    assert SERVICES["alloy"]["image"] == SERVICES["cadvisor"]["image"]
