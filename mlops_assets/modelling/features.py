"""The user's feature function, run and checked; the same call serves training and scoring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from mlops_assets.errors import FeaturesError
from mlops_assets.lazy import np, pd
from mlops_assets.modelling.recipe import text_of

FeatureFunction: TypeAlias = "Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]"


def compute(
    function: FeatureFunction | None, batch: pd.DataFrame, history: pd.DataFrame, not_features: Sequence[str]
) -> pd.DataFrame:
    """Return the features of a batch: one row for each of its rows, in the same order and with the same index.

    Without a function the features are the batch's own columns less `not_features`. Raises `FeaturesError` if the
    function fails, loses or reorders rows, or returns the target (the first of `not_features`).
    """
    if function is None:
        return batch.drop(columns=[name for name in not_features if name in batch.columns])
    what = f"features function {text_of(function)}"
    try:
        table = function(batch.copy(), history.copy())
    except Exception as error:  # the user's code may raise anything; its name must be in the message
        raise FeaturesError(f"{what} raised {type(error).__name__}: {error}") from error
    if not isinstance(table, pd.DataFrame):
        raise FeaturesError(f"{what} must return a DataFrame, got {type(table).__name__}")
    if not table.index.equals(batch.index):
        raise FeaturesError(
            f"{what} must return one row for each row of the batch with the batch's index: expected {len(batch)} rows, "
            f"got {len(table)}; use reindex(batch.index)"
        )
    if not_features[0] in table.columns or table.columns.has_duplicates:
        raise FeaturesError(
            f"{what} returns the target {not_features[0]!r} or a column twice "
            f"(columns: {', '.join(map(str, table.columns))})"
        )
    return table.assign(**{name: _text(table[name]) for name in table.columns if _is_nullable_text(table[name])})


def _is_nullable_text(column: pd.Series) -> bool:
    """Return whether encoders fail on it: missing text is NaN or None to them, not the NA of pandas' nullable types."""
    if isinstance(column.dtype, pd.ArrowDtype):
        return pd.api.types.is_string_dtype(column.dtype)
    nullable = isinstance(column.dtype, pd.StringDtype) and getattr(column.dtype, "na_value", pd.NA) is pd.NA
    return nullable and bool(column.isna().any())


def _text(column: pd.Series) -> pd.Series:
    return column.astype(object).where(column.notna(), None)


def looks_ahead(
    function: FeatureFunction | None,
    batch: pd.DataFrame,
    history: pd.DataFrame,
    not_features: Sequence[str],
    time: str | None,
) -> list[str]:
    """Return names of features that change if later rows, or the row's own label, are not known yet.

    The batch is cut at its middle moment, labels at that moment are blanked, and the features of the rest are computed
    again. A feature that does not look ahead stays the same.
    """
    if function is None or len(batch) < 2:
        return []
    target = not_features[0]
    if time is None:
        known, now = batch, np.ones(len(batch), dtype=bool)
    else:
        moment = batch[time].sort_values().iloc[(len(batch) - 1) // 2]
        known = batch[batch[time] <= moment]
        now = (known[time] == moment).to_numpy()
    unlabelled = known.copy()
    if target in unlabelled.columns:  # else labels come later, from their own source
        unlabelled[target] = unlabelled[target].mask(now)
    whole = compute(function, batch, history, not_features).loc[known.index]
    before = compute(function, unlabelled, history, not_features)
    return [name for name in whole.columns if name not in before.columns or not _same(whole[name], before[name])]


def _same(one: pd.Series, other: pd.Series) -> bool:
    if pd.api.types.is_numeric_dtype(one) and pd.api.types.is_numeric_dtype(other):
        return bool(np.allclose(one.astype(float), other.astype(float), rtol=1e-9, atol=1e-12, equal_nan=True))
    return _text(one).equals(_text(other))
