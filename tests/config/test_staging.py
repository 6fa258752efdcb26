"""The staging overlay, as compose reads it, and the files that it is made of."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.staging.secrets import derived, make, names
from tests.programs import accepted, program

PROJECT = Path(__file__).resolve().parents[2]
BASE: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]
PLACE = (PROJECT / "scripts" / "staging" / "place.sh").read_text()
#: Configurations with lines that hold in staging alone.
MARKED = ("prometheus/prometheus.yml", "loki/loki.yml", "tempo/tempo.yml")


@pytest.fixture(scope="module")
def rendered() -> dict[str, Any]:
    command = [
        program("docker"),
        "compose",
        "-f",
        "docker-compose.yml",
        "-f",
        "docker-compose.staging.yml",
        "--profile",
        "*",
    ]
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    said = subprocess.run(
        [*command, "config", "--format", "json"], cwd=PROJECT, env=environment, capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr
    configuration: dict[str, Any] = json.loads(said.stdout)
    return configuration


def test_nothing_but_the_gateway_publishes_a_port(rendered: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in rendered["services"].items() if service.get("ports")}
    assert [(name, [one["published"] for one in ports]) for name, ports in published.items()] == [("gateway", ["443"])]


def test_every_service_has_its_own_secrets_and_waits_for_them(rendered: dict[str, Any]) -> None:
    holders = [volume for volume in rendered["volumes"] if volume.startswith("secrets-")]
    assert len(holders) >= 11
    for name in holders:
        driver = rendered["volumes"][name]["driver_opts"]
        assert (driver["type"], driver["device"]) == ("tmpfs", "tmpfs"), "in memory alone"
    for name, service in rendered["services"].items():
        mounts = [one for one in service.get("volumes", []) if one.get("source", "").startswith("secrets-")]
        if name == "secrets" or not mounts:
            continue
        assert [(one["source"], one["target"], one.get("read_only")) for one in mounts] == [
            ("secrets-backup" if name == "restore" else f"secrets-{name}", "/run/secrets", True)
        ]
        assert service["depends_on"]["secrets"]["condition"] == "service_healthy"


def test_no_value_of_a_secret_can_stand_in_the_configuration(rendered: dict[str, Any]) -> None:
    """Whatever is called a secret is a file's name, or empty."""
    for name, service in rendered["services"].items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|TOKEN|_KEY|MONGODB_URL", variable):
                harmless = value in (None, "", "true", "false") or str(value).startswith(("/run/secrets/", "/keys/"))
                assert harmless, f"{name}: {variable}"


def test_what_the_overlay_repeats_is_what_the_base_file_says(rendered: dict[str, Any]) -> None:
    for name in ("prometheus", "alertmanager", "mongodb"):
        changed = ("--config.file", "--web.external-url")
        ours = {re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", flag) for flag in BASE[name]["command"]}
        missing = [flag for flag in ours - set(rendered["services"][name]["command"]) if not flag.startswith(changed)]
        assert missing == [], name
    images = [service["image"] for service in BASE.values()]
    dockerfile = (PROJECT / "mongodb" / "Dockerfile").read_text()
    assert {rendered["services"]["secrets"]["image"], *re.findall(r"FROM (\S+)", dockerfile)} <= set(images)


def test_a_network_holds_one_server_and_those_who_ask_it(rendered: dict[str, Any]) -> None:
    members: dict[str, set[str]] = {}
    for name, service in rendered["services"].items():
        for network in service.get("networks") or {}:
            members.setdefault(network, set()).add(name)
    for network in (name for name in members if name.endswith("-out")):
        assert members[network] == {network.removesuffix("-out")}, (
            "who may leave the machine shares that way with nobody"
        )
    ways_out = {name for name, network in rendered["networks"].items() if not network.get("internal")}
    assert ways_out == {name for name in members if name.endswith("-out")}


def test_every_secret_that_is_given_is_made_and_every_one_made_is_used(tmp_path: Path) -> None:
    make(tmp_path)
    files = {*names(), *derived(tmp_path)}
    given = set(re.findall(r"\b[a-z_]+_(?:password\w*|key|token|url)\b|users\.caddy", PLACE))
    given |= {f"{part}_web.yml" for part in re.findall(r"^web (\w+)", PLACE, re.MULTILINE)}
    yours = {"azure_openai_key", "openai_api_key"}
    assert given - files - yours == set()
    inside_others = {f"{part}_password" for part in ("prometheus", "alertmanager", "loki", "tempo", "alert_inbox")}
    assert files - given - inside_others == set()


def lines_that_hold(file: str) -> str:
    text = (PROJECT / file).read_text()
    assert "# [staging] " in text
    return text.replace("# [staging] ", "")


@pytest.mark.parametrize("file", [*MARKED, "grafana/provisioning/datasources/datasources.yml"])
def test_a_configuration_with_the_lines_of_staging_is_still_one(file: str) -> None:
    everywhere = yaml.safe_load((PROJECT / file).read_text())
    assert yaml.safe_load(lines_that_hold(file)) != everywhere


def test_prometheus_accepts_its_configuration(tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(lines_that_hold("prometheus/prometheus.yml"))
    accepted("promtool", "check", "config", "--syntax-only", str(tmp_path / "prometheus.yml"))


def test_prometheus_accepts_who_may_ask_it(tmp_path: Path) -> None:
    make(tmp_path)
    accepted("promtool", "check", "web-config", str(tmp_path / "prometheus_web.yml"))


def test_mongodbs_users_have_the_least_rights_and_new_passwords_reach_them(tmp_path: Path) -> None:
    """With a stand-in for mongosh's `db` that notes what it is told, on an empty server and on one that has both."""
    node = program("node")
    make(tmp_path)
    script = (PROJECT / "mongodb" / "users.js").read_text().replace("/run/secrets", str(tmp_path))
    told = (
        "const notes = [], users = {};\n"
        "const db = {getSiblingDB: (name) => ({\n"
        "  auth: (user, password) => notes.push(['auth', user, password]),\n"
        "  getUser: (user) => users[name + user],\n"
        "  createUser: (user) => { users[name + user.user] = user; notes.push(['create', name, user.user, user]); },\n"
        "  updateUser: (user, to) => notes.push(['update', name, user, to]),\n})};\n"
    )
    again = f"{told}(() => {{{script}}})();\n(() => {{{script}}})();\nconsole.log(JSON.stringify(notes));"
    notes = json.loads(subprocess.run([node, "-e", again], capture_output=True, text=True, check=True).stdout)
    assert [note[:3] for note in notes if note[0] != "auth"] == [
        ["create", "specola", "backend"],
        ["create", "admin", "exporter"],
        ["update", "specola", "backend"],
        ["update", "admin", "exporter"],
    ]
    assert notes[0] == ["auth", "root", (tmp_path / "mongodb_root_password").read_text()]
    backend, exporter = notes[1][3], notes[2][3]
    assert backend["roles"] == [{"role": "readWrite", "db": "specola"}]
    assert [role["role"] for role in exporter["roles"]] == ["clusterMonitor", "read"]
    assert backend["pwd"] in (tmp_path / "mongodb_url").read_text()
    assert exporter["pwd"] in (tmp_path / "mongodb_exporter_url").read_text()
