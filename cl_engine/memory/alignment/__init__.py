"""Alignment: what a model is worth in exemplars, and what growing networks will hold."""
