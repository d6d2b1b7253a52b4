"""The site, by Sphinx: pip install -e '.[docs]' && sphinx-build -W --keep-going docs site"""

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import generated  # noqa: E402

import cl_engine  # noqa: E402

generated.write(HERE)

project = "cl-engine"
copyright = "the cl-engine authors, MIT licence"
version = release = cl_engine.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3  # which links to headings of other pages are checked against
default_role = "code"  # in docstrings a word in single backticks is an option, a value or a file
napoleon_use_ivar = True  # attributes are told once, where the class describes them
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
html_theme = "furo"
html_title = f"cl-engine {version}"


def setup(app: Any) -> None:
    """Leave out the fields of named tuples: what they are stands in the docstring of the class."""
    app.connect("autodoc-skip-member", lambda app, what, name, obj, skip, options: skip or is_field(obj))


def is_field(member: object) -> bool:
    """Return whether a member is nothing but the place of a value in a named tuple."""
    return (getattr(member, "__doc__", None) or "").startswith("Alias for field number")
