"""Decisions on the segments of a fleet, many at once under one error budget."""
