"""What an engineer declares of a model: its fields, their options, the versions of the declaration, and segments."""

from mlops_assets.declaration.model import Declaration
from mlops_assets.declaration.options import Drift, Fleet, Gates, Retraining, Search

__all__ = ["Declaration", "Drift", "Fleet", "Gates", "Retraining", "Search"]
