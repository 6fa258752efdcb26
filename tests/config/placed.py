"""What scripts/staging/place.sh gives to each service, in a folder of the test's own instead of in volumes."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from scripts.addresses import PROJECT
from scripts.staging import certificates
from scripts.staging.secrets import make

#: What docker-compose.staging.yml and docker-compose.tls.yml mount below /config.
CONFIGURATIONS = (
    "prometheus/prometheus.yml", "loki/loki.yml", "tempo/tempo.yml", "promtail/promtail.yml", "monitoring/alertmanager",
    "grafana/provisioning", "alloy/containers.alloy",
)  # fmt: skip


@dataclass(frozen=True)
class Placed:
    """The folders that are /run/secrets, one a service."""

    folder: Path

    def services(self) -> list[str]:
        """Those that were given anything."""
        return sorted(path.name for path in self.folder.iterdir() if any(path.iterdir()))

    def text(self, service: str, file: str) -> str:
        """A file as the service sees it."""
        return (self.folder / service / file).read_text()

    def here(self, service: str, file: str) -> Path:
        """The same for a program that runs here: /run/secrets is the service's folder."""
        copy = self.folder / service / f"here-{file}"
        text = self.text(service, file).replace("/run/secrets", str(self.folder / service))
        copy.write_text(text.replace("/etc/alertmanager", str(PROJECT / "monitoring" / "alertmanager")))
        return copy


def placed(folder: Path, tls: bool) -> Placed:
    """Runs the script as the service `secrets` does, on secrets and certificates made for it."""
    make(folder / "from" / "staging")
    certificates.make(folder / "from" / "staging")
    (folder / "from" / "alertmanager").mkdir()
    (folder / "from" / "alertmanager" / "README.md").touch()  # as in the repository
    for name in CONFIGURATIONS:
        target = folder / "config" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (PROJECT / name).is_dir() else shutil.copy)(PROJECT / name, target)
    text = (PROJECT / "scripts" / "staging" / "place.sh").read_text()
    places = set(re.findall(r"secrets-([\w-]+):/places", "".join(p.read_text() for p in PROJECT.glob("docker-*.yml"))))
    for name in (*places, "gateway-data"):
        (folder / "places" / name).mkdir(parents=True)
    text = re.sub(r"/(places|from|config)/", rf"{folder}/\1/", text)
    text = text.replace("/tmp/placed", f"{folder}/placed").replace("exec sleep infinity", "")
    script = folder / "place.sh"
    script.write_text(f"chown() {{ :; }}\n{text}")
    environment = {"PATH": os.environ["PATH"], **({"TLS_BETWEEN_PARTS": "1"} if tls else {})}
    said = subprocess.run(["sh", script], env=environment, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert (folder / "placed").exists()
    return Placed(folder / "places")
