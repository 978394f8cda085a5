"""Evidently's pages for people, drawn on bounded samples; no decision is taken from them."""

import re
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

if TYPE_CHECKING:
    from evidently import Dataset, Report

_MOST_ROWS = 5_000
_MOST_COLUMNS = 50
TARGET, PREDICTION = "target", "prediction"


def drift_page(reference: pd.DataFrame, batch: pd.DataFrame, features: Sequence[str], seed: int) -> str:
    """HTML of Evidently's data drift and data summary for the features of a batch against the reference."""
    from evidently import Report
    from evidently.presets import DataDriftPreset, DataSummaryPreset

    shown = [name for name in features if _drawable(reference, name) and _drawable(batch, name)][:_MOST_COLUMNS]
    sides = (_dataset(_sampled(side[shown], seed)) for side in (batch, reference))
    return _html(Report([DataDriftPreset(), DataSummaryPreset()]), *sides)


def performance_page(
    problem: Literal["regression", "binary", "multiclass"], holdout: pd.DataFrame, batch: pd.DataFrame, seed: int
) -> str:
    """HTML of Evidently's regression or classification preset for a batch against the champion's holdout.

    Both frames have the columns `target` and `prediction`; of more than 5,000 rows a sample is drawn.
    """
    from evidently import BinaryClassification, MulticlassClassification, Regression, Report
    from evidently.presets import ClassificationPreset, RegressionPreset

    if problem == "regression":
        roles = {"regression": [Regression(target=TARGET, prediction=PREDICTION)]}
        report = Report([RegressionPreset()])
    else:
        holdout, batch = holdout.astype(str), batch.astype(str)
        labels = sorted({*holdout.to_numpy().ravel(), *batch.to_numpy().ravel()})
        columns = {"target": TARGET, "prediction_labels": PREDICTION}
        # Evidently takes two labels as a binary problem, whose positive label is 1 unless it is named.
        binary = BinaryClassification(**columns, pos_label=_safe_text(labels[-1]))
        roles = {"classification": [binary if len(labels) <= 2 else MulticlassClassification(**columns)]}
        report = Report([ClassificationPreset()])
    return _html(report, *(_dataset(_sampled(side, seed), **roles) for side in (batch, holdout)))


def _drawable(frame: pd.DataFrame, name: str) -> bool:
    """Evidently raises on a column without values; the decision's table names such columns."""
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
    """A column name that cannot end a script in Evidently's page; a changed one keeps its position to stay unique."""
    clean = re.sub(r"[^\w .:-]", "_", name)
    return clean if clean == name else f"{clean} ({position})"


def _safe_text(value: object) -> str:
    return re.sub(r"[<>&\"'`\\]", "_", str(value))[:100]


def _dataset(frame: pd.DataFrame, **roles: Any) -> "Dataset":
    from evidently import DataDefinition, Dataset

    return Dataset.from_pandas(frame, data_definition=DataDefinition(**roles))


def _html(report: "Report", current: "Dataset", reference: "Dataset") -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scikit-learn and numpy on bins that Evidently left almost empty
        snapshot = report.run(current, reference)
    with tempfile.TemporaryDirectory(prefix="mlops_assets_") as place:
        page = Path(place) / "page.html"
        snapshot.save_html(str(page))
        return page.read_text()
