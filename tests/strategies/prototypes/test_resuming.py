"""Contrastive and prototype methods resume in the middle of a stream to the same bits, both views included."""

import pytest

import cl_engine
from tests.stopping import StopAfter


@pytest.mark.parametrize(
    "strategy",
    [
        {"kind": "prd", "teacher_mode": "training"},
        {"kind": "supcon-finetune"},
        {"kind": "scr", "total": 20},
        {"kind": "co2l", "total": 20},
        {"kind": "pass"},
        {"kind": "fecam"},
    ],
    ids=lambda strategy: strategy["kind"],
)
def test_a_run_that_was_stopped_ends_in_the_bits_of_one_that_was_not(strategy, tmp_path):
    scenario = {
        "data": "digits",
        "stream": {"kind": "class-incremental", "step": 5},
        "strategy": strategy,
        "training": {"epochs": 1, "batch_size": 128, "augmentation": "prd"},
    }
    whole = cl_engine.run(scenario, out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        cl_engine.run(scenario, out=tmp_path / "stopped", reporter=StopAfter(1))
    resumed = cl_engine.run(scenario, out=tmp_path / "stopped", resume=True)
    files = [(run.directory / "checkpoint.safetensors").read_bytes() for run in (whole, resumed)]
    assert files[0] == files[1]
    assert resumed.metrics == whole.metrics
