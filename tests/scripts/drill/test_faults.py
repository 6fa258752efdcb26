"""Faults strike what they say, no more, and are over when they say so."""

from typing import cast

import psutil
import pytest

from scripts.drill.faults import CannotMake, memory_taken
from scripts.drill.stacks import Stack

NO_STACK = cast(Stack, None)


def test_memory_is_taken_to_the_percent_and_given_back() -> None:
    memory = psutil.virtual_memory()
    with memory_taken(memory.percent + 4, least=1).make(NO_STACK):
        (holder,) = [one for one in psutil.Process().children() if "scripts.drill.memory" in " ".join(one.cmdline())]
        with open(f"/proc/{holder.pid}/oom_score_adj") as score:
            assert score.read().strip() == "1000", "should there be too little, it is the first to go"
        taken = holder.memory_info().rss / memory.total
        assert taken == pytest.approx(0.04, abs=0.02), "others take and give back a little meanwhile"
    assert not holder.is_running()


def test_memory_is_not_taken_where_too_little_would_be_left() -> None:
    with pytest.raises(CannotMake, match="would be left"), memory_taken(88, least=2**50).make(NO_STACK):
        pytest.fail("it was taken")
