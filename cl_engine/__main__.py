"""``python -m cl_engine`` is ``cl-engine``."""

from cl_engine.cli import main

if __name__ == "__main__":
    main()
