"""One question to one store over HTTP, and the words for what goes wrong."""

from typing import Any

import httpx

from scripts.find.model import SourceError

#: Seconds: a week of lines is read in a few.
TIMEOUT = 60.0


class Server:
    """A store behind HTTP on this machine."""

    def __init__(self, name: str, address: str) -> None:
        self.name = f"{name} at {address}"
        # This machine is asked: without the environment's proxy, and without certificates, which take long to load.
        limits = httpx.Timeout(TIMEOUT, connect=2.0)
        self._client = httpx.Client(base_url=address, timeout=limits, trust_env=False, verify=False)  # noqa: S501

    def get(self, path: str, **parameters: str | int) -> Any:
        """The JSON of an answer. Raises SourceError."""
        try:
            answer = self._client.get(path, params=parameters)
        except httpx.ConnectError:
            raise SourceError(f"{self.name} does not run") from None
        except httpx.HTTPError as error:
            raise SourceError(f"{self.name} does not answer: {type(error).__name__}") from None
        if not answer.is_success:
            raise SourceError(f"{self.name} answers {answer.status_code}: {answer.text.strip()[:200]}")
        try:
            return answer.json()
        except ValueError:
            raise SourceError(f"{self.name} answers with something that is not JSON") from None
