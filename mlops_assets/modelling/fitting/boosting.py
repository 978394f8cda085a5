"""XGBoost, LightGBM and CatBoost by their scikit-learn interfaces: quiet, seeded, and with labels of any kind."""

import sys
from typing import Any

from mlops_assets.lazy import sklearn
from mlops_assets.modelling.fitting.parameter_names import params_of

_MODULES = ("xgboost", "lightgbm", "catboost")
_CATBOOST_TALKS = ("verbose", "silent", "logging_level", "verbose_eval")


def settled(estimator: Any, seed: int) -> Any:
    """Return the estimator with the settings that a run needs, unless it has its own; others are returned unchanged.

    LightGBM and CatBoost print nothing; CatBoost writes no files and gets the seed. XGBoost takes classes 0 to k-1
    only; CatBoost returns some as text. As the one voter of a soft vote they get numbers, and labels come out.
    """
    module = type(estimator).__module__.partition(".")[0]
    if module not in _MODULES:
        return estimator
    given = estimator.get_params()
    if module == "lightgbm" and not {"verbose", "verbosity"} & {*given}:
        estimator.set_params(verbosity=-1)
    if module == "catboost":
        estimator.set_params(**_of_catboost(given, seed))
    if module == "lightgbm" or not sklearn.base.is_classifier(estimator):
        return estimator
    return sklearn.ensemble.VotingClassifier([("model", estimator)], voting="soft")


def _of_catboost(given: dict[str, Any], seed: int) -> dict[str, Any]:
    wanted: dict[str, Any] = {} if "allow_writing_files" in given else {"allow_writing_files": False}
    if not any(name in given for name in _CATBOOST_TALKS):
        wanted["verbose"] = False
    if not {"random_seed", "random_state"} & {*given}:
        wanted["random_seed"] = seed
    return wanted


def requirements(model: Any) -> list[str]:
    """Return requirements "name==version" of those of the three libraries that a fitted Pipeline uses."""
    used = {type(part).__module__.partition(".")[0] for part in [model, *params_of(model).values()]}
    return [f"{name}=={sys.modules[name].__version__}" for name in _MODULES if name in used]
