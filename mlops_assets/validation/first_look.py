"""Hints in the first batch of a mistake that later batches would repeat; they block nothing."""

from __future__ import annotations

import re
from collections.abc import Collection

from mlops_assets.checks import CheckOutcome
from mlops_assets.disk_frame import LargeFrame
from mlops_assets.lazy import pd
from mlops_assets.text import listed, shown
from mlops_assets.validation.schema import kind_of, not_numbers, numbers

FIRST_LOOK = "first_look"

_UNNAMED = re.compile(r"Unnamed: \d+|level_\d+")
_FEWEST, _SAMPLE = 10, 1_000
_THOUSANDS = (None, ".", ",", " ", "\u00a0", "\u202f", "'")
_MARKS = [(decimal, thousands) for decimal in (",", ".") for thousands in _THOUSANDS if thousands != decimal]


def first_look(frame: pd.DataFrame | LargeFrame, features: Collection[str], inferred: Collection[str]) -> CheckOutcome:
    """Return hints on the first batch; never blocking.

    features: columns that would be features; inferred: those whose kind was inferred from text, as in CSV.
    A feature that counts the rows, such as a written index, rises with time, so that every batch drifts in it. Text
    whose values are all numbers with a decimal comma or thousands separators becomes a category of many values. Only
    the first 1,000 values of text are looked at.
    """
    hints = []
    for name in dict.fromkeys(map(str, frame.columns)):
        column = frame[name]
        if isinstance(column, pd.DataFrame):  # a name that comes twice, which the contract refuses
            continue
        if name in features and _counts_rows(name, column):
            hints.append(
                f"{shown(name)} rises from row to row, as an index that was written with the rows: as a feature it "
                "drifts in every batch. List it in `drop`, or in `key` if it identifies a row"
            )
        elif name in inferred and (marks := _written_numbers(column)):
            decimal, thousands = marks
            options = [] if decimal == "." else [f"decimal={decimal!r}"]
            options += [] if thousands is None else [f"thousands={thousands!r}"]
            hints.append(
                f"{shown(name)} holds {column.nunique():,} different texts that all look like numbers "
                f"({listed(column.dropna().unique(), 2)}): declare {', '.join(options)} of the source"
            )
    message = "; ".join(hints) or "nothing looks as if it were read otherwise than meant"
    return CheckOutcome(FIRST_LOOK, not hints, message, severity="warn", blocking=False)


def not_the_first() -> CheckOutcome:
    """Return the outcome for a batch that is not the first."""
    return CheckOutcome(FIRST_LOOK, True, "not the first batch: it is held against the others", blocking=False)


def _counts_rows(name: str, column: pd.Series) -> bool:
    """Return whether a number rises by one in each row, or, in a column without a name, rises in each row."""
    if len(column) < _FEWEST or kind_of(column) != "number" or column.isna().any():
        return False
    steps = numbers(column).diff().iloc[1:]
    return bool((steps > 0).all() if _UNNAMED.fullmatch(name) else (steps == 1).all())


def _written_numbers(column: pd.Series) -> tuple[str, str | None] | None:
    """Return the marks (decimal, thousands) by which all values of a text column are numbers, or None."""
    if kind_of(column) != "text":
        return None
    values = column.dropna().head(_SAMPLE).astype(str).str.strip()
    if values.nunique() < _FEWEST or not not_numbers(values).any():
        return None
    return next((marks for marks in _MARKS if values.str.fullmatch(_number(*marks)).all()), None)


def _number(decimal: str, thousands: str | None) -> str:
    whole = r"\d+" if thousands is None else rf"(?:\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})+|\d+)"
    return rf"[+-]?{whole}(?:{re.escape(decimal)}\d+)?"
