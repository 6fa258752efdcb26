"""From a service to the process that stands for it."""

import subprocess
from pathlib import Path

import pytest

from scripts.local import plan as planning
from scripts.local.compose import Service, load
from scripts.local.plan import MARK, Plan, Process
from scripts.local.programs import Found, Missing
from scripts.local.substitute import Folders

COMPOSE = """
services:
  web:
    image: web:1
    command: [--config=/etc/web/web.yml, --data=/data]
    environment: {LIMIT: 50MiB, LOGS: /app/logs, STORE: "http://store:5000"}
    volumes: ["./web.yml:/etc/web/web.yml:ro", "web-data:/data", "logs:/app/logs"]
    ports: ["127.0.0.1:18080:80"]
    x-local:
      program: web
      port: 80
      ready: /ready
      arguments: [--listen=127.0.0.1:18080]
      environment: {STORE: sqlite, FILE: .data/web/file}
  app:
    image: app:1
    command: [python, -m, pack.main, --peer=web:80]
    x-local: {program: python, folder: code, port: 18000}
  pages:
    image: pages:1
    x-local: {program: pages, names: [pages-server], home: true, command: [server, --homepath=HOME, --x=/y]}
  store:
    x-local: {instead: "a file"}
  lacking:
    volumes: ["./not-there.yml:/x.yml"]
    x-local: {program: web}
  gone:
    x-local: {program: gone}
  containers-only:
    image: x
"""


class Programs:
    """Stands for the finder: everything is there but `gone`."""

    def __init__(self, pages: str = "/opt/pages/bin/pages") -> None:
        self.pages = pages

    def find(self, service: Service) -> Found | Missing:
        if service.name == "gone":
            return Missing(("it is gone",), "bring it back")
        if service.name == "pages":
            return Found(Path(self.pages), Path("/opt/pages"), "1", "PATH")
        folder = Path("/opt/debian/usr") if service.name == "web" else None
        return Found(Path(f"/opt/{service.name}"), None, "1", "PATH", folder)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "docker-compose.yml").write_text(COMPOSE)
    (tmp_path / "web.yml").write_text("path: /data/x\n")
    (tmp_path / "code" / "pack").mkdir(parents=True)
    (tmp_path / "code" / "pack" / "main.py").write_text("print(1)\n")
    return tmp_path


def make(project: Path, programs: Programs | None = None, **given: str) -> Plan:
    finder = programs or Programs()
    return planning.make(load(project, {}), Folders(project), finder, given)  # type: ignore[arg-type]


def test_arguments_are_the_services_own_and_then_the_local_ones(project: Path) -> None:
    web = make(project).processes["web"]
    assert web.arguments == (
        "/opt/web",
        f"--config={project}/.run/config/web/etc/web/web.yml",
        f"--data={project}/.data/web-data",
        "--listen=127.0.0.1:18080",
    )
    assert web.ready == "http://127.0.0.1:18080/ready"


def test_the_local_environment_wins_and_paths_are_those_of_this_machine(project: Path) -> None:
    environment = make(project).processes["web"].environment
    assert environment == {
        "LIMIT": "50MiB",
        "LOGS": f"{project}/logs",
        "STORE": "sqlite",
        "FILE": f"{project}/.data/web/file",
        MARK: f"{project}/.run",
    }


def test_of_the_callers_environment_only_what_a_process_needs_is_passed_on(project: Path) -> None:
    environment = make(project, PATH="/bin", PORT="1", HTTPS_PROXY="p").processes["web"].environment
    assert (environment["PATH"], environment["HTTPS_PROXY"]) == ("/bin", "p")
    assert "PORT" not in environment


def test_volumes_are_made_before_the_program_needs_them(project: Path) -> None:
    make(project)
    assert (project / ".data" / "web-data").is_dir()
    assert (project / "logs").is_dir()


