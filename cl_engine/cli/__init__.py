"""The command line: one command a file."""

from cl_engine.cli.app import main

__all__ = ["main"]
