"""The site is made of the code and of docs/: every page is reached, every link leads somewhere, nothing is stale."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cl_engine.kinds.registry import kinds

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def generated():
    spec = importlib.util.spec_from_file_location("generated", DOCS / "generated.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_in_the_index_of_the_site():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    written = {file.relative_to(DOCS).with_suffix("").as_posix() for file in DOCS.rglob("*.md")} - {"index"}
    by_hand = {name for name in written if not name.startswith(("methods/", "reference/"))}
    listed = set(re.findall(r"^[\w/-]+$", index, re.M))
    assert listed == by_hand | {"methods/index", "reference/index"}


def test_the_page_of_a_method_has_its_row_its_bytes_and_its_options(generated):
    page = generated.method("ewc")
    assert "| source | Kirkpatrick et al., PNAS 2017" in page
    assert "(../strategies.md#regularising-methods)" in page
    assert re.search(
        r"^importance +held +104,488 ", page, re.M
    )  # 4 bytes each of 64·128 + 128·128 + 128·10 and biases
    assert "| `penalty` | `online` | online or separate | one penalty that moves along" in page
    assert ".. autofunction:: cl_engine.strategies.regularisation.ewc.squared_gradients" in page


def test_a_method_that_cannot_be_planned_says_why(generated, monkeypatch):
    monkeypatch.setitem(generated.PLANNED, "stream", {"step": 99})
    assert generated.held("ncm").startswith("not planned: ")


def test_the_index_of_methods_has_every_strategy_once(generated):
    lines = generated.method_index().splitlines()
    assert {kind: lines.count(kind) for kind in kinds("strategies")} == dict.fromkeys(kinds("strategies"), 1)


def test_the_page_of_commands_has_the_options_of_each(generated):
    page = generated.commands()
    assert "\n## cl-engine doctor\n" in page
    assert "--limit SECONDS" in page
    assert "Usage: cl-engine cache" in page


def test_the_reference_has_every_public_name(generated):
    import cl_engine.losses

    page = generated.module("cl_engine.losses")
    assert re.findall(r"auto\w+:: cl_engine\.losses\.(\w+)", page) == cl_engine.losses.__all__


def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("sphinx", reason="needs the docs extra")
    pytest.importorskip("myst_parser", reason="needs the docs extra")
    shutil.copytree(DOCS, tmp_path / "docs")  # pages that are made of the code are written beside the others
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "docs", "site"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "methods" / "icarl.html").exists()
