"""What a release brings beside the package says the same as the package."""

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

import cl_engine

ROOT = Path(__file__).parent.parent
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def matrix():
    spec = importlib.util.spec_from_file_location("install_matrix", ROOT / "tools" / "install_matrix.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_citation_has_what_its_format_asks_for_and_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert {"authors", "message", "title", "type"} <= {*citation}
    assert all({"name"} <= {*author} or {"family-names"} <= {*author} for author in citation["authors"])
    assert (citation["version"], citation["license"]) == (cl_engine.__version__, "MIT")
    assert f'\nversion = "{cl_engine.__version__}"\n' in PROJECT
    assert all(f'"{word}"' in PROJECT for word in citation["keywords"])


def test_the_image_is_built_from_files_that_exist_and_are_let_in():
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = {word for line in re.findall(r"^COPY (.+) \S+$", dockerfile, re.M) for word in line.split()}
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == let_in
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert {"pyproject.toml", "README.md", "LICENSE", "cl_engine"} <= copied  # what the build reads


def test_the_matrix_pins_every_package_of_the_core_at_its_lower_bound(matrix):
    pins = matrix.oldest()
    assert {"torch==2.4", "numpy==1.24", "typer==0.13"} <= {*pins}
    section = PROJECT.partition("\ndependencies = [")[2].partition("\n]")[0]
    assert len(pins) == len(section.strip().splitlines())


def test_the_matrix_has_every_python_from_the_oldest_supported_one_on(matrix):
    oldest = int(re.search(r'requires-python = ">=3\.(\d+)"', PROJECT)[1])
    tried = sorted({int(cell.python.partition(".")[2]) for cell in matrix.CELLS})
    assert tried == [*range(oldest, oldest + len(tried))]
    assert {(cell.torch, cell.age) for cell in matrix.CELLS} == {
        (torch, age) for torch in ("cpu", "full") for age in ("oldest", "newest")
    }


def test_an_interpreter_that_is_not_here_is_said_to_be(matrix):
    with pytest.raises(matrix.NotHere, match=r"not here: Python 3\.99"):
        matrix.interpreter("3.99")
