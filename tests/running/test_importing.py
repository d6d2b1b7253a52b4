"""A module that runs a scenario at its top level, and that the scenario names."""

import subprocess
import sys

MODULE = """
import cl_engine, torch

class Mine(cl_engine.Strategy):
    def begin(self, task):
        self.hold("seen", torch.zeros(1))

    def learn(self, task, samples):
        self.seen += len(samples)

    def predict(self, x):
        return x.new_zeros(len(x), 10).float()

with open("imported", "a") as file:
    file.write(__name__ + "\\n")
cl_engine.run({"data": "digits", "strategy": "script:Mine", "memory": {"audit": "process"}})
"""


def test_a_script_that_names_itself_ends_instead_of_starting_itself_for_ever(tmp_path):
    (tmp_path / "script.py").write_text(MODULE)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1
    assert "under if __name__ == '__main__':" in done.stderr.splitlines()[-1]
    assert (tmp_path / "imported").read_text().split() == ["__main__", "script"]
