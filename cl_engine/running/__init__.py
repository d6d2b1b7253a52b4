"""Running: a stream with its data, learning, its isolation, what is stored, the record."""
