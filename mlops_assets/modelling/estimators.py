"""From a declared estimator, a name or a function, to one sklearn Pipeline that holds its preprocessing."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from mlops_assets.errors import DeclarationError
from mlops_assets.modelling.dotted import called
from mlops_assets.modelling.messages import did_you_mean, reason
from mlops_assets.modelling.problem import Problem
from mlops_assets.text import shown


def build(
    estimator: str | Callable[..., Any],
    params: Mapping[str, Any],
    X: pd.DataFrame,
    problem: Problem,
    seed: int,
) -> Any:
    """An unfitted Pipeline of the steps "preprocess" and "model" for the columns of `X` (n, columns).

    `estimator` is a dotted name, a class or a function that returns an estimator; a Pipeline that it returns is
    used as it is. Every `random_state` that is None becomes `seed`. Columns are picked by name, so their order does
    not matter when scoring and others are ignored. Numbers and booleans: kept, with NaN, for estimators that take NaN;
    else filled with the median and scaled. Text and categories: one-hot, where categories seen fewer than 10 times or
    beyond 30 share a column; for histogram gradient boosting ordinal codes, unknown ones as NaN, and a step "varying"
    that drops columns without two values.
    Raises `DeclarationError` for what cannot be built, for an estimator of another problem, and for columns of times.
    """
    from sklearn.pipeline import Pipeline

    name = estimator if isinstance(estimator, str) else getattr(estimator, "__qualname__", type(estimator).__name__)
    built = _construct(called(estimator, "estimator") if isinstance(estimator, str) else estimator, params, name)
    _fits_problem(built, problem, name)
    pipeline = built if isinstance(built, Pipeline) else Pipeline([*_preprocess(X, built), ("model", built)])
    unseeded = {key: seed for key, value in _params(pipeline).items() if _is_unseeded(key, value)}
    return pipeline.set_params(**unseeded) if unseeded else pipeline


def _construct(factory: Any, params: Mapping[str, Any], name: str) -> Any:
    if not callable(factory):
        raise DeclarationError(
            f"estimator {shown(name)} is a {type(factory).__name__}; expected a class or a function."
        )
    known = _parameters(factory)
    if known is not None and not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        for param in params:
            if param not in known:
                hint = did_you_mean(param, known)
                raise DeclarationError(f"estimator {shown(name)} takes no parameter {shown(param)}. {hint}")
    try:
        built = factory(**params)
    except Exception as error:  # the factory is the user's
        raise DeclarationError(f"estimator {shown(name)} could not be built: {reason(error)}.") from error
    if not _is_estimator(built):
        raise DeclarationError(
            f"estimator {shown(name)} gave a {type(built).__name__}; expected an object with fit and predict."
        )
    return built


def _is_estimator(built: Any) -> bool:
    """Whether it can be fitted and will predict; a stacking estimator shows `predict` only once it is fitted."""
    from sklearn.base import is_classifier, is_regressor

    if inspect.isclass(built) or not hasattr(built, "fit"):
        return False
    if hasattr(built, "predict"):
        return True
    return hasattr(built, "__sklearn_tags__") and bool(is_classifier(built) or is_regressor(built))


def _parameters(factory: Any) -> Mapping[str, inspect.Parameter] | None:
    try:
        return inspect.signature(factory).parameters
    except (TypeError, ValueError):
        # Some callables written in C do not tell.
        return None


def _fits_problem(built: Any, problem: Problem, name: str) -> None:
    from sklearn.base import is_classifier, is_regressor

    if not hasattr(built, "__sklearn_tags__"):
        return
    if (problem == "regression" and is_classifier(built)) or (problem != "regression" and is_regressor(built)):
        kind = "classifier" if problem == "regression" else "regressor"
        raise DeclarationError(
            f"estimator {shown(name)} is a {kind}, but the target poses a {problem} problem. Declare an estimator "
            "for it, or the problem if it was inferred wrongly."
        )


def _preprocess(X: pd.DataFrame, estimator: Any) -> list[tuple[str, Any]]:
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_selection import VarianceThreshold
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    numbers, booleans, categories = _columns_by_kind(X)
    nan = float("nan")
    if _takes_nan(estimator):
        # Changes no value, but turns pandas' nullable types into floats with NaN, which "passthrough" does not.
        numeric = StandardScaler(with_mean=False, with_std=False)
    else:
        imputer = SimpleImputer(strategy="median", keep_empty_features=True)
        numeric = Pipeline([("impute", imputer), ("scale", StandardScaler())])
    encoder: Any = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=10, max_categories=30, sparse_output=False
    )
    if _is_histogram(estimator):
        encoder = OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=nan, encoded_missing_value=nan, max_categories=250
        )
    # Booleans apart from numbers: sklearn turns a table of both into Python objects first, 40 times slower.
    steps = [("numeric", numeric, numbers), ("boolean", numeric, booleans), ("categorical", encoder, categories)]
    used = [step for step in steps if step[2]]
    columns = ColumnTransformer(used, remainder="drop", verbose_feature_names_out=False)
    # In sklearn 1.9 histogram gradient boosting fails on a column without any value, as a lag has in an early fold.
    within = any(_is_histogram(part) for part in (estimator, *_params(estimator).values()))
    return [("preprocess", columns), *([("varying", VarianceThreshold())] if within else [])]


def _takes_nan(estimator: Any) -> bool:
    from sklearn.utils import get_tags

    # A stacking estimator with `passthrough` says what its first layer takes; the final one gets the features too.
    known = hasattr(estimator, "__sklearn_tags__") and not getattr(estimator, "passthrough", False)
    return known and bool(get_tags(estimator).input_tags.allow_nan)


def _is_histogram(estimator: Any) -> bool:
    return type(estimator).__name__.startswith("HistGradientBoosting")


def _columns_by_kind(X: pd.DataFrame) -> tuple[list[str], list[str], list[str]]:
    if X.shape[1] == 0 or not X.columns.is_unique or not all(isinstance(name, str) for name in X.columns):
        raise DeclarationError(
            f"features need columns with text names, each once; got {shown(list(X.columns))}. Rename them."
        )
    numbers, booleans, categories = [], [], []
    for name in X.columns:
        dtype = X[name].dtype
        if pd.api.types.infer_dtype(X[name], skipna=True) == "boolean" and not isinstance(dtype, pd.CategoricalDtype):
            booleans.append(name)
        elif pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype):
            numbers.append(name)
        elif isinstance(dtype, pd.CategoricalDtype | pd.StringDtype) or pd.api.types.is_object_dtype(dtype):
            categories.append(name)
        else:
            raise DeclarationError(
                f"feature {shown(name)} is of type {dtype}, which no estimator takes. Derive features from it in the "
                "feature function (hour, weekday, days since ...), and leave the column out."
            )
    return numbers, booleans, categories


def _params(pipeline: Any) -> dict[str, Any]:
    try:
        return dict(pipeline.get_params(deep=True))
    except (AttributeError, TypeError):
        # A step that is no sklearn estimator has no parameters to seed.
        return {}


def _is_unseeded(key: str, value: Any) -> bool:
    return value is None and (key == "random_state" or key.endswith("__random_state"))
