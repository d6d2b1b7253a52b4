"""Kills at random moments change nothing, whatever is run."""

import pytest

from tests.running.kills import in_a_process


def test_thirty_kills_over_twenty_configurations_end_in_the_same_bits(tmp_path):
    assert in_a_process(30, tmp_path)[-1].startswith("30 kills, ")


@pytest.mark.slow
@pytest.mark.skipif("not config.getoption('-m')", reason="takes minutes; run it with -m slow")
def test_a_thousand_kills_over_twenty_configurations_end_in_the_same_bits(tmp_path):
    assert in_a_process(1000, tmp_path)[-1].startswith("1000 kills, ")
