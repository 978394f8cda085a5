"""Thousands of small models of one shape in one estimator, which sends each row to the model of its segment."""

from typing import TYPE_CHECKING

from mlops_assets.faces import face

if TYPE_CHECKING:
    from mlops_assets.modelling.fleet.kept import fleet_of as fleet_of
    from mlops_assets.modelling.fleet.kept import keep_champions as keep_champions
    from mlops_assets.modelling.fleet.kept import take_back as take_back
    from mlops_assets.modelling.fleet.model import FleetModel as FleetModel
    from mlops_assets.modelling.fleet.row_loss import loss_metric as loss_metric
    from mlops_assets.modelling.fleet.row_loss import losses_of as losses_of
    from mlops_assets.modelling.fleet.row_loss import row_losses as row_losses
    from mlops_assets.modelling.fleet.table import segment_table as segment_table

_MODULES = {
    **dict.fromkeys(("fleet_of", "keep_champions", "take_back"), "kept"),
    "FleetModel": "model",
    **dict.fromkeys(("loss_metric", "losses_of", "row_losses"), "row_loss"),
    "segment_table": "table",
}
__all__ = sorted(_MODULES)
__getattr__ = face("mlops_assets.modelling.fleet", _MODULES)  # the estimator's base class is scikit-learn's
