"""Whether the features of a batch are distributed as those the model was trained on, feature by feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from mlops_assets.decisions.drift.column_tests import FeatureDrift, Kind, Word, column_entries, unknown
from mlops_assets.decisions.drift.domain_classifier import together_entry
from mlops_assets.decisions.drift.season import Matched, Season, matched
from mlops_assets.lazy import np, pd, scipy
from mlops_assets.statistics.effective_rows import Floats, Integers

_MOST_ROWS = 100_000
_SMALL = 0.1
_NAN = float("nan")
_LEAST_WEIGHT, _GREATEST_WEIGHT = 0.5, 4.0
# Half of the level is kept back for what asymptotic tails, measured variances and one reference for many batches cost.
_RESERVE = 2.0


@dataclass(frozen=True)
class Pair:
    """Something else than a feature that is tested like one, such as predictions.

    It has a value for each row of each side, or is of other rows, whose `times` are then given if they have any.
    `where` is what texts call those of the reference.
    """

    name: str
    kind: Kind
    reference: Any
    batch: Any
    times: tuple[Any, Any] | None = None
    where: str = "reference"


@dataclass(frozen=True)
class DriftReport:
    """All entries, and one verdict: drift if any drifted, else unknown if any is unknown, else no drift.

    An unknown entry of predictions, labels or all features together alone does not make the batch unknown. `share` is
    that of the entries that drifted. `p` is the least level at which the batch would have been an alarm (1 where no
    effect is great enough, NaN where nothing could be tested), `level` the one that it was held against. `matched`
    says how the reference was brought to the season of the batch.
    """

    features: tuple[FeatureDrift, ...]
    verdict: Word
    share: float
    rows_reference: int
    rows_batch: int
    p: float = float("nan")
    level: float = 0.01
    matched: str = ""

    def table(self) -> list[dict[str, Any]]:
        """A row for each entry, drifted ones first, the greatest effect first; None for NaN."""
        order = {"drift": 0, "unknown": 1, "no drift": 2}
        features = sorted(self.features, key=lambda each: (order[each.verdict], -np.nan_to_num(each.effect)))
        return [{name: None if value != value else value for name, value in asdict(each).items()} for each in features]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        return {
            "verdict": self.verdict,
            "p": None if self.p != self.p else self.p,
            "level": self.level,
            "share": self.share,
            "rows_reference": self.rows_reference,
            "rows_batch": self.rows_batch,
            "matched": self.matched,
            "features": self.table(),
        }


def drift(
    reference: pd.DataFrame,
    batch: pd.DataFrame,
    features: Sequence[str],
    alpha: float = 0.01,
    min_effect: float = 0.02,
    min_rows: int = 50,
    *,
    importance: Mapping[str, float] | None = None,
    times: tuple[Any, Any] | None = None,
    season: Sequence[Season] = (),
    together: bool = True,
    extra: Sequence[Pair] = (),
    seed: int = 0,
) -> DriftReport:
    """Test each feature and correct for their number: a batch without drift is an alarm with probability `alpha`.

    Numeric features by the two-sample Kolmogorov-Smirnov test, categorical ones and numeric ones of at most 10
    distinct values by the chi-squared test with rare categories pooled (two categories, and shares of missing values:
    Fisher's exact test), texts that hardly repeat by their length, moments by their hour and weekday, all features
    `together` by a domain classifier, each of `extra` like a feature. Over all, Benjamini & Hochberg (1995) with
    weights by `importance` (Genovese, Roeder & Wasserman 2006), at half of `alpha`: p_adjusted is doubled.
    Drift is p_adjusted < alpha AND effect >= min_effect; with many rows tiny differences are significant too.

    Rows come in order of time. Where they hang together, they count as fewer (see `effective_rows`); `times`, a
    datetime for each row of (reference, batch), makes that right for a reference that is a sample. With `season` the
    reference is brought to the hours, weekdays or months of the batch; of a season that it holds in one period alone
    (one June) all entries are "unknown". At most 100,000 rows a side are used.
    A feature that is missing, of another type, all null or of fewer than `min_rows` values is "unknown".
    """
    used = (_positions(len(reference), seed), _positions(len(batch), seed))
    rows = matched(used, times, season, min_rows)
    names = list(dict.fromkeys(features))
    if rows.why_not:
        entries = [unknown(name, rows.why_not) for name in (*names, *(pair.name for pair in extra))]
        return _decided(entries, {}, alpha, min_effect, (len(reference), len(batch)), rows.text)
    weights: dict[str, float] = {}
    entries = []
    for name in names:
        found = _entries(name, reference.get(name), batch.get(name), rows, min_rows)
        entries += found
        weights |= {entry.feature: (importance or {}).get(name, _NAN) for entry in found}
    for pair in extra:
        same = (len(pair.reference), len(pair.batch)) == (len(reference), len(batch)) and pair.times is None
        entries += _pair_entries(pair, rows if same else _own_rows(pair, season, min_rows, seed), min_rows)
    there = [name for name in names if name in reference.columns and name in batch.columns]
    if together and len(there) > 1:
        entries.append(together_entry(reference, batch, there, rows, importance or {}, seed))
    return _decided(entries, weights, alpha, min_effect, (len(reference), len(batch)), rows.text)


def _positions(rows: int, seed: int) -> Integers:
    """All rows, or 100,000 of them at random in their order."""
    if rows <= _MOST_ROWS:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, _MOST_ROWS, replace=False))


def _taken(column: pd.Series[Any], positions: Integers) -> pd.Series[Any]:
    everything = len(positions) == len(column) and bool((np.diff(positions) > 0).all())
    return column if everything else column.iloc[positions]


def _entries(
    name: str, old: pd.Series[Any] | None, new: pd.Series[Any] | None, rows: Matched, min_rows: int
) -> list[FeatureDrift]:
    if old is None or new is None:
        return [unknown(name, f"the {'reference' if old is None else 'batch'} has no such column")]
    return column_entries(name, _taken(old, rows.positions[0]), _taken(new, rows.positions[1]), rows.sides, min_rows)


def _own_rows(pair: Pair, season: Sequence[Season], min_rows: int, seed: int) -> Matched:
    used = (_positions(len(pair.reference), seed), _positions(len(pair.batch), seed))
    return matched(used, pair.times, season if pair.times is not None else (), min_rows, pair.where)


def _pair_entries(pair: Pair, rows: Matched, min_rows: int) -> list[FeatureDrift]:
    """The pair's distribution; a label that is still to come is not missing."""
    if rows.why_not:
        return [unknown(pair.name, rows.why_not, pair.kind)]
    found = _entries(pair.name, pd.Series(pair.reference), pd.Series(pair.batch), rows, min_rows)
    return [replace(entry, kind=pair.kind) for entry in found if entry.kind != "missing share"]


def _decided(
    entries: list[FeatureDrift],
    importance: Mapping[str, float],
    alpha: float,
    min_effect: float,
    rows: tuple[int, int],
    text: str,
) -> DriftReport:
    tested = [index for index, entry in enumerate(entries) if not np.isnan(entry.p)]
    weights = _weights([importance.get(entries[index].feature, _NAN) for index in tested])
    least = np.array([entries[index].p for index in tested])
    adjusted = scipy.stats.false_discovery_control(np.minimum(least / weights, 1.0)) if tested else np.empty(0)
    for index, p, weight in zip(tested, np.minimum(_RESERVE * adjusted, 1.0), weights, strict=True):
        word: Word = "drift" if p < alpha and entries[index].effect >= min_effect else "no drift"
        small = word == "drift" and entries[index].effect < _SMALL
        note = "; ".join(filter(None, ["a small effect" if small else "", entries[index].note]))
        entries[index] = replace(entries[index], p_adjusted=float(p), weight=float(weight), verdict=word, note=note)
    beside = ("together", "prediction", "target")
    words = [entry.verdict for entry in entries if entry.verdict != "unknown" or entry.kind not in beside]
    overall: Word = "drift" if "drift" in words else "unknown" if "unknown" in words or not words else "no drift"
    share = words.count("drift") / len(words) if words else 0.0
    enough = [entries[index].p_adjusted for index in tested if entries[index].effect >= min_effect]
    least_level = min(enough, default=1.0 if tested else _NAN)
    return DriftReport(tuple(entries), overall, share, *rows, least_level, alpha, text)


def _weights(importance: Sequence[float]) -> Floats:
    """Weights of mean 1: importance against the mean importance, within 0.5 to 4; 1 where none is known (NaN)."""
    known = np.array(importance, dtype=np.float64)
    relative = np.maximum(known, 0.0)
    mean = np.nanmean(relative) if (relative > 0).any() else 0.0
    weights = np.ones(len(known)) if mean == 0 else np.clip(relative / mean, _LEAST_WEIGHT, _GREATEST_WEIGHT)
    weights = np.where(np.isnan(weights), 1.0, weights)
    return weights / weights.mean() if len(weights) else weights
