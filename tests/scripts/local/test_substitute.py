"""Texts written for containers, changed for local processes."""

from pathlib import Path

import pytest

from scripts.local.compose import Local, Mount, Port, Service
from scripts.local.substitute import Folders, Substitution


def service(name: str, *mounts: tuple[str, str], ports: tuple[Port, ...] = (), port: int = 0) -> Service:
    return Service(name, "1", (), {}, tuple(Mount(*mount) for mount in mounts), ports, Local(name, port=port))


SERVICES = {
    "loki": service(
        "loki",
        ("./loki/loki.yml", "/etc/loki/loki.yml"),
        ("./loki/pages", "/etc/loki/pages"),
        ("loki-data", "/loki"),
        ("loki-rules", "/loki/rules"),
        ("logs", "/app/logs"),
        ("loki-tmp", "/tmp"),
        ports=(Port(13100, 3100, "PORT_LOKI"),),
    ),
    "loki-canary": service("loki-canary", ports=(Port(3500, 3500),)),
    "backend": service("backend", port=18000),
    "exporter": service("exporter", ("/", "/host"), ("~/x", "/home-x")),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "loki" / "pages").mkdir(parents=True)
    (tmp_path / "loki" / "loki.yml").write_text("a: 1")
    (tmp_path / "loki" / "pages" / "page.html").write_text("")
    return tmp_path


def substitution(project: Path, name: str = "loki") -> Substitution:
    return Substitution(SERVICES[name], SERVICES, Folders(project))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # A config file is the rendered copy, a folder without config files the project's own, a volume below .data.
        ("-config.file=/etc/loki/loki.yml", "-config.file=@/.run/config/loki/etc/loki/loki.yml"),
        ("/etc/loki/pages/page.html", "@/loki/pages/page.html"),
        ("/loki", "@/.data/loki-data"),
        ("/loki/chunks", "@/.data/loki-data/chunks"),
        ("/loki/rules/x", "@/.data/loki-rules/x"),  # the longest mount wins
        ("/app/logs/**/*.log", "@/logs/**/*.log"),
        ("a=/loki,b=/tmp/x", "a=@/.data/loki-data,b=@/.data/loki-tmp/x"),
        ('"/loki"', '"@/.data/loki-data"'),
        # Not the middle of another path, of an address or of a word.
        ("/other/loki/x", "/other/loki/x"),
        ("/lokis", "/lokis"),
        ("/loki.yml", "/loki.yml"),
        ("/loki-old", "/loki-old"),
        ("x/tmp", "x/tmp"),
        ("~/tmp", "~/tmp"),
        ("http://host/loki/api", "http://host/loki/api"),
        ("/etc/loki/other.yml", "/etc/loki/other.yml"),
        # Addresses: published ports, the port of a service that publishes none, whole names only.
        ("http://loki:3100/loki/api/v1/push", "http://127.0.0.1:13100/loki/api/v1/push"),
        ("loki:3100", "127.0.0.1:13100"),
        ("loki:9095", "127.0.0.1:9095"),
        ("backend:8000,loki:3100", "127.0.0.1:18000,127.0.0.1:13100"),
        ("loki-canary:3500", "127.0.0.1:3500"),
        ("user:pass@loki:3100", "user:pass@127.0.0.1:13100"),
        ("my-loki:3100", "my-loki:3100"),
        ("eu.loki:3100", "eu.loki:3100"),
        ("loki:3100x", "loki:3100x"),
        ("loki://x", "loki://x"),
        ("job=loki", "job=loki"),
        ("loki: 3100", "loki: 3100"),
        ("unknown:3100", "unknown:3100"),
        # An argument's listen address is for x-local to say.
        ("0.0.0.0:3100", "0.0.0.0:3100"),
    ],
)
def test_an_argument(project: Path, text: str, expected: str) -> None:
    assert substitution(project).text(text) == expected.replace("@", str(project)).replace(f"pass{project}", "pass@")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.0.0.0:3100", "127.0.0.1:13100"),
        ("0.0.0.0:4317", "127.0.0.1:4317"),
        ("0.0.0.0", "127.0.0.1"),
        ("[::]:3100", "127.0.0.1:13100"),
        (":3100", "127.0.0.1:13100"),
        ("http://0.0.0.0:3100/", "http://127.0.0.1:13100/"),
        ("10.0.0.0:3100", "10.0.0.0:3100"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("x:3100", "x:3100"),
        ("loki:3100", "127.0.0.1:13100"),
    ],
)
def test_a_value_in_a_config_file_may_be_a_listen_address(project: Path, text: str, expected: str) -> None:
    assert substitution(project).config(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (".data/backend/x.sqlite", "@/.data/backend/x.sqlite"),
        ("./logs", "@/logs"),
        ("/app/logs", "@/logs"),
        ("http://loki:3100", "http://127.0.0.1:13100"),
        ("Europe/Rome", "Europe/Rome"),
        ("data/x", "data/x"),
    ],
)
def test_a_setting_may_be_relative_to_the_project(project: Path, text: str, expected: str) -> None:
    assert substitution(project).setting(text) == expected.replace("@", str(project))


def test_a_mount_of_the_whole_machine_leaves_its_paths(project: Path) -> None:
    exporter = substitution(project, "exporter")
    assert exporter.text("/host") == "/"
    assert exporter.text("/host/proc") == "/proc"
    assert exporter.text("a=/host,b=/hosts") == "a=/,b=/hosts"
    assert exporter.text("/home-x/y") == f"{Path.home()}/x/y"


def test_a_service_without_mounts_keeps_its_paths(project: Path) -> None:
    assert substitution(project, "backend").text("/loki loki:3100") == "/loki 127.0.0.1:13100"
