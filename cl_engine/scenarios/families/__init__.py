"""Stream families, one a file: who comes when."""
