"""What the tests of `make up` and its companions share."""

from pathlib import Path

import pytest

from tests.scripts.machine import Machine, Maker


@pytest.fixture
def machine(tmp_path: Path) -> Maker:
    return lambda *programs: Machine(tmp_path, *programs)
