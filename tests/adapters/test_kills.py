"""A process that is killed in the middle of a stream with a strategy of Avalanche loses nothing that was finished."""

import re

import pytest

pytestmark = pytest.mark.avalanche
pytest.importorskip("avalanche", reason="needs the avalanche extra")

from tests.adapters.avalanche import scenario  # noqa: E402
from tests.running.kills import in_a_process  # noqa: E402

RUNS = (("Replay", "class-incremental"), ("Replay", "online"), ("EWC", "repeating"))


def test_runs_that_are_killed_in_the_middle_and_started_again_end_in_the_same_bits(tmp_path):
    scenarios = [{"name": f"{name}-{stream}", **scenario(name, stream)} for name, stream in RUNS]
    *each, total = in_a_process(6, tmp_path, scenarios)
    assert all(int(re.search(r"(\d+) in the middle", line)[1]) > 0 for line in each)
    assert int(total.split()[0]) >= 6
    assert total.endswith("resumed to the same bits, 3 configurations")
