"""Features of times, which no estimator accepts: refused when their batch comes, with what to do."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from mlops_assets.checks import CheckOutcome
from mlops_assets.declaration import Declaration
from mlops_assets.disk_frame import LargeFrame, without
from mlops_assets.lazy import pd, sklearn
from mlops_assets.text import listed, shown
from mlops_assets.validation.schema import kind_of, times

_LOOKED_AT = 200
_REMEDY = "derive numbers from them in `features` (hour, weekday, days since ...)"


def refused_times(model: Declaration, batch: pd.DataFrame | LargeFrame) -> list[str]:
    """Return a sentence for each time column that would be a feature as it is; none if `features` is declared."""
    if model.features is not None:
        return []
    columns = _times(without(batch, model.not_features))
    if not columns or _estimator_takes_times(model):
        return []
    return [f"{shown(name)}: {_first_time(batch[name])}; {_REMEDY}, or list the column in `drop`" for name in columns]


def times_returned(model: Declaration, table: pd.DataFrame | LargeFrame) -> list[str]:
    """Return a sentence for each time column that the feature function returned."""
    columns = [] if model.features is None else _times(table)
    if not columns or _estimator_takes_times(model):
        return []
    return [f"{shown(name)}: {_first_time(table[name])}; {_REMEDY}, and leave the column out" for name in columns]


def with_times_as_text(
    outcomes: Iterable[CheckOutcome], model: Declaration, batch: pd.DataFrame | LargeFrame
) -> list[CheckOutcome]:
    """Return the contract's outcomes; a passed "dtypes" names text features that read as times."""
    features = without(batch, model.not_features)
    written = (
        [] if model.features is not None else [name for name in features.columns if _reads_as_times(features[name])]
    )
    if not written:
        return list(outcomes)
    note = f"{listed(written)}: times as text, so each is a category of its own; {_REMEDY}, or list them in `drop`"
    return [
        replace(outcome, message=f"{outcome.message}. {note}")
        if outcome.name == "dtypes" and outcome.passed
        else outcome
        for outcome in outcomes
    ]


def _times(frame: pd.DataFrame | LargeFrame) -> list[str]:
    return [str(name) for name in frame.columns if kind_of(frame[name]) == "time"]


def _first_time(column: pd.Series[Any]) -> str:
    row = int(column.notna().to_numpy().argmax())
    return f"row {row + 1}, {shown(str(column.iloc[row]))}: a feature of times, which no estimator takes"


def _reads_as_times(column: pd.Series[Any]) -> bool:
    """Return whether the first values of a text column are all times; a value of digits alone counts as a code."""
    values = column.dropna().head(_LOOKED_AT)
    if kind_of(values) != "text" or not values.astype(str).str.contains(r"\d{4}.?\d|\d.?\d{4}").all():
        return False
    return bool(not values.astype(str).str.isdigit().any() and times(values).notna().all())


def _estimator_takes_times(model: Declaration) -> bool:
    """Return whether the estimator is the user's own Pipeline, which may use times; all others get prepared columns."""
    if isinstance(model.estimator, str) or inspect.isclass(model.estimator):
        return False
    try:
        return isinstance(model.estimator(**model.params), sklearn.pipeline.Pipeline)
    except Exception:  # the user's code raises anything; the training reports it
        return False
