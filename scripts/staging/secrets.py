"""`make secrets`: every secret of the staging overlay, a file each in secrets/staging, readable by their owner alone.

What is there already is kept. ROTATE=name makes one anew. What a person needs is printed when it is made, and never
again; what only programs need is never printed. The certificates of docker-compose.tls.yml are made along with them.
"""

import secrets
import sys
from pathlib import Path

import bcrypt

from scripts.addresses import setting
from scripts.staging import COMPOSE, COMPOSE_TLS, FOLDER, certificates, write

#: A person's name in front of Prometheus, Alertmanager, Loki, Tempo and the inbox.
PERSON = "operator"
#: What a person logs in with: file, and where.
FOR_PEOPLE = {
    "grafana_admin_password": "Grafana, as admin",
    "prometheus_password": f"/prometheus/, as {PERSON}",
    "alertmanager_password": f"/alertmanager/, as {PERSON}",
    "loki_password": f"/loki/, as {PERSON}",
    "tempo_password": f"/tempo/, as {PERSON}",
    "alert_inbox_password": f"/runbooks and /alerts, as {PERSON}",
}
#: Who else may ask a part that checks passwords itself.
CLIENTS = {
    "prometheus": ("prometheus", "grafana", "tempo"),
    "alertmanager": ("alertmanager", "prometheus", "grafana", "loki"),
}
#: What programs show each other, and the services to start anew when it has changed.
FOR_PROGRAMS = {
    "internal_token": "backend alert-inbox prometheus",
    "user_hash_key": "backend alert-inbox",
    "qdrant_api_key": "qdrant backend",
    "qdrant_read_only_api_key": "qdrant prometheus",
    "grafana_secret_key": "grafana",
    "grafana_metrics_password": "grafana prometheus",
    "mongodb_root_password": "mongodb",
    "mongodb_backend_password": "mongodb backend",
    "mongodb_exporter_password": "mongodb mongodb-exporter",
}
PARTS = "prometheus alertmanager loki tempo grafana gateway"
#: What a restart alone does not change, because it stands in a store.
BY_HAND = {
    "grafana_admin_password": f"{COMPOSE} exec grafana sh -c "
    "'grafana cli admin reset-admin-password --password-from-stdin </run/secrets/grafana_admin_password'",
    "grafana_secret_key": "what was typed into Grafana and is secret was encrypted with the old key: type it again",
    "mongodb_backend_password": f"{COMPOSE} exec mongodb mongosh --quiet /docker-entrypoint-initdb.d/users.js",
    "mongodb_exporter_password": f"{COMPOSE} exec mongodb mongosh --quiet /docker-entrypoint-initdb.d/users.js",
    "mongodb_root_password": f"{COMPOSE} exec mongodb mongosh -u root -p, with the old password, and there: "
    'db.getSiblingDB("admin").changeUserPassword("root", passwordPrompt())',
}
#: bcrypt's. The passwords are 256 random bits, which nobody finds by trying: a cost for people's own (12) would be
#: paid by every part's first request for nothing.
COST = 8


#: What is made from others.
DERIVED = ("mongodb_url", "mongodb_exporter_url", "prometheus_web.yml", "alertmanager_web.yml", "users.caddy")


def names() -> dict[str, str]:
    """Every secret that is made, with the services to start anew when it has changed."""
    pairs = {f"{part}_password_of_{client}": PARTS for part, clients in CLIENTS.items() for client in clients}
    return {**dict.fromkeys(FOR_PEOPLE, PARTS), **pairs, **FOR_PROGRAMS}


def make(folder: Path, rotate: str = "") -> list[str]:
    """Makes what is missing, and `rotate` anew; returns their names. ValueError for a name that there is not."""
    if rotate and rotate not in names():
        raise ValueError(
            f"ROTATE={rotate} names no secret: it is one of {', '.join((*names(), *certificates.names()))}"
        )
    made = [name for name in names() if name == rotate or not (folder / name).is_file()]
    for name in made:
        write(folder, name, secrets.token_urlsafe(32))
    newest = max((folder / name).stat().st_mtime_ns for name in names())
    files = [folder / name for name in DERIVED]
    if not all(file.is_file() and file.stat().st_mtime_ns >= newest for file in files):
        for name, text in derived(folder).items():
            write(folder, name, text)
    return made


def derived(folder: Path) -> dict[str, str]:
    """The files that are made from others: addresses with a password in them, and hashes of passwords."""

    def read(name: str) -> str:
        return (folder / name).read_text(encoding="ascii").strip()

    def hashed(name: str) -> str:
        return bcrypt.hashpw(read(name).encode(), bcrypt.gensalt(COST)).decode()

    def users(part: str) -> str:
        known = {PERSON: f"{part}_password"} | {client: f"{part}_password_of_{client}" for client in CLIENTS[part]}
        return "basic_auth_users:\n" + "".join(f"  {name}: {hashed(file)}\n" for name, file in known.items())

    gateway = ("loki", "tempo", "alert_inbox")  # those that check no passwords themselves
    backend, exporter = read("mongodb_backend_password"), read("mongodb_exporter_password")
    return {
        "mongodb_url": f"mongodb://backend:{backend}@mongodb:27017/?authSource=specola",
        "mongodb_exporter_url": f"mongodb://exporter:{exporter}@mongodb:27017/?authSource=admin",
        "prometheus_web.yml": users("prometheus"),
        "alertmanager_web.yml": users("alertmanager"),
        "users.caddy": "".join(
            f"({part}_users) {{\n\tbasic_auth {{\n\t\t{PERSON} {hashed(f'{part}_password')}\n\t}}\n}}\n"
            for part in gateway
        ),
    }


def main() -> int:
    """Makes them, and says what to do next."""
    rotate = setting("ROTATE")
    made: list[str] = []
    try:
        certificates.look()
        made = make(FOLDER, "" if rotate in certificates.names() else rotate)
        certified = certificates.make(FOLDER, rotate)
    except (ValueError, OSError) as error:
        _show(made)
        print(f"{'It is not done' if made else 'No secret was changed'}: {error}", file=sys.stderr)
        return 1
    print(f"{len(made)} of {len(names())} secrets made in {FOLDER.relative_to(FOLDER.parents[1])}/, mode 0600.")
    if certified:
        print(f"{len(certified)} of {len(certificates.files())} files of certificates, for docker-compose.tls.yml.")
    _show(made)
    if rotate in certificates.names():
        part = certificates.names()[rotate]
        which = f" --no-deps secrets {part}" if part else ""
        print(f"It holds after: {COMPOSE_TLS} up -d --wait --force-recreate{which}")
    elif rotate:
        print(f"It holds after: {COMPOSE} up -d --wait --force-recreate --no-deps secrets {names()[rotate]}")
        if rotate in BY_HAND:
            print(f"And, because a store keeps it: {BY_HAND[rotate]}")
        if "mongosh" in BY_HAND.get(rotate, ""):
            print("With docker-compose.tls.yml, mongosh takes --tls --tlsCAFile /run/secrets/authority.pem as well.")
    return 0


def _show(made: list[str]) -> None:
    for name in (name for name in made if name in FOR_PEOPLE):
        print(f"  {FOR_PEOPLE[name]:<34} {(FOLDER / name).read_text(encoding='ascii')}")
    if set(made) & set(FOR_PEOPLE):
        print("Keep what stands above: it is not shown again, and stands in the files alone.")


if __name__ == "__main__":
    sys.exit(main())
