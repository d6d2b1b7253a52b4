"""What the documentation shows runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import cl_engine
from cl_engine.config.document import parse

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.S)


@pytest.mark.parametrize(
    "page", [p for p in PAGES if blocks(p, "python") and p.name != "codecs.md"], ids=lambda p: p.name
)
def test_the_code_of_a_page_runs_from_top_to_bottom(page):
    names: dict = {}
    for block in blocks(page, "python"):
        exec(compile(block, page.name, "exec"), names)


def test_the_training_section_that_is_shown_is_valid():
    (block,) = blocks(ROOT / "docs" / "training.md", "yaml")
    training = parse(block, "training.md").tree["training"]
    cl_engine.Scenario.load({"data": "digits", "strategy": "finetune", "training": training})


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.name)
def test_an_example_runs(example, tmp_path):
    done = subprocess.run([sys.executable, str(example)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout
