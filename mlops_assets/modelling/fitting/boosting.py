"""XGBoost, LightGBM and CatBoost by their scikit-learn interfaces: quiet, seeded, and with labels of any kind."""

import sys
from typing import Any

from mlops_assets.lazy import sklearn
from mlops_assets.modelling.fitting.parameter_names import params_of

_QUIET: dict[str, dict[tuple[str, ...], Any]] = {
    "xgboost": {},
    "lightgbm": {("verbosity", "verbose"): -1},
    "catboost": {("verbose", "silent", "logging_level", "verbose_eval"): False, ("allow_writing_files",): False},
}
"""By library: a parameter, with its other names, and the value that lets the library write nothing."""


def settled(estimator: Any, seed: int) -> Any:
    """Return the estimator with the settings that a run needs, unless it has its own; others are returned unchanged.

    LightGBM and CatBoost print nothing; CatBoost writes no files and gets the seed. XGBoost takes classes 0 to k-1
    only; CatBoost returns some as text. As the one voter of a soft vote they get numbers, and labels come out.
    """
    module = type(estimator).__module__.partition(".")[0]
    if module not in _QUIET:
        return estimator
    settings = _QUIET[module] | ({("random_seed", "random_state"): seed} if module == "catboost" else {})
    declared = estimator.get_params().keys()
    estimator.set_params(**{names[0]: value for names, value in settings.items() if declared.isdisjoint(names)})
    if module == "lightgbm" or not sklearn.base.is_classifier(estimator):
        return estimator
    return sklearn.ensemble.VotingClassifier([("model", estimator)], voting="soft")


def requirements(model: Any) -> list[str]:
    """Return requirements "name==version" of those of the three libraries that a fitted Pipeline uses."""
    used = {type(part).__module__.partition(".")[0] for part in [model, *params_of(model).values()]}
    return [f"{name}=={sys.modules[name].__version__}" for name in _QUIET if name in used]
