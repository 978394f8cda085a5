"""Whether the features of a batch have the distribution of the training rows, feature by feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from mlops_assets.decisions.drift.column_tests import EXTRAS, FeatureDrift, Kind, Word, column_entries, unknown_entry
from mlops_assets.decisions.drift.domain_classifier import together_entry
from mlops_assets.decisions.drift.season import Season, UsedRows, match_rows
from mlops_assets.lazy import np, pd, scipy
from mlops_assets.statistics.arrays import Floats, Integers

_MOST_ROWS = 100_000
_SMALL = 0.1
_NAN = float("nan")
_LEAST_WEIGHT, _GREATEST_WEIGHT = 0.5, 4.0
# Half of the level is kept in reserve for asymptotic tails, measured variances and one reference for many batches.
_RESERVE = 2.0


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Values other than a feature's that are tested like a feature, such as predictions.

    They have a value for each row of each side, or are of other rows, whose `times` are then given if there are any.
    `where` is the name of the reference's rows in texts.
    """

    name: str
    kind: Kind
    reference: Any
    batch: Any
    times: tuple[Any, Any] | None = None
    where: str = "reference"


@dataclass(frozen=True, kw_only=True)
class DriftReport:
    """All entries, and one verdict: drift if any entry drifted, else unknown if any is unknown, else no drift.

    If only predictions, labels or all features together are unknown, the batch is not unknown. `share` is the share of
    entries that drifted. `p` is the least level at which the batch is an alarm: 1 without a sufficient effect, NaN
    without a test. `matched` says how the reference is matched to the season of the batch.
    """

    features: tuple[FeatureDrift, ...]
    verdict: Word
    share: float
    rows_reference: int
    rows_batch: int
    p: float
    matched: str

    def table(self) -> list[dict[str, Any]]:
        """Return a row for each entry, drifted ones first, the greatest effect first; None for NaN."""
        order = {"drift": 0, "unknown": 1, "no drift": 2}
        features = sorted(self.features, key=lambda each: (order[each.verdict], -np.nan_to_num(each.effect)))
        return [{name: None if value != value else value for name, value in asdict(each).items()} for each in features]


def drift(
    reference: pd.DataFrame,
    batch: pd.DataFrame,
    features: Sequence[str],
    alpha: float = 0.01,
    min_effect: float = 0.02,
    *,
    importance: Mapping[str, float] | None = None,
    times: tuple[Any, Any] | None = None,
    season: Sequence[Season] = (),
    together: bool = True,
    extra: Sequence[Pair] = (),
    seed: int = 0,
) -> DriftReport:
    """Test each feature and correct for their number: a batch without drift is an alarm with probability `alpha`.

    Numeric features: the two-sample Kolmogorov-Smirnov test. Categorical ones, and numeric ones of at most 10 distinct
    values: the chi-squared test with rare categories pooled. Two categories, and shares of missing values: Fisher's
    exact test. Texts that hardly repeat: length. Times: hour and weekday. All features `together`: a domain classifier.
    Each of `extra` is tested like a feature. All are corrected by Benjamini & Hochberg (1995) with weights by
    `importance` (Genovese, Roeder & Wasserman 2006), at half of `alpha`: p_adjusted is doubled. Drift is p_adjusted <
    alpha AND effect >= min_effect; with many rows tiny differences are significant too.

    Rows are in order of time; autocorrelated rows count as fewer (see `effective_rows`). `times`, a datetime for each
    row of (reference, batch), corrects this for a reference that is a sample. With `season` the reference is matched to
    the hours, weekdays or months of the batch. If it holds a season in one period only (one June), all entries are
    "unknown". At most 100,000 rows a side are used. A feature that is missing, of another type, all null or of fewer
    than 50 values is "unknown".
    """
    counts = (len(reference), len(batch))
    rows = match_rows((_positions(counts[0], seed), _positions(counts[1], seed)), times, season)
    names = list(dict.fromkeys(features))
    if rows.obstacle:
        entries = [unknown_entry(name, rows.obstacle) for name in (*names, *(pair.name for pair in extra))]
        return _report(entries, min_effect, counts, rows.text)
    weights: dict[str, float] = {}
    entries = []
    for name in names:
        of_feature = _entries(name, reference.get(name), batch.get(name), rows)
        entries += of_feature
        weights |= {entry.feature: (importance or {}).get(name, _NAN) for entry in of_feature}
    for pair in extra:
        same = (len(pair.reference), len(pair.batch)) == counts and pair.times is None
        entries += _pair_entries(pair, rows if same else _own_rows(pair, season, seed))
    shared = [name for name in names if name in reference.columns and name in batch.columns]
    if together and len(shared) > 1:
        entries.append(together_entry(reference, batch, shared, rows, importance or {}, seed))
    return _report(_correct(entries, weights, alpha, min_effect), min_effect, counts, rows.text)


