"""What a metric is: a function over all rows, and what a bootstrap needs of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mlops_assets.lazy import np
from mlops_assets.modelling.predictions import Predictions

Reweighted: TypeAlias = "Callable[[np.ndarray], np.ndarray]"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric as sklearn defines it, plus what a bootstrap needs.

    `function(y, predictions)` gives the metric over all rows; NaN if it is not defined (no rows, one class) or a
    prediction is NaN. `row_loss(y, predictions)` gives (n,) losses, lower is better, whose mean `from_mean` turns into
    the metric (elementwise on arrays). It is None for metrics that are not a function of a mean over rows.

    Many resamples at once: `from_means` turns means (m, k) of `row_statistics(y, predictions)` (n, k) into (m,)
    metrics. Rankings have `reweighted(y, predictions)` instead, from row weights (m, n) to (m,). Scorers of sklearn and
    the user's own metrics have neither. `influence(y, predictions)` (n,) is how much each row moves the metric, times
    n.
    """

    name: str
    greater_is_better: bool
    kind: Literal["regression", "classification"] | None  # None: either
    function: Callable[[np.ndarray, Predictions], float]
    row_loss: Callable[[np.ndarray, Predictions], np.ndarray] | None = None
    from_mean: Callable[[np.ndarray], np.ndarray] = lambda mean: mean
    row_statistics: Callable[[np.ndarray, Predictions], np.ndarray] | None = None
    from_means: Callable[[np.ndarray], np.ndarray] = lambda means: means[:, 0]
    reweighted: Callable[[np.ndarray, Predictions], Reweighted] | None = None
    influence: Callable[[np.ndarray, Predictions], np.ndarray] | None = None
    needs_probability: bool = False
