"""Exemplars: which samples are kept for rehearsal, within slots, quotas and bytes."""
