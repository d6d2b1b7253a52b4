"""Representations that stay comparable while the model changes, and what they are compared with."""
