"""Decisions on performance: whether a champion decays, and what its metric probably is before labels are in."""
