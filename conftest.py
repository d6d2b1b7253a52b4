"""Doctests of modules that import Avalanche are left out where it is not installed, as it is no dependency."""

import importlib.util

there = importlib.util.find_spec("avalanche") is not None
collect_ignore_glob = [] if there else ["cl_engine/adapters/avalanche/*"]
