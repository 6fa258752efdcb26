"""Server-sent events, as far as the chat's streams use them."""

import json
from typing import Any


class Events:
    """Puts lines together into events."""

    def __init__(self) -> None:
        self._name = "message"
        self._data: list[str] = []

    def feed(self, line: str) -> tuple[str, Any] | None:
        """The event (name, JSON data) that this line ends, if it ends one.

        Raises `ValueError` when its data is not JSON.
        """
        if not line:
            name, data = self._name, self._data
            self._name, self._data = "message", []
            return (name, json.loads("\n".join(data))) if data else None
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._name = value
        elif field == "data":
            self._data.append(value)
        return None
