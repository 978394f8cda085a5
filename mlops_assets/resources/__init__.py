"""Wrappers of what others wrote: MLflow, Great Expectations, Evidently, files."""
