"""A Python callable as a source."""
