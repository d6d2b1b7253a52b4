import inspect

import numpy as np
import pytest

from cl_engine.kinds.listing import options
from cl_engine.kinds.registry import load
from cl_engine.kinds.signature import describe
from cl_engine.kinds.validation import validate
from cl_engine.scenarios import KINDS


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "plan"])
def test_every_family_describes_itself_and_works_as_it_comes(kind):
    family = load("streams", kind)
    assert describe(family).endswith(".")
    assert all(option.description for option in options(family))
    assert inspect.signature(family).parameters["seed"].default == 0
    plan = family(np.arange(2000) % 100, **validate(family, {}))
    assert plan.samples == 2000
    assert len(plan.indices) > 0
