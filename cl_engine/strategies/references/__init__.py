"""References: the lower and the upper bound."""
