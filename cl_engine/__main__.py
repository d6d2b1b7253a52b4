"""``python -m cl_engine`` is ``cl-engine``."""

from cl_engine.cli.app import main

main()
