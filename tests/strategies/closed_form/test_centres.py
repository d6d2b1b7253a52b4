"""What GKEAL says of centres that few samples make."""

import cl_engine


def notes(first):
    stream = {"kind": "class-incremental", "step": 10, "delivery": "online", "micro_batch": first}
    run = cl_engine.run({"data": "digits", "stream": stream, "strategy": {"kind": "gkeal", "width": 50}})
    return [note for note in run.to_dict()["notes"] if "centres" in note]


def test_centres_that_are_mixes_of_a_few_samples_are_told_of_once():
    (note,) = notes(7)
    assert "its 50 centres are drawn from and mixed of: 7;" in note
    assert notes(50) == []
