"""TLS between the parts of staging: each that others reach serves it, and is asked by it, or is named with a reason."""

import json
import os
import re
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.addresses import PROJECT
from scripts.staging import certificates
from tests.config.placed import Placed, placed
from tests.programs import accepted, program, refusal

FILES = ("docker-compose.yml", "docker-compose.staging.yml", "docker-compose.tls.yml")
EXCEPTIONS: dict[str, str] = yaml.safe_load((PROJECT / FILES[2]).read_text())["x-without-tls"]
#: Services that listen for nobody.
CLIENTS = {"secrets", "traffic", "restore"}
#: A part's address without TLS.
PLAIN = re.compile(rf"http://({'|'.join(certificates.PARTS)})\b")


@pytest.fixture(scope="module")
def rendered() -> dict[str, Any]:
    command = [program("docker"), "compose", *(f"-f{file}" for file in FILES), "--profile", "*"]
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    said = subprocess.run(
        [*command, "config", "--format", "json"], cwd=PROJECT, env=environment, capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr
    services: dict[str, Any] = json.loads(said.stdout)["services"]
    return services


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Placed:
    return placed(tmp_path_factory.mktemp("tls"), tls=True)


def serves_tls(name: str, service: dict[str, Any], given: Placed) -> bool:
    """Whether a part is told to serve TLS, and nothing else, with the certificate that it is given."""
    command, environment = service.get("command") or [], service.get("environment") or {}
    flags = dict(flag.lstrip("-").split("=", 1) for flag in command if flag.startswith("-") and "=" in flag)
    own = "/run/secrets/tls.pem"
    if flags.get("tlsMode"):
        return (flags["tlsMode"], flags["tlsCertificateKeyFile"]) == ("requireTLS", own)
    if web := flags.get("web.config.file") or flags.get("web.config"):
        server = yaml.safe_load(given.text(name, Path(web).name))["tls_server_config"]
        return bool(server == {"cert_file": own, "key_file": own})
    if file := flags.get("config.file"):
        server = yaml.safe_load(given.text(name, Path(file).name))["server"]
        return server["http_tls_config"] == {"cert_file": own, "key_file": own} and (
            server["grpc_listen_address"] == "127.0.0.1"
        )
    if command and command[0] == "run":  # Alloy
        text = given.text(name, Path(command[1]).name)
        return bool(
            re.search(rf'^http {{\n  tls {{\n    cert_file = "{own}"\n    key_file  = "{own}"', text, re.MULTILINE)
        )
    if "QDRANT__TLS__CERT" in environment:
        return (environment["QDRANT__SERVICE__ENABLE_TLS"], environment["QDRANT__TLS__CERT"]) == ("true", own)
    if "GF_SERVER_PROTOCOL" in environment:
        return (environment["GF_SERVER_PROTOCOL"], environment["GF_SERVER_CERT_FILE"]) == ("https", own)
    return bool(environment.get("SERVER_CERTIFICATE_FILE") == own)


def test_each_part_that_others_reach_serves_tls_or_is_named_with_its_reason(
    rendered: dict[str, Any], given: Placed
) -> None:
    assert set(rendered) - CLIENTS - set(EXCEPTIONS) == set(certificates.PARTS)
    without = [name for name in certificates.PARTS if not serves_tls(name, rendered[name], given)]
    assert without == []
    assert all(len(reason) > 30 for reason in EXCEPTIONS.values())


def test_tempo_takes_spans_by_tls_alone(given: Placed) -> None:
    protocols = yaml.safe_load(given.text("tempo", "tempo.yml"))["distributor"]["receivers"]["otlp"]["protocols"]
    own = {"cert_file": "/run/secrets/tls.pem", "key_file": "/run/secrets/tls.pem"}
    assert [one["tls"] for one in protocols.values()] == [own, own]


def test_no_part_is_asked_without_tls(rendered: dict[str, Any], given: Placed) -> None:
    plain = [
        f"{service}/{path.name}: {found[0]}"
        for service in given.services()
        for path in (given.folder / service).rglob("*")
        if path.is_file()
        and path.name != "contact-points.yml"  # the exception of Grafana's own alerts
        and (found := PLAIN.search(path.read_text()))
    ]
    for name, service in rendered.items():
        if name != "traffic":  # it asks the gateway
            plain += [f"{name}: {found[0]}" for found in PLAIN.finditer(json.dumps(service))]
    assert plain == []


def test_each_scrape_goes_by_tls_to_the_name_of_its_part(given: Placed) -> None:
    config = yaml.safe_load(given.text("prometheus", "prometheus.yml"))
    jobs = {job["job_name"]: job for job in config["scrape_configs"] if job["job_name"] not in EXCEPTIONS}
    assert set(jobs) == set(certificates.PARTS) - {"mongodb"}
    for name, job in jobs.items():
        found_by_name = "dns_sd_configs" in job  # as addresses, which no certificate has
        wanted = {"ca_file": "/run/secrets/authority.pem"} | ({"server_name": name} if found_by_name else {})
        assert (job["scheme"], job["tls_config"]) == ("https", wanted), name
    (alerting,) = config["alerting"]["alertmanagers"]
    assert (alerting["scheme"], alerting["tls_config"]) == ("https", {"ca_file": "/run/secrets/authority.pem"})


def test_a_certificate_is_never_left_unverified(given: Placed) -> None:
    off = re.compile(
        r"insecure_skip_verify|tlsInsecure|tlsAllowInvalid|InsecureSkipVerify|tls_insecure|tlsSkipVerify|"
        r"no-check-certificate|verify ?= ?False|CERT_NONE|check_hostname|curl.* -k|--insecure",
        re.IGNORECASE,
    )
    folders = ("backend/app", "scripts/staging", "scripts/backup", "gateway", "alloy")
    looked_at = [path for folder in folders for path in (PROJECT / folder).rglob("*") if path.suffix != ".pyc"]
    looked_at += [*PROJECT.glob("docker-compose*.yml"), *given.folder.rglob("*.*")]
    found = [str(path) for path in looked_at if path.is_file() and off.search(path.read_text(errors="ignore"))]
    assert found == []


def test_each_health_check_asks_by_tls(rendered: dict[str, Any]) -> None:
    plain = {
        name: test
        for name in certificates.PARTS
        if (test := rendered[name].get("healthcheck", {}).get("test")) and "http://" in str(test)
    }
    assert set(plain) == {"node-exporter"}
    assert "400 Bad Request" in plain["node-exporter"][1]  # which is what a server with TLS says to that


@pytest.mark.parametrize("part", certificates.PARTS)
def test_a_part_is_given_its_own_certificate_for_its_own_name(given: Placed, part: str) -> None:
    folder = given.folder / part
    said = accepted("openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", str(folder / "tls.pem"))
    assert set(re.findall(r"(?:DNS|IP Address):(\S+?)(?:,|\s|$)", said)) == {part, "localhost", "127.0.0.1"}
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(folder / "tls.pem")  # with its key
    accepted("openssl", "verify", "-x509_strict", "-CAfile", str(folder / "authority.pem"), str(folder / "tls.pem"))
    assert "PRIVATE" not in (folder / "authority.pem").read_text()


def test_without_the_switch_nobody_is_given_a_certificate(tmp_path: Path) -> None:
    off = placed(tmp_path, tls=False)
    files = [path for path in off.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix == ".pem"]
    used = re.compile(
        r"^(?! *(#|//)).*(/run/secrets/(tls|authority)\.pem|https://(loki|tempo|prometheus):)", re.MULTILINE
    )
    assert [path.name for path in files if path.name != "check.yml" and used.search(path.read_text())] == []


def test_grafana_asks_every_data_source_by_tls(given: Placed) -> None:
    sources = yaml.safe_load(given.text("grafana", "provisioning/datasources/datasources.yml"))["datasources"]
    for one in sources:
        assert one["url"].startswith("https://"), one["name"]
        assert one["jsonData"]["tlsAuthWithCACert"] is True
        assert one["secureJsonData"]["tlsCACert"] == "$__file{/run/secrets/authority.pem}"
    passwords = [one["uid"] for one in sources if "basicAuthPassword" in one["secureJsonData"]]
    assert passwords == ["prometheus", "alertmanager"]


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "tls"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Placed:
    return placed(tmp_path_factory.mktemp("both"), tls=request.param)


def test_prometheus_and_alertmanager_accept_what_they_are_given(both: Placed) -> None:
    config = both.here("prometheus", "prometheus.yml")
    config.write_text(config.read_text().replace("/etc/prometheus/rules", str(PROJECT / "prometheus" / "rules")))
    accepted("promtool", "check", "config", "--lint=none", str(config))
    for part in ("prometheus", "alertmanager"):
        accepted("promtool", "check", "web-config", str(both.here(part, f"{part}_web.yml")))
    accepted("amtool", "check-config", str(both.here("alertmanager", "alertmanager.yml")))


def test_the_others_accept_what_they_are_given(both: Placed) -> None:
    refused = [
        refusal("loki", f"-config.file={both.here('loki', 'loki.yml')}", "-config.expand-env=true", "-verify-config"),
        refusal(
            "tempo", f"-config.file={both.here('tempo', 'tempo.yml')}", "-config.expand-env=true", "-config.verify=true"
        ),
    ]
    if (both.folder / "promtail" / "promtail.yml").exists():
        refused.append(refusal("promtail", f"-config.file={both.here('promtail', 'promtail.yml')}", "-check-syntax"))
    assert refused == ["", "", *([""] if len(refused) == 3 else [])]


def test_alloy_accepts_what_it_is_given(given: Placed) -> None:
    assert refusal("alloy", "validate", str(given.here("cadvisor", "containers.alloy"))) == ""


def test_the_gateway_accepts_what_it_is_given(both: Placed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGING_URL", "https://localhost:21444")
    text = (PROJECT / "gateway" / "staging.Caddyfile").read_text()
    for file in ("users.caddy", "parts.caddy", "tls.caddy"):
        text = text.replace(f"/run/secrets/{file}", str(both.here("gateway", file)))
    (both.folder / "Caddyfile").write_text(text)
    accepted("caddy", "validate", "--adapter", "caddyfile", "--config", str(both.folder / "Caddyfile"))
