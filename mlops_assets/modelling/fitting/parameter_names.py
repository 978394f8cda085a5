"""Parameters of an estimator by the names that a declaration gives them, at any depth of its Pipeline."""

import inspect
from collections.abc import Mapping
from typing import Any

from mlops_assets.errors import DeclarationError
from mlops_assets.text import did_you_mean, shown


def full_name(name: str, pipeline: Any) -> str:
    """Return the name for `Pipeline.set_params`: "step__name" as it is, else of the last step's estimator.

    If that estimator lacks the parameter and holds another, as for thresholds, calibration or labels, the inner one's
    is meant. Raises `DeclarationError` for an unknown parameter.
    """
    known = pipeline.get_params(deep=True)
    if name in known and "__" in name:
        return name
    last = str(pipeline.steps[-1][0])
    within = {path: part for path, part in known.items() if path.startswith(f"{last}__") and hasattr(part, "fit")}
    for path, part in {last: known[last], **dict(sorted(within.items(), key=lambda item: item[0].count("__")))}.items():
        # CatBoost lists only the parameters that were set.
        if f"{path}__{name}" in known or name in (signature_of(type(part).__init__) or ()):
            return f"{path}__{name}"
    own = {key.rpartition("__")[2] for key in known if key.startswith(f"{last}__")}
    raise DeclarationError(f"{type(known[last]).__name__} has no parameter {shown(name)}. {did_you_mean(name, own)}")


def full_names(params: Mapping[str, Any], pipeline: Any) -> dict[str, Any]:
    """Return the same parameters by their full names."""
    return {full_name(name, pipeline): value for name, value in params.items()}


def params_of(estimator: Any) -> dict[str, Any]:
    """Return the parameters of an estimator and of its inner ones, as sklearn names them; empty if it names none."""
    try:
        return dict(estimator.get_params(deep=True))
    except (AttributeError, TypeError):
        return {}


def signature_of(function: Any) -> Mapping[str, inspect.Parameter] | None:
    """Return the parameters that a function or class takes; None for some that are written in C."""
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return None
