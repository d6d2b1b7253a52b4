"""Sweeps: many runs of one scenario with some keys varied, each of them a run directory of its own."""
