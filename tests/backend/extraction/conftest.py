from collections.abc import Iterator

import pytest

from app.services.extraction import Format, Limits, RejectedDocument, close, extract, validate


@pytest.fixture(scope="session", autouse=True)
def no_reader_left_behind() -> Iterator[None]:
    yield
    close()


@pytest.fixture
def limits() -> Limits:
    return Limits()


class Refusals:
    """Reads what has to be refused and returns why."""

    def __call__(self, content: bytes, format: Format, limits: Limits | None = None) -> RejectedDocument:
        with pytest.raises(RejectedDocument) as caught:
            extract(content, format, limits or Limits())
        return caught.value

    def at_once(self, content: bytes, format: Format, limits: Limits | None = None) -> RejectedDocument:
        """The same before the upload is answered: by `validate` alone."""
        with pytest.raises(RejectedDocument) as caught:
            validate(content, format, limits or Limits())
        return caught.value


@pytest.fixture
def refused() -> Refusals:
    return Refusals()
