"""What docker-compose.staging.yml needs before it can start: secrets, and a look at the machine."""

from scripts.addresses import PROJECT

#: One file a secret, mode 0600, not in the repository.
FOLDER = PROJECT / "secrets" / "staging"
#: The command that the advice of both programs begins with.
COMPOSE = "docker compose -f docker-compose.yml -f docker-compose.staging.yml"
