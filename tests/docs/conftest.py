"""Every test of a page has a project of its own."""

import os

from support.project import mlflow_schema, project

# Gradient boosting spins while it waits for a core; with other tests beside it that takes most of its time.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__all__ = ["mlflow_schema", "project"]
