"""What models are judged by: the metrics of the pack, those of scikit-learn and the user's own, with intervals."""

from mlops_assets.modelling.metrics.built_in import METRICS, class_numbers
from mlops_assets.modelling.metrics.by_name import default_metrics, metric, scores, suited
from mlops_assets.modelling.metrics.definition import Metric

__all__ = ["METRICS", "Metric", "class_numbers", "default_metrics", "metric", "scores", "suited"]
