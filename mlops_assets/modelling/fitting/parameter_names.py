"""Parameters of an estimator by the names that a declaration gives them, wherever in its Pipeline they are."""

import inspect
from collections.abc import Mapping
from typing import Any

from mlops_assets.errors import DeclarationError
from mlops_assets.text import did_you_mean, shown


def full_name(name: str, pipeline: Any) -> str:
    """A parameter as `Pipeline.set_params` takes it: of a step by "step__name", else of the estimator in the last step.

    Where that estimator holds another, as the one for thresholds, calibration or labels does, and has no such parameter
    itself, it is that of the one within. Raises `DeclarationError` where there is none.
    """
    known = pipeline.get_params(deep=True)
    if name in known and "__" in name:
        return name
    last = str(pipeline.steps[-1][0])
    within = {path: part for path, part in known.items() if path.startswith(f"{last}__") and hasattr(part, "fit")}
    for path, part in {last: known[last], **dict(sorted(within.items(), key=lambda each: each[0].count("__")))}.items():
        if f"{path}__{name}" in known or name in _taken(part):
            return f"{path}__{name}"
    own = {key.rpartition("__")[2] for key in known if key.startswith(f"{last}__")}
    raise DeclarationError(f"{type(known[last]).__name__} has no parameter {shown(name)}. {did_you_mean(name, own)}")


def full_names(params: Mapping[str, Any], pipeline: Any) -> dict[str, Any]:
    """The same parameters by their full names."""
    return {full_name(name, pipeline): value for name, value in params.items()}


def _taken(estimator: Any) -> Mapping[str, Any]:
    """Parameters of the constructor: CatBoost lists only those that were given."""
    try:
        return inspect.signature(type(estimator).__init__).parameters
    except (TypeError, ValueError):
        return {}
