"""The two-sample tests of drift, one column at a time: distribution, shares of categories, share of missing values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from mlops_assets.lazy import np, pd, scipy
from mlops_assets.statistics.arrays import Booleans, Floats, Integers
from mlops_assets.statistics.effective_rows import FEWEST_BLOCKS, EffectiveRows, Side, effective_rows

Word = Literal["drift", "no drift", "unknown"]
Kind = Literal["numeric", "categorical", "missing share", "prediction", "target", "together"]
Sides = tuple[Side, Side]

FEWEST_ROWS = 50
EXTRAS: tuple[Kind, ...] = ("together", "prediction", "target")
"""Kinds of entries that are not of a single feature; one that is unknown does not make the batch unknown."""
_FEW_VALUES = 10
_MIN_EXPECTED = 5.0
_MOST_CATEGORIES = 100
_BINS = 16
_NAN = float("nan")


@dataclass(frozen=True, kw_only=True)
class FeatureDrift:
    """One feature of the batch against the reference.

    `effect` lies between 0 and 1. Numeric: the Kolmogorov-Smirnov statistic, the greatest difference of the cumulative
    distributions. Categorical: the total variation distance, the share of rows that would have to change their
    category. Missing share: the difference of the shares. Together: 2 AUC - 1 of a classifier that separates the sides.
    `weight` is the feature's weight in the correction, from its importance.
    """

    feature: str
    kind: Kind
    test: str
    p: float = _NAN
    p_adjusted: float = _NAN
    effect: float = _NAN
    verdict: Word = "unknown"
    note: str = ""
    weight: float = 1.0


def test_entry(name: str, kind: Kind, test: str, p: float, effect: float, note: str = "") -> FeatureDrift:
    """Return an entry with its p, before the correction for many tests."""
    p = min(max(p, 0.0), 1.0)
    return FeatureDrift(feature=name, kind=kind, test=test, p=p, effect=effect, verdict="no drift", note=note)


def unknown_entry(name: str, note: str, kind: Kind = "numeric") -> FeatureDrift:
    """Return an entry without a result."""
    return FeatureDrift(feature=name, kind=kind, test="none", note=note)


def column_entries(name: str, old: pd.Series[Any], new: pd.Series[Any], sides: Sides) -> list[FeatureDrift]:
    """Return a column's entries: its distribution, or what is derived from it, and its missing share if not zero."""
    old, new = _plain(old), _plain(new)
    if pd.api.types.is_datetime64_any_dtype(old) and pd.api.types.is_datetime64_any_dtype(new):
        entries = _calendar(name, old, new, sides)
    else:
        entries = [_distribution(name, old, new, sides)]
    missing = (old.isna().to_numpy(), new.isna().to_numpy())
    if (missing[0].any() or missing[1].any()) and min(len(old), len(new)) >= FEWEST_ROWS:
        entries.append(_missing_share(name, missing, sides))
    return entries


def _calendar(name: str, old: pd.Series[Any], new: pd.Series[Any], sides: Sides) -> list[FeatureDrift]:
    """Test hour and weekday of times; the time itself is not tested, since it always moves on."""
    entries = []
    for part in ("hour", "weekday"):
        before, after = (getattr(side.dt, part).astype("Float64") for side in (old, new))
        entry = _distribution(f"{name} ({part})", before, after, sides, few=24)
        note = entry.note or "the time itself always moves on and is not tested"
        entries.append(replace(entry, note=note, kind="categorical"))
    return entries


def _distribution(
    name: str, old: pd.Series[Any], new: pd.Series[Any], sides: Sides, few: int = _FEW_VALUES
) -> FeatureDrift:
    masks = (old.notna().to_numpy(), new.notna().to_numpy())
    for where, known in zip(("reference", "batch"), masks, strict=True):
        if known.sum() < FEWEST_ROWS:
            what = "all values are missing" if len(known) and not known.any() else f"{known.sum()} values are too few"
            return unknown_entry(name, f"{what} in the {where}; at least {FEWEST_ROWS} are needed")
    kinds = (_kind(old), _kind(new))
    if kinds[0] != kinds[1]:
        return unknown_entry(name, f"the reference holds {kinds[0]} values, the batch {kinds[1]} values")
    old, new, sides = old[masks[0]], new[masks[1]], (sides[0].select(masks[0]), sides[1].select(masks[1]))
    if kinds[0] == "text":
        return _categories(name, old.astype(str).to_numpy(), new.astype(str).to_numpy(), sides)
    return _numbers(name, (old.to_numpy(dtype=np.float64), new.to_numpy(dtype=np.float64)), sides, few)


