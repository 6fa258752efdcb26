"""The staging overlay as a stranger, an operator and a taken-over container find it."""

import shlex
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.core.config import Settings
from app.main import create_app
from tests.e2e.stack import until
from tests.e2e.staging import PORT, URL, Staging, staging
from tests.e2e.staging_table import ADMIN, CLOSED, INNER, LISTENS, OPEN, PROTECTED, TOGETHER

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture(scope="module", params=["containers"])  # two would need more networks than the engine has
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staging]:
    with staging(tmp_path_factory.mktemp("staging")) as running:
        yield running


@pytest.fixture(scope="module")
def stranger(stack: Staging) -> Iterator[httpx.Client]:
    with stack.client() as client:
        yield client


def addresses(stack: Staging) -> dict[str, list[str]]:
    """Every address of every service, on whichever network."""
    return {
        name: [network["IPAddress"] for network in one["NetworkSettings"]["Networks"].values() if network["IPAddress"]]
        for name, one in stack.containers().items()
    }


def test_only_the_gateway_publishes_a_port(stack: Staging) -> None:
    published = {
        name: sorted({one["HostPort"] for bindings in found.values() for one in bindings or []})
        for name, container in stack.containers().items()
        if (found := container["HostConfig"]["PortBindings"])
    }
    assert published == {"gateway": [str(PORT)]}


def test_each_container_reaches_what_it_needs_and_nothing_else(stack: Staging) -> None:
    where = addresses(stack)
    assert set(where) == set(LISTENS)
    targets = [(name, (address, port)) for name in where for address in where[name] for port in LISTENS[name]]
    wrong = []
    for service in sorted(LISTENS):
        seen = stack.probe(service, [address for _, address in targets])
        if seen["listening"] != LISTENS[service]:
            wrong.append(f"{service} listens on {seen['listening']}")
        reached = {(name, address[1]) for (name, address), there in zip(targets, seen["reached"], strict=True) if there}
        may = {name for pair in TOGETHER if service in pair for name in pair} | {service}
        expected = {(name, port) for name in may for port in LISTENS[name]}
        wrong += [f"{service} reaches {name}:{port}" for name, port in sorted(reached - expected)]
        wrong += [f"{service} does not reach {name}:{port}" for name, port in sorted(expected - reached)]
    assert wrong == []


