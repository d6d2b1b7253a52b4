"""Rehearsal: exemplars of the past beside the samples of the present."""
