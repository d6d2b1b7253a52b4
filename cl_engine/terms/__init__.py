"""What a strategy is told: the terms of a run, and of one of its experiences."""