def test_a_stranger_is_given_nothing(stack: Staging, stranger: httpx.Client) -> None:
    app = create_app(Settings(faults_enabled=True))
    routes = [(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods]
    routes += [("GET", path) for path in (*PROTECTED, *CLOSED, "/docs", "/openapi.json", "/nothing")]
    assert len(routes) > 40
    given = {}
    for method, path in routes:
        answer = stranger.request(method, URL + path.replace("{", "").replace("}", ""))
        if path in OPEN or (answer.status_code in (200, 503) and not answer.content):  # a probe: the status alone
            continue
        if answer.status_code not in (401, 403, 404):
            given[f"{method} {path}"] = (answer.status_code, answer.text[:200])
    assert given == {}
    for path, beginning in OPEN.items():
        assert stranger.get(path).text.lower().startswith(beginning), path


@pytest.mark.parametrize("path", PROTECTED)
def test_with_its_own_password_a_part_answers_and_with_anothers_not(stack: Staging, path: str) -> None:
    user, file, text = PROTECTED[path]
    with stack.client(auth=(user, stack.secret(file)), follow_redirects=True) as operator:
        until(lambda: text in operator.get(path).text, f"{path} has {text}", 90)
    other = "tempo_password" if file != "tempo_password" else "loki_password"
    if user == "operator":  # Grafana's admin is locked out for minutes after the fifth attempt
        with stack.client(auth=(user, stack.secret(other))) as wrong:
            assert wrong.get(path).status_code == 401


def test_prometheus_data_is_not_deleted_from_outside_with_any_password(stack: Staging) -> None:
    with stack.client(auth=("operator", stack.secret("prometheus_password"))) as operator:
        assert {path: operator.post(path).status_code for path in ADMIN} == dict.fromkeys(ADMIN, 404)
        assert operator.get("/prometheus/api/v1/query?query=up").json()["data"]["result"]


def test_within_nothing_is_said_without_a_token_either(stack: Staging) -> None:
    answers = stack.probe("prometheus", requests=[("GET", url, {}) for url in INNER])["answers"]
    given = {url: answer for url, answer in zip(INNER, answers, strict=True) if answer[0] not in (401, 403)}
    assert given == {}


def test_prometheus_scrapes_everything_with_its_credentials(stack: Staging) -> None:
    with stack.client(auth=("operator", stack.secret("prometheus_password"))) as operator:

        def down() -> list[str]:
            targets = operator.get("/prometheus/api/v1/targets").json()["data"]["activeTargets"]
            assert len(targets) == 11
            return [f"{one['labels']['job']}: {one['lastError']}" for one in targets if one["health"] != "up"]

        until(lambda: not down(), "all targets are up", 60)
        arrived = "/prometheus/api/v1/query?query=watchdog_last_received_timestamp_seconds>0"
        until(lambda: operator.get(arrived).json()["data"]["result"], "an alert went all the way", 90)


def test_the_stores_ask_for_a_password(stack: Staging) -> None:
    url = stack.secret("mongodb_url")
    program = (
        "import sys\nfrom pymongo import MongoClient\nfrom pymongo.errors import OperationFailure\n"
        "for url in sys.stdin.read().split():\n"
        "    try:\n        MongoClient(url).specola.sessions.find_one()\n        print('data')\n"
        "    except OperationFailure as error:\n        print(error.code)\n"
    )
    urls = [url, "mongodb://mongodb:27017/", url.replace(stack.secret("mongodb_backend_password"), "guessed")]
    said = _in_network(stack, "backend", program, "\n".join(urls))
    assert said.split() == ["data", "13", "18"]  # Unauthorized, AuthenticationFailed

    read_only = {"api-key": stack.secret("qdrant_read_only_api_key")}
    collection = "http://qdrant:6333/collections/mine"
    asked = [("GET", "http://qdrant:6333/collections", read_only), ("DELETE", collection, read_only)]
    answers = stack.probe("backend", requests=asked)["answers"]
    assert [status for status, _ in answers] == [200, 403]


def _in_network(stack: Staging, service: str, program: str, given: str) -> str:
    return stack.run("exec", "-T", service, "python", "-c", program.replace("sys.stdin.read()", repr(given)))


def test_a_key_opens_the_service_and_an_answer_is_streamed(stack: Staging) -> None:
    with stack.client(headers=_key(stack, "tests")) as user:
        session = until(lambda: user.post("/api/v1/chat/sessions").json().get("session_id"), "the key is known", 30)
        body = {"content": "What is watched?", "stream": True}
        path = f"/api/v1/chat/sessions/{session}/messages"
        until(lambda: user.post(path, json=body).status_code != 503, "a busy machine's stores answer in time", 60)
        with user.stream("POST", path, json=body) as answer:
            events = [line for line in answer.iter_lines() if line.startswith("event:")]
            assert answer.headers["content-type"].startswith("text/event-stream"), answer.status_code
        assert events[-1] == "event: done"
        too_much = user.post("/api/v1/documents", files={"file": ("a.txt", b"a" * 7_000_000)})
        assert too_much.status_code == 413
        assert user.get("/metrics").status_code == user.put("/internal/faults").status_code == 404


def test_the_one_address_speaks_http_2_over_tls_and_nothing_else(stack: Staging, stranger: httpx.Client) -> None:
    context = ssl.create_default_context(cafile=str(stack.folder / "root.crt"))
    context.set_alpn_protocols(["h2", "http/1.1"])
    raw = socket.create_connection(("localhost", PORT), timeout=10)
    with context.wrap_socket(raw, server_hostname="localhost") as secure:
        assert secure.selected_alpn_protocol() == "h2"
        assert secure.version() == "TLSv1.3"
    assert httpx.get(f"http://localhost:{PORT}/").status_code == 400
    headers = stranger.get("/").headers
    assert headers["strict-transport-security"].startswith("max-age=")
    assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
    assert "server" not in headers


def test_grafana_lets_nobody_in_by_default(stack: Staging, stranger: httpx.Client) -> None:
    for password in ("admin", stack.secret("prometheus_password")):
        login = stranger.post("/grafana/login", json={"user": "admin", "password": password})
        assert login.status_code in (400, 401)
    assert stranger.post("/grafana/api/user/signup", json={"email": "a@example.org"}).status_code in (401, 403)
    entered = stranger.post(
        "/grafana/login", json={"user": "admin", "password": stack.secret("grafana_admin_password")}
    )
    cookie = next(one for one in entered.headers.get_list("set-cookie") if one.startswith("grafana_session="))
    assert entered.status_code == 200
    assert {"Path=/grafana", "HttpOnly", "Secure"} <= set(cookie.split("; "))
    stranger.cookies.clear()


def test_a_backup_is_made_with_the_credentials_that_it_needs(stack: Staging) -> None:
    (archive,) = stack.back_up()
    assert archive.stat().st_size > 10_000


def test_no_secret_stands_where_others_look(stack: Staging) -> None:
    values = [path.read_text() for path in (stack.folder / "secrets" / "staging").glob("*_*") if "web" not in path.name]
    seen = {
        "the rendered configuration": stack.run("config"),
        "what the engine tells of the containers": str(stack.containers()),
        "the containers' output": stack.run("logs", "--no-color"),
    }
    for place, text in seen.items():
        assert not [value for value in values if value in text], place
    files: dict[str, Any] = {}
    for service in ("backend", "prometheus", "grafana"):  # what it may read is its own, and not another's
        files[service] = stack.run("exec", "-T", "secrets", "ls", f"/places/{service}").split()
    assert "grafana_admin_password" not in files["backend"] + files["prometheus"]
    assert stack.run("exec", "-T", "backend", "sh", "-c", "ls -ld /run/secrets/mongodb_url").startswith("-r--------")


def test_what_starts_before_its_secrets_are_there_does_not_run_open(stack: Staging) -> None:
    """As after a restart of the machine, which knows no order, and whose memory is empty."""
    services = ("alert-inbox", "alertmanager", "gateway", "grafana", "loki", "mongodb-exporter", "qdrant")
    names = {name: stack.containers()[name]["Name"].lstrip("/") for name in (*services, "secrets")}
    subprocess.run(["docker", "stop", "-t", "3", *names.values()], check=True, capture_output=True)
    subprocess.run(["docker", "start", *(names[name] for name in services)], check=False, capture_output=True)
    until(lambda: all(stack.containers()[name]["RestartCount"] for name in services), "each ended by itself", 60)
    subprocess.run(["docker", "start", names["secrets"]], check=True, capture_output=True)

    def well() -> bool:
        states = [stack.containers()[name]["State"] for name in services]
        return all(
            state["Status"] == "running" and state.get("Health", {}).get("Status") != "starting" for state in states
        )

    until(well, "all are up again", 90)


def test_a_rotated_secret_holds_after_a_restart_and_the_old_one_no_more(stack: Staging) -> None:
    old = stack.secret("prometheus_password")
    rotated = stack.rotate("prometheus_password")
    assert stack.secret("prometheus_password") in rotated
    stack.run("up", "-d", "--wait", "--force-recreate", "--no-deps", "secrets", "prometheus")
    path = "/prometheus/api/v1/query?query=1"
    with stack.client() as client:
        assert client.get(path, auth=("operator", old)).status_code == 401
        assert client.get(path, auth=("operator", stack.secret("prometheus_password"))).status_code == 200


def test_an_emptied_machine_has_everything_again(stack: Staging) -> None:
    key = _key(stack, "restored")

    def found() -> bool:
        with stack.client(headers=key) as user:
            session = user.post("/api/v1/chat/sessions").json().get("session_id")
            question = {"content": "How old is the lighthouse?"}
            answer = user.post(f"/api/v1/chat/sessions/{session}/messages", json=question).json()
            return "lighthouse.txt" in [source["filename"] for source in answer.get("sources", ())]

    def samples(before: float) -> Any:
        query = f'up{{job="prometheus"}}[10m] @ {before}'
        with stack.client(auth=("operator", stack.secret("prometheus_password"))) as operator:
            answer = operator.get("/prometheus/api/v1/query", params={"query": query})
            return answer.json()["data"]["result"] if answer.is_success else None

    with stack.client(headers=key) as user:
        file = {"file": ("lighthouse.txt", b"The lighthouse is ninety years old. " * 20)}
        until(lambda: user.post("/api/v1/documents", files=file).status_code == 202, "the key is known", 30)
    until(found, "the document is found", 60)
    at = time.time()
    before = samples(at)
    assert before
    archive = stack.back_up()[-1]
    stack.run("down", "-v")
    (stack.folder / "root.crt").unlink()  # the gateway's authority is gone with the rest
    restored = subprocess.run(
        [sys.executable, "-m", "scripts.backup", "restore", str(archive)],
        cwd=stack.folder,
        env={**stack.environment, "COMPOSE": shlex.join(stack.compose)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert restored.returncode == 0, restored.stdout + restored.stderr
    stack.run("up", "-d", "--wait", "--wait-timeout", "300")
    until(found, "the key and the document are known again", 60)
    until(lambda: samples(at) == before, "Prometheus has the same samples", 60)


def _key(stack: Staging, name: str) -> dict[str, str]:
    """The header of a new API key."""
    make = ("python", "-m", "app.keys", "make", name, "--scopes", "chat,documents")
    return {"Authorization": f"Bearer {stack.run('exec', '-T', 'backend', *make).strip()}"}
