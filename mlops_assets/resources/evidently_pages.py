"""Evidently's pages for people, drawn from bounded samples; no decision depends on them."""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from mlops_assets.lazy import np, pd
from mlops_assets.resources.lazy import evidently

_MOST_ROWS = 5_000
_MOST_COLUMNS = 50
TARGET, PREDICTION = "target", "prediction"


def drift_page(reference: pd.DataFrame, batch: pd.DataFrame, features: Sequence[str], seed: int) -> str:
    """Return the HTML of Evidently's data drift and data summary for a batch's features against the reference."""
    presets = evidently.presets
    columns = [name for name in features if _drawable(reference, name) and _drawable(batch, name)][:_MOST_COLUMNS]
    sides = (_dataset(_sampled(side[columns], seed)) for side in (batch, reference))
    return _html([presets.DataDriftPreset(), presets.DataSummaryPreset()], *sides)


def performance_page(
    problem: Literal["regression", "binary", "multiclass"], holdout: pd.DataFrame, batch: pd.DataFrame, seed: int
) -> str:
    """Return the HTML of Evidently's regression or classification preset for a batch against the champion's holdout.

    Both frames have the columns `target` and `prediction`; of more than 5,000 rows a sample is used.
    """
    if problem == "regression":
        roles = {"regression": [evidently.Regression(target=TARGET, prediction=PREDICTION)]}
        sides = (_dataset(_sampled(side, seed), **roles) for side in (batch, holdout))
        return _html([evidently.presets.RegressionPreset()], *sides)
    names = _class_names(holdout, batch)
    samples = [_sampled(side.map(lambda label: names[_label_text(label)]), seed) for side in (batch, holdout)]
    return _classification_page(samples, positive=list(names.values())[-1])


def _classification_page(sides: list[pd.DataFrame], positive: str) -> str:
    """Return a page of batch and holdout with what Evidently compares: most metrics raise if one side lacks a label.

    Evidently takes a side with two labels as binary, and looks up every label of the batch in the holdout.
    """
    presets = evidently.presets
    labels, holdout_labels = (set(side.to_numpy().ravel()) for side in sides)
    columns: dict[str, Any] = {"target": TARGET, "prediction_labels": PREDICTION}
    roles: dict[str, Any] = {"classification": [evidently.MulticlassClassification(**columns)]}
    content: Any = presets.ClassificationPreset()
    if labels == holdout_labels and len(labels) == 2:
        roles = {"classification": [evidently.BinaryClassification(**columns, pos_label=positive)]}
    elif not labels <= holdout_labels:
        content, roles = presets.DataSummaryPreset(), {"categorical_columns": [TARGET, PREDICTION, "right"]}
        sides = [side.assign(right=np.where(side[TARGET] == side[PREDICTION], "yes", "no")) for side in sides]
    elif 2 in (len(labels), len(holdout_labels)):
        content = presets.ClassificationQualityByLabel()
    return _html([content], *(_dataset(side, **roles) for side in sides))


def _class_names(*sides: pd.DataFrame) -> dict[str, str]:
    """Return label -> name on the page, in order of the labels: of two labels the positive one is last."""
    labels = list(pd.unique(pd.concat([side[name].astype(object) for side in sides for name in (TARGET, PREDICTION)])))
    try:
        labels = sorted(labels)
    except TypeError:  # labels of several types are sorted by their text
        labels = sorted(labels, key=_label_text)
    texts = list(dict.fromkeys(map(_label_text, labels)))
    return {text: _unique(_safe_text(text), text, position) for position, text in enumerate(texts)}


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
    # names that cannot end a script in the page
    safe: dict[Any, str] = {
        name: _unique(re.sub(r"[^\w .:-]", "_", str(name)), str(name), position) for position, name in enumerate(rows)
    }
    text = {
        safe[name]: rows[name].map(_safe_text, na_action="ignore")
        for name in rows
        if rows[name].dtype.kind not in "iufbM"
    }
    return rows.rename(columns=safe).assign(**text).reset_index(drop=True)


def _unique(clean: str, name: str, position: int) -> str:
    """Return a name that was made safe; a changed name gets its position to stay unique."""
    return clean if clean == name else f"{clean[:90]} ({position})"


def _safe_text(value: object) -> str:
    return re.sub(r"[<>&\"'`\\]", "_", str(value))[:100]


def _dataset(frame: pd.DataFrame, **roles: Any) -> evidently.Dataset:
    return evidently.Dataset.from_pandas(frame, data_definition=evidently.DataDefinition(**roles))


def _html(content: list[Any], current: evidently.Dataset, reference: evidently.Dataset) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of scikit-learn and numpy on almost empty bins of Evidently
        snapshot = evidently.Report(content).run(current, reference)
    with tempfile.TemporaryDirectory(prefix="mlops_assets_") as place:
        page = Path(place) / "page.html"
        snapshot.save_html(str(page))
        return page.read_text()
