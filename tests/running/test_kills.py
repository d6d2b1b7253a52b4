"""Kills at random moments change nothing, whatever is run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def killed(kills, folder):
    command = [sys.executable, "-m", "tests.running.kills", str(kills), str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


def test_thirty_kills_over_twenty_configurations_end_in_the_same_bits(tmp_path):
    assert killed(30, tmp_path).startswith("30 kills, ")


@pytest.mark.slow
@pytest.mark.skipif("not config.getoption('-m')", reason="takes minutes; run it with -m slow")
def test_a_thousand_kills_over_twenty_configurations_end_in_the_same_bits(tmp_path):
    assert killed(1000, tmp_path).startswith("1000 kills, ")
