"""Build one sklearn Pipeline, with its preprocessing, from a declared estimator: a name or a function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from mlops_assets.dotted import called
from mlops_assets.errors import DeclarationError
from mlops_assets.lazy import pd, sklearn
from mlops_assets.modelling import fleet
from mlops_assets.modelling.fitting.boosting import settled
from mlops_assets.modelling.fitting.parameter_names import params_of, signature_of
from mlops_assets.modelling.fitting.preprocessing import steps_for
from mlops_assets.modelling.problem import Problem
from mlops_assets.modelling.thresholds import ThresholdRule, with_threshold
from mlops_assets.text import did_you_mean, reason, shown


def build(
    estimator: str | Callable[..., Any],
    params: Mapping[str, Any],
    X: pd.DataFrame,
    problem: Problem,
    seed: int,
    y: pd.Series | None = None,
    rule: ThresholdRule | None = None,
) -> Any:
    """Return an unfitted Pipeline of the steps "preprocess" and "model" for the columns of `X` (n, columns).

    `estimator` is a dotted name, a class or a function that returns an estimator; a Pipeline that it returns is used
    unchanged. Every `random_state` that is None becomes `seed`. Columns are picked by name, so their order does not
    matter when scoring, and others are ignored. Numbers and booleans: kept, with NaN, for estimators that take NaN;
    else filled with the median and scaled. Text and categories: one-hot; categories with fewer than 10 rows or beyond
    30 share a column. Histogram gradient boosting: ordinal codes, NaN for unknown ones, and a step "varying" that drops
    columns without two values. Parameters that refer to columns, such as `monotonic_cst`, go by name. `rule`, with the
    labels `y` (n,) in order of time, wraps the estimator of the last step: calibration and a threshold. With a fleet
    the Pipeline is one step "fleet" that holds the others, which do not see the segment. Raises `DeclarationError` for
    what cannot be built, for an estimator of another problem, and for columns of times.
    """
    name = estimator if isinstance(estimator, str) else getattr(estimator, "__qualname__", type(estimator).__name__)
    built = _construct(called(estimator, "estimator") if isinstance(estimator, str) else estimator, params, name)
    _fits_problem(built, problem, name)
    if isinstance(built, sklearn.pipeline.Pipeline):
        pipeline = built
    else:
        *before, (step, last) = steps_for(_features(X, rule), built)
        pipeline = sklearn.pipeline.Pipeline([*before, (step, settled(last, seed))])
    if rule is not None and rule.applies and y is not None:
        step, last = pipeline.steps[-1]
        pipeline = sklearn.base.clone(pipeline).set_params(**{step: with_threshold(last, rule, problem, y)})
    if rule is not None and rule.fleet is not None:
        options = {**dict(rule.fleet), "metric": next(iter(rule.metrics), None), "seed": seed}
        pipeline = sklearn.pipeline.Pipeline([("fleet", fleet.FleetModel(pipeline, **options))])
    unset = [name for name, value in params_of(pipeline).items() if value is None]
    seeds = {name: seed for name in unset if name.rpartition("__")[2] == "random_state"}
    return pipeline.set_params(**seeds) if seeds else pipeline


def _features(X: pd.DataFrame, rule: ThresholdRule | None) -> pd.DataFrame:
    """Return the columns that the steps before the estimator see: all but the one that names the segment."""
    return X if rule is None or rule.fleet is None else X.drop(columns=dict(rule.fleet)["by"], errors="ignore")


def _construct(factory: Any, params: Mapping[str, Any], name: str) -> Any:
    if not callable(factory):
        raise DeclarationError(
            f"estimator {shown(name)} is a {type(factory).__name__}; expected a class or a function."
        )
    known = signature_of(factory)
    if known is not None and not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        for param in params:
            if param not in known:
                hint = did_you_mean(param, known)
                raise DeclarationError(f"estimator {shown(name)} takes no parameter {shown(param)}. {hint}")
    try:
        built = factory(**params)
    except Exception as error:  # the user's factory may raise anything
        raise DeclarationError(f"estimator {shown(name)} could not be built: {reason(error)}.") from error
    if not _is_estimator(built):
        raise DeclarationError(
            f"estimator {shown(name)} returned a {type(built).__name__}; expected an object with fit and predict."
        )
    return built


def _is_estimator(built: Any) -> bool:
    """Return whether it can be fitted and will predict; a stacking estimator has `predict` only once it is fitted."""
    if inspect.isclass(built) or not hasattr(built, "fit"):
        return False
    tagged = hasattr(built, "__sklearn_tags__")
    return hasattr(built, "predict") or (
        tagged and sklearn.base.is_classifier(built) | sklearn.base.is_regressor(built)
    )


def _fits_problem(built: Any, problem: Problem, name: str) -> None:
    is_other = sklearn.base.is_classifier if problem == "regression" else sklearn.base.is_regressor
    if hasattr(built, "__sklearn_tags__") and is_other(built):
        kind = "classifier" if problem == "regression" else "regressor"
        raise DeclarationError(
            f"estimator {shown(name)} is a {kind}, but the target poses a {problem} problem. Declare an estimator "
            "for it, or the problem if it was inferred wrongly."
        )
