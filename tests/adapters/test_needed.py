"""Without Avalanche, or with one that does not fit the torch beside it, one line says which command mends it."""

import sys

import pytest

from cl_engine.adapters.avalanche.needed import AvalancheError, need_avalanche
from cl_engine.config.scenario import ConfigError, Scenario


@pytest.fixture
def imports_as(tmp_path, monkeypatch):
    """Let a package of this source stand where Avalanche does."""

    def stand_in(source):
        for name in [name for name in sys.modules if name.partition(".")[0] == "avalanche"]:
            monkeypatch.delitem(sys.modules, name)
        if source is None:
            monkeypatch.setitem(sys.modules, "avalanche", None)
            return
        (tmp_path / "avalanche").mkdir()
        (tmp_path / "avalanche" / "__init__.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)

    return stand_in


def test_a_missing_avalanche_is_one_line_with_the_command_that_installs_it(imports_as):
    imports_as(None)
    with pytest.raises(ConfigError, match="Avalanche is not installed; allowed: after pip install") as error:
        Scenario.load({"data": "digits", "strategy": "avalanche"})
    assert "\n" not in str(error.value)


def test_a_torch_that_its_torchvision_does_not_fit_is_named(imports_as):
    imports_as("raise RuntimeError('operator torchvision::nms does not exist')")
    with pytest.raises(
        AvalancheError, match=r"nms does not exist; .* allowed: after pip install --force-reinstall"
    ):
        need_avalanche()


def test_something_else_that_is_missing_is_named(imports_as):
    imports_as("import no_such_package_at_all")
    with pytest.raises(AvalancheError, match="needs no_such_package_at_all, which is missing"):
        need_avalanche()