def _plain(values: pd.Series[Any]) -> pd.Series[Any]:
    """Convert booleans and numbers with gaps, which pandas may keep as objects, to numbers."""
    numbers = ("boolean", "integer", "floating", "mixed-integer-float")
    if values.dtype == object and pd.api.types.infer_dtype(values, skipna=True) in numbers:
        return values.astype("Float64")
    return values


def _kind(values: pd.Series[Any]) -> str:
    if pd.api.types.is_datetime64_any_dtype(values):
        return "time"
    return "numeric" if pd.api.types.is_bool_dtype(values) or pd.api.types.is_numeric_dtype(values) else "text"


def _numbers(name: str, numbers: tuple[Floats, Floats], sides: Sides, few: int = _FEW_VALUES) -> FeatureDrift:
    """Test numbers of few distinct values as categories, others by their order."""
    if len(pd.unique(np.concatenate(numbers))) <= few:
        return _categories(name, *numbers, sides)
    return _kolmogorov_smirnov(name, numbers, sides)


def _kolmogorov_smirnov(name: str, numbers: tuple[Floats, Floats], sides: Sides) -> FeatureDrift:
    ordered = (np.sort(numbers[0]), np.sort(numbers[1]))
    distance = _greatest_difference(numbers[0], ordered, sides[0].weights)
    cuts = np.unique(ordered[0][np.arange(1, _BINS) * len(ordered[0]) // _BINS])
    codes = (np.searchsorted(cuts, numbers[0]), np.searchsorted(cuts, numbers[1]))
    rows = effective_rows(codes, len(cuts) + 1, sides, cumulative=True)
    pooled = 1.0 / (1.0 / rows.reference + 1.0 / rows.batch)
    # the one-sample distribution does not know D = 1: p is at least that of two sides without overlap
    apart = (rows.reference + rows.batch + 1.0) * scipy.special.beta(rows.reference + 1.0, rows.batch + 1.0)
    p = max(float(scipy.stats.kstwo.sf(distance, max(1, round(pooled)))), min(2.0 * float(apart), 1.0))
    return _in_time(test_entry(name, "numeric", "Kolmogorov-Smirnov", p, distance), rows)


def _greatest_difference(reference: Floats, ordered: tuple[Floats, Floats], weights: Floats | None) -> float:
    """Return the Kolmogorov-Smirnov statistic: the greatest distance is at a step of the shorter side."""
    reached = [np.arange(len(side) + 1) / len(side) for side in ordered]
    if weights is not None:
        reached[0] = np.concatenate([[0.0], np.cumsum(weights[np.argsort(reference, kind="stable")])])
    steps, gaps = min(ordered, key=len), []
    for end in ("left", "right"):
        shares = [share[np.searchsorted(side, steps, end)] for share, side in zip(reached, ordered, strict=True)]
        gaps.append(np.abs(shares[0] - shares[1]).max())
    return float(max(gaps))


def _categories(name: str, old: np.ndarray, new: np.ndarray, sides: Sides) -> FeatureDrift:
    codes, values = pd.factorize(np.concatenate([old, new]))
    count, rows = len(values), np.array([len(old), len(new)])
    counts = np.array([np.bincount(side, minlength=count) for side in np.split(codes, rows[:1])])
    rare = counts.sum(axis=0) * rows.min() / rows.sum() < _MIN_EXPECTED
    if rare.all() and count > 1:
        if old.dtype == np.float64:
            return _kolmogorov_smirnov(name, (old, new), sides)
        return _lengths(name, old, new, sides, count)
    order = np.argsort(np.where(rare, np.inf, -counts.sum(axis=0)), kind="stable")[:_MOST_CATEGORIES]
    position = np.full(count, min(int((~rare).sum()), _MOST_CATEGORIES))
    position[order] = np.minimum(np.arange(len(order)), position[order])
    codes = position[codes].astype(np.int64)
    unseen = float(counts[1][counts[0] == 0].sum() / rows[1])
    note = f"{unseen:.1%} of the rows are of a category that the reference lacks" if unseen else ""
    bins = int(codes.max()) + 1
    if bins < 2:
        return test_entry(name, "categorical", "chi-squared", 1.0, 0.0, note or "all values are equal")
    return _shares(name, "categorical", (codes[: rows[0]], codes[rows[0] :]), bins, sides, note)


def _lengths(name: str, old: np.ndarray, new: np.ndarray, sides: Sides, count: int) -> FeatureDrift:
    """Test texts that hardly repeat by their length."""
    old, new = (np.array([len(text) for text in side], dtype=np.float64) for side in (old, new))
    entry = _numbers(name, (old, new), sides)
    note = f"{count:,} texts are too rare to be compared; their lengths are compared"
    return replace(entry, feature=f"{name} (length)", kind="numeric", note=entry.note or note)


def _missing_share(name: str, missing: tuple[Booleans, Booleans], sides: Sides) -> FeatureDrift:
    note = f"{missing[0].mean():.1%} missing in the reference, {missing[1].mean():.1%} in the batch"
    codes = (missing[0].astype(np.int64), missing[1].astype(np.int64))
    return _shares(f"{name} (missing)", "missing share", codes, 2, sides, note)


def _shares(
    name: str, kind: Kind, codes: tuple[Integers, Integers], bins: int, sides: Sides, note: str
) -> FeatureDrift:
    """Test the shares of codes 0..bins-1 of both sides; the effect is their total variation distance."""
    rows = effective_rows(codes, bins, sides, cumulative=False)
    weights = (sides[0].weights, None)
    shares = np.array([np.bincount(code, weight, bins) for code, weight in zip(codes, weights, strict=True)], float)
    shares /= shares.sum(axis=1, keepdims=True)
    counts = shares * np.array([[rows.reference], [rows.batch]])
    if bins == 2:
        test, p = "Fisher's exact", float(scipy.stats.fisher_exact(np.rint(counts).astype(np.int64)).pvalue)
    else:
        test, p = "chi-squared", _chi_squared(counts)
    effect = float(np.abs(shares[0] - shares[1]).sum() / 2)
    return _in_time(test_entry(name, kind, test, p, effect, note), rows)


def _chi_squared(counts: Floats) -> float:
    """Return the p of the counts (2, bins), rare ones pooled."""
    rare = counts.sum(axis=0) * counts.sum(axis=1).min() / counts.sum() < _MIN_EXPECTED
    counts = np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)])
    counts = counts[:, counts.sum(axis=0) > 0]
    if counts.shape[1] < 2:
        return 1.0
    # Pearson's statistic overstates many rows in a rare category, the likelihood ratio the absence of rows
    kinds: tuple[Literal["pearson", "log-likelihood"], ...] = ("pearson", "log-likelihood")
    return max(float(scipy.stats.chi2_contingency(counts, correction=False, lambda_=kind).pvalue) for kind in kinds)


def _in_time(entry: FeatureDrift, rows: EffectiveRows) -> FeatureDrift:
    """Return the entry with p and note corrected for autocorrelated rows."""
    if not rows.blocks:
        return entry
    if rows.blocks < FEWEST_BLOCKS:
        note = f"rows are autocorrelated over long stretches: {rows.blocks} blocks; at least {FEWEST_BLOCKS} are needed"
        return unknown_entry(entry.feature, note, entry.kind)
    note = f"rows are autocorrelated: the batch is worth {rows.batch:,.0f} independent rows"
    return replace(entry, p=rows.correct(entry.p), note="; ".join(filter(None, [entry.note, note])))