def _positions(rows: int, seed: int) -> Integers:
    """Return all positions, or 100,000 random ones in their order."""
    if rows <= _MOST_ROWS:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, _MOST_ROWS, replace=False))


def _entries(name: str, old: pd.Series[Any] | None, new: pd.Series[Any] | None, rows: UsedRows) -> list[FeatureDrift]:
    if old is None or new is None:
        return [unknown_entry(name, f"the {'reference' if old is None else 'batch'} has no such column")]
    return column_entries(name, old.iloc[rows.positions[0]], new.iloc[rows.positions[1]], rows.sides)


def _own_rows(pair: Pair, season: Sequence[Season], seed: int) -> UsedRows:
    used = (_positions(len(pair.reference), seed), _positions(len(pair.batch), seed))
    return match_rows(used, pair.times, season if pair.times is not None else (), pair.where)


def _pair_entries(pair: Pair, rows: UsedRows) -> list[FeatureDrift]:
    """Return the entries of the pair's distribution; a label that is still to come is not missing."""
    if rows.obstacle:
        return [unknown_entry(pair.name, rows.obstacle, pair.kind)]
    entries = _entries(pair.name, pd.Series(pair.reference), pd.Series(pair.batch), rows)
    return [replace(entry, kind=pair.kind) for entry in entries if entry.kind != "missing share"]


def _correct(
    entries: list[FeatureDrift], importance: Mapping[str, float], alpha: float, min_effect: float
) -> list[FeatureDrift]:
    """Return the entries with their verdicts, corrected for the number of tests."""
    tested = [entry for entry in entries if not np.isnan(entry.p)]
    weights = _weights([importance.get(entry.feature, _NAN) for entry in tested])
    p_values = np.minimum(np.array([entry.p for entry in tested]) / weights, 1.0)
    adjusted = np.minimum(_RESERVE * scipy.stats.false_discovery_control(p_values), 1.0) if tested else p_values
    corrections = iter(zip(adjusted.tolist(), weights.tolist(), strict=True))
    return [entry if np.isnan(entry.p) else _judge(entry, *next(corrections), alpha, min_effect) for entry in entries]


def _judge(entry: FeatureDrift, p: float, weight: float, alpha: float, min_effect: float) -> FeatureDrift:
    verdict: Word = "drift" if p < alpha and entry.effect >= min_effect else "no drift"
    small = "a small effect" if verdict == "drift" and entry.effect < _SMALL else ""
    note = "; ".join(filter(None, [small, entry.note]))
    return replace(entry, p_adjusted=p, weight=weight, verdict=verdict, note=note)


def _report(entries: list[FeatureDrift], min_effect: float, counts: tuple[int, int], text: str) -> DriftReport:
    verdicts = [entry.verdict for entry in entries if entry.verdict != "unknown" or entry.kind not in EXTRAS]
    tested = [entry for entry in entries if not np.isnan(entry.p)]
    sufficient = [entry.p_adjusted for entry in tested if entry.effect >= min_effect]
    return DriftReport(
        features=tuple(entries),
        verdict="drift" if "drift" in verdicts else "no drift" if set(verdicts) == {"no drift"} else "unknown",
        share=verdicts.count("drift") / max(len(verdicts), 1),
        rows_reference=counts[0],
        rows_batch=counts[1],
        p=min(sufficient, default=1.0 if tested else _NAN),
        matched=text,
    )


def _weights(importance: Sequence[float]) -> Floats:
    """Return weights of mean 1: importance over mean importance, within 0.5 to 4; 1 if it is unknown (NaN)."""
    positive = np.maximum(np.array(importance, dtype=np.float64), 0.0)
    if not (positive > 0).any():
        return np.ones(len(positive))
    weights = np.nan_to_num(np.clip(positive / np.nanmean(positive), _LEAST_WEIGHT, _GREATEST_WEIGHT), nan=1.0)
    return np.asarray(weights / weights.mean())
