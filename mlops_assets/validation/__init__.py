"""Judges one batch: the contract that always comes first, and suites of expectations."""
