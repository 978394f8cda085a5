"""The steps before an estimator in its Pipeline: fill gaps, scale numbers, encode text, as the estimator requires."""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy
from typing import Any

from mlops_assets.errors import DeclarationError
from mlops_assets.lazy import pd, sklearn
from mlops_assets.modelling.fitting.column_params import in_places, named_columns, refers_to_columns
from mlops_assets.modelling.fitting.parameter_names import params_of
from mlops_assets.text import shown


def steps_for(X: pd.DataFrame, estimator: Any) -> list[tuple[str, Any]]:
    """Return unfitted steps, the last of them "model", for the columns of `X` (n, columns); see `estimators.build`.

    An estimator whose parameters name columns gets a DataFrame, with each text as one column of ordinal codes. It is
    then a copy, with its parameters by position if it takes no names.
    """
    numbers, booleans, categories = _columns_by_kind(X)
    own = [name for name in params_of(estimator) if refers_to_columns(name)]
    named = named_columns(estimator, params_of(estimator), list(X.columns), {*numbers, *booleans}) if own else []
    # Nothing is known of the later values of a column without any value.
    used = {name for name in X.columns if name in named or X[name].notna().any()} or set(X.columns)
    numbers, booleans, categories = (
        [name for name in kind if name in used] for kind in (numbers, booleans, categories)
    )
    whole = is_histogram(estimator) or (bool(named) and any("__" not in name for name in own))
    ordinal = [name for name in categories if whole or name in named]
    numeric = _numeric(estimator)
    # Booleans apart from numbers: sklearn turns a table of both into Python objects first, 40 times slower.
    steps = [
        ("numeric", numeric, numbers),
        ("boolean", numeric, booleans),
        ("ordinal" if ordinal != categories else "categorical", _ordinal(estimator), ordinal),
        ("categorical", _one_hot(), [name for name in categories if name not in ordinal]),
    ]
    columns = sklearn.compose.ColumnTransformer(
        [step for step in steps if step[2]], remainder="drop", verbose_feature_names_out=False
    )
    # In sklearn 1.9 histogram gradient boosting fails on a column without any value, as a lag has in an early fold.
    drops = any(is_histogram(part) for part in (estimator, *params_of(estimator).values()))
    before = [("preprocess", columns), *([("varying", _varying(X, named))] if drops else [])]
    if named:
        for _, step in before:
            step.set_output(transform="pandas")
        order = [*numbers, *booleans, *ordinal]
        first = [*named, *(name for name in order if name not in named)]
        estimator = deepcopy(estimator).set_params(**in_places(estimator, first if drops else order))
    return [*before, ("model", estimator)]


def _numeric(estimator: Any) -> Any:
    if takes_nan(estimator):
        # Changes no value, but turns pandas' nullable types into floats with NaN, which "passthrough" does not.
        return sklearn.preprocessing.StandardScaler(with_mean=False, with_std=False)
    imputer = sklearn.impute.SimpleImputer(strategy="median", keep_empty_features=True)
    return sklearn.pipeline.Pipeline([("impute", imputer), ("scale", sklearn.preprocessing.StandardScaler())])


def _one_hot() -> Any:
    return sklearn.preprocessing.OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=10, max_categories=30, sparse_output=False
    )


def _ordinal(estimator: Any) -> Any:
    unknown = float("nan") if takes_nan(estimator) else -1
    return sklearn.preprocessing.OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=unknown, encoded_missing_value=unknown, max_categories=250
    )


def _varying(X: pd.DataFrame, named: Collection[str]) -> Any:
    """Drop columns without two values, but none that a parameter names; those come first."""
    if not named:
        return sklearn.feature_selection.VarianceThreshold()
    rest = [name for name in X.columns if name not in named and X[name].nunique() > 1]
    return sklearn.compose.ColumnTransformer(
        [("named", "passthrough", list(named))],
        remainder=sklearn.feature_selection.VarianceThreshold() if rest else "drop",
        verbose_feature_names_out=False,
    )


def takes_nan(estimator: Any) -> bool:
    """Return whether an estimator learns from NaN without imputation."""
    if not hasattr(estimator, "__sklearn_tags__") or not sklearn.utils.get_tags(estimator).input_tags.allow_nan:
        return False
    # A stacking estimator with `passthrough` says what its first layer takes; the final one gets the features too.
    # Trees of sklearn take NaN, but not together with `monotonic_cst`.
    signs = getattr(estimator, "monotonic_cst", None)
    return not getattr(estimator, "passthrough", False) and (signs is None or is_histogram(estimator))


def is_histogram(estimator: Any) -> bool:
    """Return whether it is sklearn's histogram gradient boosting: columns by name, text as ordinal codes."""
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
