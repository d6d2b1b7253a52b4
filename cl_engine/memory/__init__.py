"""Memory: what a strategy holds (ledger), what it may hold (budget), and exemplars chosen to fit."""
