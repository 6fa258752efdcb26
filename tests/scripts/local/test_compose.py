"""docker-compose.yml becomes typed services."""

from pathlib import Path

import pytest

from scripts.local.compose import ComposeError, Mount, Port, Service, load

COMPOSE = """
x-image: &image registry.example:5000/team/web:v1.2.3
x-base: &base
  environment: &environment {SHARED: yes, LIMIT: 100MiB}
services:
  web:
    <<: *base
    image: *image
    command: [serve, "--level=${LEVEL:-info}", "--price=$$5"]
    environment:
      <<: *environment
      TOKEN: # from outside
      ABSENT:
      OWN: "1"
    env_file: [{path: .env, required: false}, {path: none.env, required: false}]
    volumes: [data:/var/data, "./web.yml:/etc/web.yml:ro", {type: bind, source: ./more, target: /more/}]
    ports: ["127.0.0.1:${PORT_WEB:-8080}:80", "9000:90/tcp", {published: 70, target: 7}]
    x-local:
      program: web
      names: [web-server]
      port: 80
      internal: ["${PORT_INNER:-81}"]
      ready: /ready
      arguments: ["--port=${PORT_WEB:-8080}"]
      environment: {DEBUG: true, NOTHING: ""}
      minimum: "1.20"
  worker:
    image: worker
    command: run --name "two words"
    environment: [A=1, "B=x=y", TOKEN, ABSENT]
    x-local: {program: worker, port: "${PORT_WORKER:-7000}", enabled: "${WORKERS:-0}"}
  plain:
    image: plain:2@sha256:abc
"""


def services(folder: Path, text: str = COMPOSE, dotenv: str = "", **environment: str) -> dict[str, Service]:
    (folder / "docker-compose.yml").write_text(text)
    if dotenv:
        (folder / ".env").write_text(dotenv)
    return load(folder, environment)


def test_a_service_is_read_with_anchors_merges_and_variables(tmp_path: Path) -> None:
    web = services(tmp_path)["web"]
    assert web.version == "1.2.3"
    assert web.command == ("serve", "--level=info", "--price=$5")
    assert web.mounts == (Mount("data", "/var/data"), Mount("./web.yml", "/etc/web.yml"), Mount("./more", "/more"))
    assert web.ports == (Port(8080, 80, "PORT_WEB"), Port(9000, 90), Port(70, 7))
    assert web.local is not None
    assert web.local.names == ("web-server",)
    assert web.local.internal == (Port(81, 81, "PORT_INNER"),)
    assert web.local.arguments == ("--port=8080",)
    assert web.local.environment == {"DEBUG": "true", "NOTHING": ""}
    assert web.local.command is None
    assert web.local.minimum == "1.20"


def test_only_named_volumes_are_volumes(tmp_path: Path) -> None:
    assert [mount.is_volume for mount in services(tmp_path)["web"].mounts] == [True, False, False]


def test_the_environment_wins_over_the_env_file_which_wins_over_the_default(tmp_path: Path) -> None:
    assert services(tmp_path, dotenv="PORT_WEB=1111")["web"].host_port(80) == 1111
    assert services(tmp_path, dotenv="PORT_WEB=1111", PORT_WEB="2222")["web"].host_port(80) == 2222


def test_a_variable_without_a_value_is_taken_from_outside_or_left_out(tmp_path: Path) -> None:
    found = services(tmp_path, TOKEN="secret")
    assert found["web"].environment == {"SHARED": "true", "LIMIT": "100MiB", "OWN": "1", "TOKEN": "secret"}
    assert found["worker"].environment == {"A": "1", "B": "x=y", "TOKEN": "secret"}


def test_an_env_file_fills_the_environment_below_the_services_own(tmp_path: Path) -> None:
    environment = services(tmp_path, dotenv="OWN=file\nTOKEN=file\nMORE=file")["web"].environment
    assert (environment["OWN"], environment["TOKEN"], environment["MORE"]) == ("1", "file", "file")


def test_a_command_line_is_split_as_a_shell_would(tmp_path: Path) -> None:
    assert services(tmp_path)["worker"].command == ("run", "--name", "two words")


def test_a_tag_is_told_from_a_registrys_port_and_a_digest(tmp_path: Path) -> None:
    found = services(tmp_path)
    assert (found["worker"].version, found["plain"].version) == ("", "2")


def test_where_a_service_publishes_nothing_its_own_port_stands_for_every_port(tmp_path: Path) -> None:
    worker = services(tmp_path)["worker"]
    assert worker.host_port(1234) == 7000
    assert worker.local_ports == (Port(7000, 7000, "PORT_WORKER"),)
    assert worker.url == "http://127.0.0.1:7000"


def test_a_published_service_is_found_at_the_port_of_this_machine(tmp_path: Path) -> None:
    web = services(tmp_path, PORT_WEB="3333")["web"]
    assert web.url == "http://127.0.0.1:3333"
    assert (web.host_port(80), web.host_port(12345)) == (3333, 12345)
    assert [port.host for port in web.local_ports] == [3333, 9000, 70, 81]


def test_a_service_runs_here_when_it_has_a_program_and_is_wanted(tmp_path: Path) -> None:
    assert {name: service.runs_locally for name, service in services(tmp_path).items()} == {
        "web": True,
        "worker": False,
        "plain": False,
    }
    assert services(tmp_path, WORKERS="2")["worker"].runs_locally
    assert services(tmp_path)["plain"].local_ports == ()
    assert services(tmp_path)["plain"].url == ""


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("services: {a: {ports: ['x:80']}}", "services.a.ports: 'x' is not a port"),
        ("services: {a: {ports: ['70000:80']}}", "'70000' is not a port"),
        ("services: {a: {command: ['${X:?say it}']}}", "services.a.command[0]: X is required: say it"),
        ("services: {a: {volumes: [/only/target]}}", "names no source"),
        ("services: {a: {x-local: {programm: a}}}", "services.a.x-local: unknown key 'programm'"),
        ("services: {a: {x-local: {minimum: 1.20}}}", "minimum: 1.2 is a number: write it in quotes"),
        ("services: {a: {env_file: none.env}}", "none.env is not there"),
        ("services: [", "not valid YAML"),
        ("just: this", "describes no services"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ComposeError) as error:
        services(tmp_path, text)
    assert complaint in str(error.value)


def test_a_compose_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ComposeError, match=r"docker-compose\.yml cannot be read"):
        load(tmp_path, {})


def test_a_broken_env_file_is_named_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(ComposeError, match=r"\.env: line 1 is not NAME=value"):
        services(tmp_path, dotenv="two words")
