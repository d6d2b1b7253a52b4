"""Who comes from another project is told the name here, not one that is spelt alike."""

import re

import pytest

from cl_engine import ConfigError, Scenario
from cl_engine.kinds.elsewhere import ELSEWHERE
from cl_engine.kinds.registry import kinds


def message(name):
    with pytest.raises(ConfigError) as refused:
        Scenario.load({"data": "digits", "strategy": name})
    return str(refused.value)


def test_der_is_not_taken_for_er_but_for_both_methods_of_that_name():
    assert "did you mean" not in message("der")
    assert "'der', which is `dark-er` (Buzzega et al., Mammoth, Avalanche) or `der-expandable` (Yan" in message(
        "der"
    )


@pytest.mark.parametrize(("name", "here"), [("DERpp", "dark-er"), ("Naive", "finetune"), ("ewc_on", "ewc")])
def test_the_letters_of_another_project_do_not_hide_its_name(name, here):
    assert f"there is no strategy {name!r}, which is `{here}` here; allowed: " in message(name)


@pytest.mark.parametrize(("name", "here"), [("iCaRL", "icarl"), ("ER_ACE", "er-ace"), ("LwF", "lwf")])
def test_large_letters_are_no_other_name(name, here):
    assert f"did you mean {here!r}?" in message(name)


def test_every_name_from_elsewhere_leads_to_what_is_registered_and_is_not_registered_itself():
    for package, names in ELSEWHERE.items():
        led = {here for words in names.values() for here in re.findall("`([^`]+)`", words)}
        assert led <= set(kinds(package))
        assert not set(names) & set(kinds(package))
