"""The user's own metrics: functions and scorers that a declaration names as 'package.module:name'."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlops_assets.callables import EXPECTED, refuse_foreign, refuse_standard_library
from mlops_assets.dotted import resolve
from mlops_assets.errors import DeclarationError
from mlops_assets.text import shown


@dataclass(frozen=True, kw_only=True)
class OwnMetric:
    """`function(y_true, scored, **options)`; `scored` holds the model's predictions, or its probabilities.

    Labels are as they are in the data. For two classes the probability is of the greater one (n,), else (n, k).
    """

    name: str
    function: Callable[..., Any]
    greater_is_better: bool = False
    by_probability: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


def is_own(name: str) -> bool:
    """Return whether a metric's name is one of the user's own."""
    return ":" in name


def own_metric(name: str) -> OwnMetric:
    """Return the metric of a dotted name: a function (lower is better), or a result of sklearn's `make_scorer`.

    A function of an installed package counts if its first parameters are y_true and y_pred, y_score or the like. Raises
    `DeclarationError` if it is neither. Imports the module that it names, and nothing else.
    """
    refuse_standard_library(name, "metric")
    value = resolve(name)
    if inspect.isfunction(value):
        refuse_foreign(value, name, "metric")
        return OwnMetric(name=name, function=value)
    if inspect.isfunction(function := getattr(value, "_score_func", None)):
        return OwnMetric(
            name=name,
            function=function,
            greater_is_better=value._sign > 0,
            by_probability=value._response_method != "predict",
            options=value._kwargs,
        )
    raise DeclarationError(f"{shown(name)} is a {type(value).__name__}; expected {EXPECTED['metric']}")
