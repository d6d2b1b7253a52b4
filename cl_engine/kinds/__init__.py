"""Kinds and their options: what a scenario names, read from signatures."""
