"""Reports: from run directories to tables.

Numbers come from ``result.json``; files beside it say why a run has none, and how many samples were tested.
"""
