"""Doors to other frameworks; what they need is imported when it is asked for, and nowhere else."""
