"""Decisions on drift: whether a batch is distributed like the training rows, within a budget of false alarms."""
