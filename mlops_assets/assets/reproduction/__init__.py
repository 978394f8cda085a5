"""A version fitted again from what was recorded of it."""
