"""Evaluation: what a rebuilt strategy gets right."""
