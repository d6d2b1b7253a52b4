"""The scenario file: text with places, keys, checks, and the scenario that passed them."""
