"""Expansion: the network grows with the stream."""
