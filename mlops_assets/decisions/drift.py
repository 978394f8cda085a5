"""Whether the features of a batch are distributed as those the model was trained on, feature by feature."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

Word = Literal["drift", "no drift", "unknown"]
Kind = Literal["numeric", "categorical", "missing share"]

_MOST_ROWS = 100_000
_FEW_VALUES = 10
_MIN_EXPECTED = 5.0
_NAN = float("nan")


@dataclass(frozen=True)
class FeatureDrift:
    """One feature of the batch against the reference.

    `effect` lies between 0 and 1 for each kind: the greatest difference between the two cumulative distributions
    (numeric: the Kolmogorov-Smirnov statistic), the share of rows that would have to change their category
    (categorical: the total variation distance), or the difference of the shares (missing share).
    """

    feature: str
    kind: Kind
    test: str
    p: float
    p_adjusted: float
    effect: float
    verdict: Word
    note: str = ""


@dataclass(frozen=True)
class DriftReport:
    """All features, and one verdict: drift if any drifted, else unknown if any is unknown, else no drift.

    `share` is that of the entries that drifted.
    """

    features: tuple[FeatureDrift, ...]
    verdict: Word
    share: float
    rows_reference: int
    rows_batch: int

    def table(self) -> list[dict[str, Any]]:
        """A row for each entry, drifted ones first, the greatest effect first; None for NaN."""
        order = {"drift": 0, "unknown": 1, "no drift": 2}
        features = sorted(self.features, key=lambda each: (order[each.verdict], -np.nan_to_num(each.effect)))
        return [{name: None if value != value else value for name, value in asdict(each).items()} for each in features]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "verdict": self.verdict,
            "share": self.share,
            "rows_reference": self.rows_reference,
            "rows_batch": self.rows_batch,
            "features": self.table(),
        }


def drift(
    reference: pd.DataFrame,
    batch: pd.DataFrame,
    features: Sequence[str],
    alpha: float = 0.01,
    min_effect: float = 0.1,
    min_rows: int = 50,
) -> DriftReport:
    """Test each feature and correct for their number: the false discovery rate of a batch is at most `alpha`.

    Numeric features by the two-sample Kolmogorov-Smirnov test (asymptotic), categorical ones and numeric ones of at
    most 10 distinct values by the chi-squared test with rare categories pooled, shares of missing values by the
    chi-squared test; Benjamini & Hochberg (1995) over all. Drift is p_adjusted < alpha AND effect >= min_effect,
    since with many rows differences that do not matter are significant too. At most 100,000 rows a side are used.
    Rows count as independent; where they follow each other in time, the effect size is what holds false alarms back.
    A feature that is missing, of another type, all null or of fewer than `min_rows` values is "unknown".
    """
    from scipy import stats

    sides = [_sampled(frame, features) for frame in (reference, batch)]
    entries: list[FeatureDrift] = []
    for name in dict.fromkeys(features):
        entries.extend(_entries(name, sides[0], sides[1], min_rows))
    tested = [index for index, entry in enumerate(entries) if not np.isnan(entry.p)]
    adjusted = stats.false_discovery_control([entries[index].p for index in tested]) if tested else np.empty(0)
    for index, p in zip(tested, adjusted, strict=True):
        entry = entries[index]
        word: Word = "drift" if p < alpha and entry.effect >= min_effect else "no drift"
        entries[index] = FeatureDrift(
            entry.feature, entry.kind, entry.test, entry.p, float(p), entry.effect, word, entry.note
        )
    words = [entry.verdict for entry in entries]
    overall: Word = "drift" if "drift" in words else "unknown" if "unknown" in words or not words else "no drift"
    share = words.count("drift") / len(words) if words else 0.0
    return DriftReport(tuple(entries), overall, share, len(reference), len(batch))


def _sampled(frame: pd.DataFrame, features: Sequence[str]) -> pd.DataFrame:
    there = frame[[name for name in dict.fromkeys(features) if name in frame.columns]]
    return there if len(there) <= _MOST_ROWS else there.sample(_MOST_ROWS, random_state=0)


def _entries(name: str, reference: pd.DataFrame, batch: pd.DataFrame, min_rows: int) -> list[FeatureDrift]:
    for where, frame in (("reference", reference), ("batch", batch)):
        if name not in frame.columns:
            return [_unknown(name, f"the {where} has no such column")]
    old, new = reference[name], batch[name]
    entries = [_distribution(name, old, new, min_rows)]
    if (old.isna().any() or new.isna().any()) and min(len(old), len(new)) >= min_rows:
        entries.append(_missing(name, old, new))
    return entries


def _distribution(name: str, old: pd.Series, new: pd.Series, min_rows: int) -> FeatureDrift:
    for where, values in (("reference", old), ("batch", new)):
        known = int(values.notna().sum())
        if known < min_rows:
            what = "all values are missing" if len(values) and not known else f"{known} values are too few"
            return _unknown(name, f"{what} in the {where}; at least {min_rows} are needed")
    kinds = (_kind(old), _kind(new))
    if kinds[0] != kinds[1]:
        return _unknown(name, f"the reference holds {kinds[0]} values, the batch {kinds[1]} values")
    old, new = old.dropna(), new.dropna()
    if kinds[0] == "numeric":
        numbers = [side.to_numpy(dtype=np.float64) for side in (old, new)]
        if len(np.union1d(np.unique(numbers[0]), np.unique(numbers[1]))) > _FEW_VALUES:
            return _kolmogorov_smirnov(name, numbers[0], numbers[1])
    if kinds[0] == "time":
        moments = [side.astype("int64").to_numpy(dtype=np.float64) for side in (old, new)]
        return _kolmogorov_smirnov(name, moments[0], moments[1])
    return _chi_squared(name, old, new)


def _kind(values: pd.Series) -> str:
    if pd.api.types.is_datetime64_any_dtype(values):
        return "time"
    if pd.api.types.is_bool_dtype(values) or pd.api.types.is_numeric_dtype(values):
        return "numeric"
    return "text"


def _kolmogorov_smirnov(name: str, old: np.ndarray, new: np.ndarray) -> FeatureDrift:
    from scipy import stats

    found = stats.ks_2samp(old, new, method="asymp")
    return _tested(name, "numeric", "Kolmogorov-Smirnov", float(found.pvalue), float(found.statistic))


def _chi_squared(name: str, old: pd.Series, new: pd.Series) -> FeatureDrift:
    from scipy import stats

    # numbers and booleans meet as numbers (True is 1), everything else as text
    numeric = pd.api.types.is_numeric_dtype(old) and pd.api.types.is_numeric_dtype(new)
    sides = [side.astype(np.float64 if numeric else str).value_counts() for side in (old, new)]
    counts = pd.concat(sides, axis=1).fillna(0.0).to_numpy(dtype=np.float64).T
    unseen = float(counts[1][counts[0] == 0].sum() / counts[1].sum())
    note = f"{unseen:.1%} of the rows are of a category never seen" if unseen else ""
    smaller = counts.sum(axis=1).min() / counts.sum()
    rare = counts.sum(axis=0) * smaller < _MIN_EXPECTED
    if rare.all() and len(rare) > 1:
        return _unknown(name, f"{len(rare):,} categories, each too rare to be compared", "categorical")
    if rare.any():
        counts = np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)])
    if counts.shape[1] < 2:
        return _tested(name, "categorical", "chi-squared", 1.0, 0.0, note or "one value throughout")
    p = float(stats.chi2_contingency(counts, correction=False).pvalue)
    shares = counts / counts.sum(axis=1, keepdims=True)
    return _tested(name, "categorical", "chi-squared", p, float(np.abs(shares[0] - shares[1]).sum() / 2), note)


def _missing(name: str, old: pd.Series, new: pd.Series) -> FeatureDrift:
    from scipy import stats

    gone = [int(side.isna().sum()) for side in (old, new)]
    shares = [gone[0] / len(old), gone[1] / len(new)]
    counts = np.array([[gone[0], len(old) - gone[0]], [gone[1], len(new) - gone[1]]])
    p = 1.0 if not counts.sum(axis=0).all() else float(stats.chi2_contingency(counts, correction=False).pvalue)
    note = f"{shares[0]:.1%} missing in the reference, {shares[1]:.1%} in the batch"
    return _tested(f"{name} (missing)", "missing share", "chi-squared", p, abs(shares[0] - shares[1]), note)


def _tested(name: str, kind: Kind, test: str, p: float, effect: float, note: str = "") -> FeatureDrift:
    return FeatureDrift(name, kind, test, min(max(p, 0.0), 1.0), _NAN, effect, "no drift", note)


def _unknown(name: str, note: str, kind: Kind = "numeric") -> FeatureDrift:
    return FeatureDrift(name, kind, "none", _NAN, _NAN, _NAN, "unknown", note)
