"""What models are judged by: the metrics of the pack, those of scikit-learn and the user's own, with intervals."""

from typing import TYPE_CHECKING

from mlops_assets.faces import face

if TYPE_CHECKING:
    from mlops_assets.modelling.metrics.built_in import METRICS as METRICS
    from mlops_assets.modelling.metrics.built_in import class_numbers as class_numbers
    from mlops_assets.modelling.metrics.by_name import default_metrics as default_metrics
    from mlops_assets.modelling.metrics.by_name import metric as metric
    from mlops_assets.modelling.metrics.by_name import scores as scores
    from mlops_assets.modelling.metrics.by_name import suited as suited
    from mlops_assets.modelling.metrics.definition import Metric as Metric

_FOUND_IN = {
    **dict.fromkeys(("METRICS", "class_numbers"), "built_in"),
    **dict.fromkeys(("default_metrics", "metric", "scores", "suited"), "by_name"),
    "Metric": "definition",
}
__all__ = sorted(_FOUND_IN)
__getattr__ = face("mlops_assets.modelling.metrics", _FOUND_IN)
