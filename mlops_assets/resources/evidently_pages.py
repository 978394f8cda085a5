"""Evidently's pages for people, drawn from bounded samples; no decision depends on them."""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlops_assets.lazy import np, pd

if TYPE_CHECKING:
    from evidently import Dataset, Report

_MOST_ROWS = 5_000
_MOST_COLUMNS = 50
TARGET, PREDICTION = "target", "prediction"


def drift_page(reference: pd.DataFrame, batch: pd.DataFrame, features: Sequence[str], seed: int) -> str:
    """Return the HTML of Evidently's data drift and data summary for a batch's features against the reference."""
    from evidently import Report
    from evidently.presets import DataDriftPreset, DataSummaryPreset

    shown = [name for name in features if _drawable(reference, name) and _drawable(batch, name)][:_MOST_COLUMNS]
    sides = (_dataset(_sampled(side[shown], seed)) for side in (batch, reference))
    return _html(Report([DataDriftPreset(), DataSummaryPreset()]), *sides)


def performance_page(
    problem: Literal["regression", "binary", "multiclass"], holdout: pd.DataFrame, batch: pd.DataFrame, seed: int
) -> str:
    """Return the HTML of Evidently's regression or classification preset for a batch against the champion's holdout.

    Both frames have the columns `target` and `prediction`; of more than 5,000 rows a sample is used.
    """
    from evidently import Regression, Report
    from evidently.presets import RegressionPreset

    if problem == "regression":
        roles = {"regression": [Regression(target=TARGET, prediction=PREDICTION)]}
        return _html(
            Report([RegressionPreset()]), *(_dataset(_sampled(side, seed), **roles) for side in (batch, holdout))
        )
    names = _class_names(holdout, batch)
    shown = [_sampled(side.map(lambda label: names[_label_text(label)]), seed) for side in (batch, holdout)]
    return _classification_page(shown[0], shown[1], positive=list(names.values())[-1])


def _classification_page(batch: pd.DataFrame, holdout: pd.DataFrame, positive: str) -> str:
    """Return a page with what Evidently can compare: most of its metrics raise if one side lacks a label.

    Evidently takes a side with two labels as binary, and looks up every label of the batch in the holdout.
    """
    from evidently import BinaryClassification, MulticlassClassification, Report
    from evidently.presets import ClassificationPreset, ClassificationQualityByLabel, DataSummaryPreset

    here, there = (set(side.to_numpy().ravel()) for side in (batch, holdout))
    columns: dict[str, Any] = {"target": TARGET, "prediction_labels": PREDICTION}
    roles: dict[str, Any] = {"classification": [MulticlassClassification(**columns)]}
    content: Any = ClassificationPreset()
    if here == there and len(here) == 2:
        roles = {"classification": [BinaryClassification(**columns, pos_label=positive)]}
    elif not here <= there:
        content, roles = DataSummaryPreset(), {"categorical_columns": [TARGET, PREDICTION, "right"]}
        batch, holdout = _with_right(batch), _with_right(holdout)
    elif 2 in (len(here), len(there)):
        content = ClassificationQualityByLabel()
    return _html(Report([content]), _dataset(batch, **roles), _dataset(holdout, **roles))


def _with_right(side: pd.DataFrame) -> pd.DataFrame:
    return side.assign(right=(side[TARGET] == side[PREDICTION]).map({True: "yes", False: "no"}))


def _class_names(*sides: pd.DataFrame) -> dict[str, str]:
    """Return label -> name on the page, in order of the labels: of two labels the positive one is last."""
    labels = list(pd.unique(pd.concat([side[name].astype(object) for side in sides for name in (TARGET, PREDICTION)])))
    try:
        labels = sorted(labels)
    except TypeError:  # labels of several types are sorted by their text
        labels = sorted(labels, key=_label_text)
    texts = list(dict.fromkeys(map(_label_text, labels)))
    return {text: _safe_label(text, position) for position, text in enumerate(texts)}


def _safe_label(label: str, position: int) -> str:
    """Return `_safe_text` of a label; a changed label gets its position to stay unique."""
    clean = _safe_text(label)
    return clean if clean == label else f"{clean[:90]} ({position})"


def _label_text(label: object) -> str:
    """Return a label as text, equal for 1 and 1.0: a gap in a column turns its whole numbers into floats."""
    if isinstance(label, float | np.floating) and float(label).is_integer():
        return str(int(label))
    return str(label)


def _drawable(frame: pd.DataFrame, name: str) -> bool:
    """Return whether a column has values: Evidently raises on others, which the decision's table names."""
    return name in frame.columns and bool(frame[name].notna().any())


def _sampled(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    rows = frame if len(frame) <= _MOST_ROWS else frame.sample(_MOST_ROWS, random_state=seed).sort_index()
    safe: dict[Any, str] = {name: _safe(str(name), position) for position, name in enumerate(rows.columns)}
    text = {
        safe[name]: rows[name].map(_safe_text, na_action="ignore")
        for name in rows
        if rows[name].dtype.kind not in "iufbM"
    }
    return rows.rename(columns=safe).assign(**text).reset_index(drop=True)


def _safe(name: str, position: int) -> str:
    """Return a column name that cannot end a script in the page; a changed name gets its position to stay unique."""
    clean = re.sub(r"[^\w .:-]", "_", name)
    return clean if clean == name else f"{clean} ({position})"


def _safe_text(value: object) -> str:
    return re.sub(r"[<>&\"'`\\]", "_", str(value))[:100]


def _dataset(frame: pd.DataFrame, **roles: Any) -> Dataset:
    from evidently import DataDefinition, Dataset

    return Dataset.from_pandas(frame, data_definition=DataDefinition(**roles))


def _html(report: Report, current: Dataset, reference: Dataset) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of scikit-learn and numpy on almost empty bins of Evidently
        snapshot = report.run(current, reference)
    with tempfile.TemporaryDirectory(prefix="mlops_assets_") as place:
        page = Path(place) / "page.html"
        snapshot.save_html(str(page))
        return page.read_text()
