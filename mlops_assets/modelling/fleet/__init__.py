"""Thousands of small models of one shape in one estimator, which sends each row to the model of its segment."""

from typing import TYPE_CHECKING

from mlops_assets.faces import face

if TYPE_CHECKING:
    from mlops_assets.modelling.fleet.model import FleetModel as FleetModel
    from mlops_assets.modelling.fleet.table import segment_table as segment_table

_MODULES = {"FleetModel": "model", "segment_table": "table"}
__all__ = sorted(_MODULES)
__getattr__ = face("mlops_assets.modelling.fleet", _MODULES)  # the estimator's base class is scikit-learn's
