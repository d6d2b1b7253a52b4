"""Distillation: the network as it was tells what to answer about old classes."""