def test_a_python_service_runs_in_its_folder_without_its_images_python(project: Path) -> None:
    app = make(project).processes["app"]
    assert app.arguments == ("/opt/app", "-m", "pack.main", "--peer=127.0.0.1:18080")
    assert app.folder == project / "code"
    assert app.ready == ""


def test_a_program_is_started_where_it_has_to_be(project: Path) -> None:
    processes = make(project).processes
    assert processes["web"].folder == Path("/opt/debian/usr")
    assert processes["pages"].folder == project / ".run"


def test_a_program_with_a_home_is_told_where_it_is(project: Path) -> None:
    assert make(project).processes["pages"].arguments == (
        "/opt/pages/bin/pages",
        "server",
        "--homepath=/opt/pages",
        "--x=/y",
    )


def test_an_older_server_program_takes_no_subcommand(project: Path) -> None:
    old = make(project, Programs("/opt/pages/bin/pages-server")).processes["pages"]
    assert old.arguments == ("/opt/pages/bin/pages-server", "--homepath=/opt/pages", "--x=/y")


def test_what_cannot_run_is_named_and_the_rest_is_planned(project: Path) -> None:
    plan = make(project)
    assert set(plan.processes) == {"web", "app", "pages"}
    assert plan.missing["gone"].reasons == ("it is gone",)
    assert plan.missing["lacking"].reasons == ("it mounts ./not-there.yml, which is not there",)
    assert plan.instead == {"store": "a file"}


def test_an_optional_address_is_empty_where_its_service_does_not_run(project: Path) -> None:
    variables = (
        '{ABSENT: "http://gone:1", THERE: "http://web:80", ELSEWHERE: "http://host.example:1", NEEDED: "gone:1"}'
    )
    text = COMPOSE.replace("image: app:1", f"image: app:1\n    environment: {variables}")
    text = text.replace("folder: code,", "folder: code, optional: [ABSENT, THERE, ELSEWHERE],")
    (project / "docker-compose.yml").write_text(text)
    environment = make(project).processes["app"].environment
    assert environment["ABSENT"] == ""
    assert environment["THERE"] == "http://127.0.0.1:18080"
    assert environment["ELSEWHERE"] == "http://host.example:1", "an address of somebody else's is not ours to judge"
    assert environment["NEEDED"] == "127.0.0.1:1"


def digests(plan: Plan) -> dict[str, str]:
    return {name: process.digest for name, process in plan.processes.items()}


@pytest.mark.parametrize(
    ("file", "content", "changed"),
    [
        ("web.yml", "path: /data/y\n", {"web"}),
        ("code/pack/main.py", "print(2)\n", {"app"}),
        ("code/pack/more.html", "<p>", {"app"}),
        ("code/pack/__pycache__/main.pyc", "", set()),
        ("code/other.py", "", set()),
        ("docker-compose.yml", COMPOSE.replace("50MiB", "60MiB"), {"web"}),
        ("docker-compose.yml", COMPOSE.replace("/y]", "/z]"), {"pages"}),
    ],
)
def test_a_digest_changes_with_what_the_process_is_started_from_and_nothing_else(
    project: Path, file: str, content: str, changed: set[str]
) -> None:
    before = digests(make(project))
    (project / file).parent.mkdir(exist_ok=True)
    (project / file).write_text(content)
    after = digests(make(project))
    assert {name for name in before if before[name] != after[name]} == changed


def test_a_script_passes_any_character_on(tmp_path: Path) -> None:
    folder = tmp_path / "it's #1; %(x)s"
    folder.mkdir()
    awkward = "a 'quoted' \"word\" $HOME %s ; # \\ \n`x`"
    process = Process(
        "x", ("/bin/sh", "-c", 'printf "%s|%s|%s" "$A" "$1" "$PWD"', "-", awkward), {"A": awkward}, folder, ""
    )
    script = tmp_path / "script"
    script.write_text(process.script())
    answer = subprocess.run(["sh", str(script)], capture_output=True, text=True, check=True)
    assert answer.stdout == f"{awkward}|{awkward}|{folder}"
